package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	ErrMalformed   = errors.New("document is malformed")             // a MalformedError names it
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
	case mongo.IsTimeout(err), mongo.IsNetworkError(err), isSelection(err), isPoolCleared(err), hasCode(err, unavailableCodes):
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

// unavailableCodes are MongoDB's error codes for a database that is away for a while
// (error_codes.yml). The driver tries some operations once more, and an election may take longer.
// Each of the codes may also be the write concern error of a write that has happened on one member
// and may be undone.
var unavailableCodes = []int{
	// The member is shutting down, or is not the primary, or is changing its state
	// (https://github.com/mongodb/specifications, server-discovery-and-monitoring).
	91, 189, 10058, 10107, 11600, 11602, 13435, 13436,
	// A mongos cannot reach a member, or a member cannot reach the others
	// (https://github.com/mongodb/specifications, retryable-writes).
	6, 7, 89, 134, 262, 9001,
	133, // no member satisfies the read preference
	64,  // too few members have confirmed the write in time
	// The disk is full or broken. The database wrote nothing.
	14031, 39,
}

// hasCode reports whether an answer of the database has one of the codes, also for one of several
// writes and as a write concern error.
func hasCode(err error, codes []int) bool {
	answer, ok := errors.AsType[mongo.ServerError](err)
	return ok && slices.ContainsFunc(codes, answer.HasErrorCode)
}

// refusalCodes are MongoDB's error codes for an update that does not fit the document
// (error_codes.yml): BadValue and TypeMismatch, because an operator meets a value of another type,
// and PathNotViable, because a path leads through a value that is no document.
var refusalCodes = []int{2, 14, 28}

// isRefusal reports whether the database refused an update because of the types in a document.
// The updates of this package are always well-formed.
func isRefusal(err error) bool { return hasCode(err, refusalCodes) }
