package store

import (
	"context"
	"time"
)

// limit bounds each operation of a collection.
type limit struct {
	timeout time.Duration
	closed  context.Context // ends when the Store closes
}

// within bounds one operation. The client's own timeout is not enough: the
// driver leaves it out for a context that has a deadline, however far off. An
// operation also ends with the Store: the driver (v2.10.0) keeps a core busy
// until the deadline with one that waits for a server when the client
// disconnects.
func (l limit) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	forget := context.AfterFunc(l.closed, cancel)
	return ctx, func() { forget(); cancel() }
}
