package middleware

import (
	"context"
	"net/http"
	"sync"
)

// A Drain ends a service without cutting off requests. After Close, new requests
// are refused and the running ones continue. Exempt requests pass in any case,
// because running requests wait for them: if a request calls another service that
// calls back, the callback must be served. A listener alone cannot tell the two
// apart.
//
// The zero value is open. A Drain is safe for concurrent use.
type Drain struct {
	mu      sync.Mutex
	running int
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

// Close refuses new requests and waits until the running ones have ended. If ctx
// ends first, Close returns its error. Only the first call closes; later calls wait
// as well.
func (d *Drain) Close(ctx context.Context) error {
	d.mu.Lock()
	if !d.closed {
		d.closed, d.empty = true, make(chan struct{})
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
