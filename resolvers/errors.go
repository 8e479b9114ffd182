package resolvers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"cubegate/connectycube"
	"cubegate/resolvers/accounts"
	"cubegate/store"
	"cubegate/tokens"
)

// public maps inner errors to what clients see; the first match counts.
var public = []struct {
	is      error
	code    Code
	message string
}{
	{context.Canceled, Canceled, "The request was canceled"},
	{store.ErrEmailTaken, Conflict, "Email already exists"},
	{store.ErrChanged, Conflict, "Somebody else has changed this at the same moment; try again"},
	{store.ErrNotFound, NotFound, "There is no such user"},
	{accounts.ErrForeign, Conflict, "Email already exists at the chat service, with another password"},
	{accounts.ErrCannotDelete, UpstreamUnavailable, "The chat service needs the user's password, or an administration key, to delete this account"},
	{accounts.ErrNeedsPassword, UpstreamUnavailable, "The chat service needs the user's password for this"},
	{store.ErrUnavailable, ServiceUnavailable, "The service cannot answer now; try again in a moment"},
	{tokens.ErrBusy, ServiceUnavailable, "The service is busy; try again in a moment"},
	{tokens.ErrLaneFull, RateLimited, "Too many logins from this network or for this account at once; try again in a moment"},
	{tokens.ErrWrongPassword, Unauthenticated, "Invalid email or password"},
	{tokens.ErrExpired, Unauthenticated, "The token has expired"},
	{tokens.ErrInvalid, Unauthenticated, "The token is not valid"},
	{connectycube.ErrTaken, Conflict, "Email already exists"},
	{connectycube.ErrUnavailable, UpstreamUnavailable, "The chat service is unavailable; try again in a moment"},
	{connectycube.ErrRefused, UpstreamUnavailable, "The chat service refused the account"},
	{connectycube.ErrMisconfigured, UpstreamUnavailable, "The chat service is not set up for this server"},
	{connectycube.ErrIdentityProvider, UpstreamUnavailable, "The chat service is not set up for this server"},
	{connectycube.ErrBadCredentials, UpstreamUnavailable, "The chat service refused the account"},
	{connectycube.ErrNotFound, UpstreamUnavailable, "The chat service refused the account"},
	{connectycube.ErrSessionExpired, UpstreamUnavailable, "The chat service is unavailable; try again in a moment"},
	{accounts.ErrPending, ServiceUnavailable, "The account at the chat service is not ready yet; try again in a moment"},
}

// outward is the only way out for an error. One that the table does not know
// says nothing.
func outward(err error) *Error {
	var ours *Error
	if errors.As(err, &ours) {
		return ours
	}
	for _, p := range public {
		if errors.Is(err, p.is) {
			return &Error{Code: p.code, Message: p.message, RetryAfter: retryAfter(err), Limited: isLimit(err), Cause: err}
		}
	}
	return &Error{Code: InternalServerError, Message: "Something went wrong on our side", Limited: isLimit(err), Cause: err}
}

// isLimit reports whether too many requests wait for a password hash, so that
// this one did not begin.
func isLimit(err error) bool { return errors.As(err, new(*tokens.QueueError)) }

func retryAfter(err error) time.Duration {
	var api *connectycube.APIError
	var full *tokens.QueueError
	switch {
	case errors.As(err, &api):
		return api.RetryAfter
	case errors.As(err, &full):
		return full.After
	}
	if over, ok := errors.AsType[*accounts.OverBudgetError](err); ok {
		return over.RetryAfter
	}
	return 0
}

// writeJSON answers with a body that no cache may keep: most have tokens.
func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}
