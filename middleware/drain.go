package middleware

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// A Drain ends a service without cutting off or refusing requests. It has two classes:
//
//   - Requests finish. After Begin, new ones are served as well, but their answers end
//     the connection, so that a client or proxy turns to another process.
//   - Long-lived connections, such as sockets and streams, hang up. Each has
//     registered a function with OnClose, which Begin calls at once.
//
// Close does not wait for exempt requests, because running requests wait for them: if a
// request calls another service that calls back, the callback must be served.
//
// The zero value is open. A Drain is safe for concurrent use.
type Drain struct {
	mu      sync.Mutex
	running int // requests, and calls of hangUps
	early   int // of these, the requests that began before Begin, and the hangUps
	exempt  int // requests that pass in any case
	hangUps map[*func(context.Context)]struct{}
	closed  bool
	idle    chan struct{} // closed when nothing runs; nil until Begin
	settled chan struct{} // closed when nothing early runs any more; nil until Begin
}

// drainPatience is how long Close waits for a moment in which no request runs. Under
// steady load there is none.
const drainPatience = time.Second

// Middleware passes requests to next, and counts those for which exempt is false.
func (d *Drain) Middleware(exempt func(*http.Request) bool) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			counted := !exempt(r)
			early := d.enter(counted)
			if counted {
				defer d.leave(early)
			} else {
				d.countExempt(1)
				defer d.countExempt(-1)
			}
			if !early {
				w.Header().Set("Connection", "close") // in HTTP/2, the server sends GOAWAY for it
			}
			next.ServeHTTP(w, r)
		})
	}
}

// enter reports whether the request comes before Begin.
func (d *Drain) enter(counted bool) (early bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if counted {
		d.running++
		if !d.closed {
			d.early++
		}
	}
	return !d.closed
}

func (d *Drain) leave(early bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running--
	if early {
		d.early--
	}
	if d.closed {
		d.signal()
	}
}

// signal closes the channels of what has come to its end. The caller holds mu.
func (d *Drain) signal() {
	if d.running == 0 && !ended(d.idle) {
		close(d.idle)
	}
	if d.early == 0 && !ended(d.settled) {
		close(d.settled)
	}
}

func ended(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (d *Drain) countExempt(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.exempt += n
}

// Running returns the numbers of running requests and of running exempt requests.
func (d *Drain) Running() (requests, exempt int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.running, d.exempt
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

// Begin makes the long-lived connections hang up, within the time of ctx, and each new
// request end its connection. Only the first call does.
func (d *Drain) Begin(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.closed, d.idle, d.settled = true, make(chan struct{}), make(chan struct{})
	for hangUp := range d.hangUps {
		d.running++
		d.early++
		go func() {
			defer d.leave(true)
			(*hangUp)(ctx)
		}()
	}
	d.signal()
}

// Close calls Begin. It waits for a moment in which no request runs, and after
// drainPatience only for the requests that began before Begin, and for the hangUps. If ctx
// ends first, Close returns its error.
func (d *Drain) Close(ctx context.Context) error {
	d.Begin(ctx)
	patience := time.NewTimer(drainPatience)
	defer patience.Stop()
	select {
	case <-d.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
	}
	select {
	case <-d.settled:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
