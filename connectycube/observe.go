package connectycube

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Result is how an exchange with the service ended.
type Result string

// The results.
const (
	ResultOK          Result = "ok"
	ResultRefused     Result = "refused"      // a 4xx
	ResultRateLimited Result = "rate_limited" // a 429
	ResultFailed      Result = "failed"       // a 5xx, or an answer that is not usable
	ResultNoAnswer    Result = "no_answer"    // no connection, or none in time
	ResultCanceled    Result = "canceled"     // the caller has left
	ResultSuspended   Result = "suspended"    // the breaker is open, and nothing was sent
)

// Results lists all results.
func Results() []Result {
	return []Result{ResultOK, ResultRefused, ResultRateLimited, ResultFailed, ResultNoAnswer, ResultCanceled, ResultSuspended}
}

// Exchange is one call and its answer, for metrics.
type Exchange struct {
	Result Result
	Took   time.Duration // 0 for a call that was not sent
}

// resultOf returns the result that the error of a call shows.
func resultOf(ctx context.Context, err error) Result {
	api, answered := errors.AsType[*APIError](err)
	switch {
	case err == nil:
		return ResultOK
	case answered && api.Status == http.StatusTooManyRequests:
		return ResultRateLimited
	case answered && api.Status >= 400 && api.Status <= 499:
		return ResultRefused
	case answered:
		return ResultFailed
	case errors.Is(err, errOpen):
		return ResultSuspended
	case errors.Is(ctx.Err(), context.Canceled):
		return ResultCanceled
	}
	return ResultNoAnswer
}
