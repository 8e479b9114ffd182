package server

import (
	"context"
	"time"
)

const (
	// handshakeTime is the time for the handshakes under way when the kernel begins to
	// ignore new ones.
	handshakeTime = 25 * time.Millisecond

	// lingerTime is the time for which connections that a proxy keeps open are served
	// after the port has closed. A proxy may be sending a request on one, and must not
	// repeat it if the connection breaks.
	lingerTime = 500 * time.Millisecond
	shortPause = 5 * time.Millisecond
)

// stopAccepting closes the port of an endpoint. Its connections stay. A connection that the
// client has established is accepted: closing the port alone would reset those that wait in
// the kernel's queue. Clients whose attempts were ignored repeat them after a second, and
// are refused then: a proxy turns to another process.
// Where the kernel lets only privileged processes ignore attempts, the port closes at a moment
// without a queue: a connection that is established in that moment is reset.
func (e *endpoint) stopAccepting(ctx context.Context) {
	if e.port == nil {
		return // it was never opened
	}
	queue, cancel := context.WithCancel(ctx)
	defer cancel()
	if ignoreNewConnections(e.port) {
		wait(ctx, handshakeTime)
	} else { // clients may fill the queue again and again
		time.AfterFunc(lingerTime, cancel)
	}
	for hasQueue(e.port) && queue.Err() == nil {
		wait(queue, shortPause)
	}
	_ = closePort(e.port) // an error would mean that it is closed
	select {
	case <-e.served: // the HTTP server knows each accepted connection
	case <-ctx.Done():
	}
}

// linger waits until no connection is open, or for lingerTime.
func (e *endpoint) linger(ctx context.Context) {
	for end := time.Now().Add(lingerTime); e.connections.Open() > 0 && ctx.Err() == nil && time.Now().Before(end); {
		wait(ctx, shortPause)
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
