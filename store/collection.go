package store

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
)

// collection is the common part of Users, Sessions and Audit.
type collection struct {
	coll    *mongo.Collection
	taken   string // the field that a TakenError of this collection names
	timeout time.Duration
	closed  context.Context // ends when the Store closes
	log     *slog.Logger
}

// logMalformed logs that a list or a queue skips a malformed document.
func (c collection) logMalformed(ctx context.Context, err error) {
	c.log.LogAttrs(ctx, slog.LevelWarn, "malformed document skipped; run cubegate check", slog.Any("err", err))
}

// withTimeout bounds one operation. The client's own timeout is not enough, because the
// driver ignores it if the context has any deadline. Close of the Store also ends the
// operation: if an operation waits for a server when the client disconnects, the driver
// (v2.10.0) keeps a core busy until the deadline.
func (c collection) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	forget := context.AfterFunc(c.closed, cancel)
	return ctx, func() { forget(); cancel() }
}

// wrapError is [wrapError] for an error of this collection.
func (c collection) wrapError(action string, err error) error {
	if mongo.IsDuplicateKeyError(err) {
		return fmt.Errorf("%s: %w", action, TakenError{c.taken})
	}
	return wrapError(action, err)
}
