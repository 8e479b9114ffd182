package middleware

import (
	"context"
	"net/http"
	"sync"
)

// A Drain ends a service without cutting off requests. It has two classes:
//
//   - Requests finish. After Close, new ones are refused, and Close waits for the
//     running ones until its deadline.
//   - Long-lived connections, such as sockets and streams, hang up. Each has
//     registered a function with OnClose, which Close calls at once.
//
// Exempt requests pass in any case, because running requests wait for them: if a
// request calls another service that calls back, the callback must be served. A
// listener alone cannot tell the two apart.
//
// The zero value is open. A Drain is safe for concurrent use.
type Drain struct {
	mu      sync.Mutex
	running int // requests, and calls of hangUps
	hangUps map[*func(context.Context)]struct{}
	closed  bool
	empty   chan struct{} // closed when nothing runs any more; nil until Close
}

// Middleware passes requests to next. After Close, it answers with refuse instead.
// Requests for which exempt is true always pass, and Close does not wait for them.
func (d *Drain) Middleware(exempt func(*http.Request) bool, refuse http.HandlerFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case exempt(r):
				next.ServeHTTP(w, r)
			case d.enter():
				defer d.leave()
				next.ServeHTTP(w, r)
			default:
				w.Header().Set("Connection", "close") // the client's retry may reach another process
				refuse(w, r)
			}
		})
	}
}

func (d *Drain) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.running++
	return true
}

func (d *Drain) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running--
	if d.closed && d.running == 0 {
		close(d.empty)
	}
}

// OnClose registers hangUp, which ends a long-lived connection. It must return when
// the connection has ended, or when ctx ends. The caller calls remove when the
// connection ends by itself. If the Drain is closed, ok is false and hangUp is not
// registered: the connection must not begin.
func (d *Drain) OnClose(hangUp func(ctx context.Context)) (remove func(), ok bool) {
	key := &hangUp
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return func() {}, false
	}
	if d.hangUps == nil {
		d.hangUps = map[*func(context.Context)]struct{}{}
	}
	d.hangUps[key] = struct{}{}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.hangUps, key)
	}, true
}

// Close refuses new requests, makes the long-lived connections hang up, and waits
// until all have ended. If ctx ends first, Close returns its error. Only the first
// call closes; later calls wait as well.
func (d *Drain) Close(ctx context.Context) error {
	d.mu.Lock()
	if !d.closed {
		d.closed, d.empty = true, make(chan struct{})
		for hangUp := range d.hangUps {
			d.running++
			go func() {
				defer d.leave()
				(*hangUp)(ctx)
			}()
		}
		if d.running == 0 {
			close(d.empty)
		}
	}
	d.mu.Unlock()
	select {
	case <-d.empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
