package middleware

import (
	"context"
	"net/http"
	"sync"
)

// A Drain ends a service without cutting anybody off: once it closes, requests
// that are inside go on, and new ones are refused. Some must still get in, since
// what is inside waits for them: a service whose own request makes another one
// call back would otherwise never finish it. A listener alone cannot tell the two
// apart.
//
// The zero value lets everybody in. A Drain is safe for concurrent use.
type Drain struct {
	mu     sync.Mutex
	inside int
	closed bool
	empty  chan struct{} // closed when nobody is inside any more; nil until Close
}

// Gate lets requests through to next, and when the Drain is closed answers with
// refuse. Those for which always is true pass in any case, and are not waited for.
func (d *Drain) Gate(always func(*http.Request) bool, refuse http.HandlerFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case always(r):
				next.ServeHTTP(w, r)
			case d.enter():
				defer d.leave()
				next.ServeHTTP(w, r)
			default:
				w.Header().Set("Connection", "close") // the next try may reach another process
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
	d.inside++
	return true
}

func (d *Drain) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inside--
	if d.closed && d.inside == 0 {
		close(d.empty)
	}
}

// Close refuses new requests and waits until nobody is inside, or until ctx ends,
// whose error it returns then. Only the first call closes; the others wait as well.
func (d *Drain) Close(ctx context.Context) error {
	d.mu.Lock()
	if !d.closed {
		d.closed, d.empty = true, make(chan struct{})
		if d.inside == 0 {
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
