package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"
)

// Errors that callers may test for. Any other error means that this package does not
// understand the answer of the database.
var (
	ErrNotFound    = errors.New("not found")
	ErrTaken       = errors.New("already taken")                     // a TakenError names the field
	ErrBadCursor   = errors.New("page cursor is not an ID")          // of a record in the list
	ErrChanged     = errors.New("document was changed concurrently") // nothing was written
	ErrUnavailable = errors.New("database is unavailable")           // a write may have happened
)

// TakenError means that another document has the value of a unique field. It is
// [ErrTaken], and equal to any other TakenError for the same field.
type TakenError struct{ Field string }

func (e TakenError) Error() string { return e.Field + " is already taken" }

// Is makes every TakenError an [ErrTaken].
func (e TakenError) Is(target error) bool { return target == ErrTaken }

// wrapError names the action that failed and maps the driver's errors to the
// sentinels of this package.
func wrapError(action string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, mongo.ErrNoDocuments):
		return fmt.Errorf("%s: %w", action, ErrNotFound)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", action, err)
	case mongo.IsTimeout(err), mongo.IsNetworkError(err), isSelection(err), isPoolCleared(err), isUnwritable(err):
		return fmt.Errorf("%s: %w: %w", action, ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", action, err)
}

// isSelection reports whether the driver found no server. The driver exports neither a
// sentinel nor a type that its helpers recognize.
func isSelection(err error) bool {
	return errors.Is(err, mongo.ErrClientDisconnected) ||
		strings.HasPrefix(err.Error(), "server selection error")
}

// isPoolCleared reports whether the driver abandoned the operation because of the network
// error of another one. The driver has no label for it and does not export the type.
func isPoolCleared(err error) bool {
	var cleared driver.RetryablePoolError // no error type, so AsType does not take it
	return errors.As(err, &cleared)
}

// MongoDB's error codes for data that cannot be written to the disk (error_codes.yml).
const (
	fileStreamFailed = 39
	outOfDiskSpace   = 14031
)

// isUnwritable reports whether the database could not write to its disk. It wrote nothing.
func isUnwritable(err error) bool {
	answer, ok := errors.AsType[mongo.ServerError](err)
	return ok && (answer.HasErrorCode(outOfDiskSpace) || answer.HasErrorCode(fileStreamFailed))
}
