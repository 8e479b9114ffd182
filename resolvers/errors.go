package resolvers

import (
	"context"
	"errors"
	"time"

	"cubegate/connectycube"
	"cubegate/resolvers/apierror"
	"cubegate/resolvers/provisioning"
	"cubegate/store"
	"cubegate/tokens"
)

// public maps inner errors to what clients see; the first match counts.
var public = []struct {
	is      error
	code    apierror.Code
	message string
	reason  apierror.Reason // "" = that of the code
}{
	{context.Canceled, apierror.Canceled, "The request was canceled", ""},
	{store.TakenError{Field: "email"}, apierror.Conflict, "Email already exists", apierror.ReasonEmailTaken},
	{store.ErrChanged, apierror.Conflict, "Another request changed the data at the same time; try again", ""},
	{store.ErrNotFound, apierror.NotFound, "The user does not exist; check the user's ID", ""},
	{store.ErrMalformed, apierror.MalformedData, "The stored data of this account is damaged; contact support", ""},
	{provisioning.ErrForeignAccount, apierror.Conflict, "Email already exists at the chat service, with another password; use another email", apierror.ReasonEmailTaken},
	{provisioning.ErrCannotDelete, apierror.UpstreamUnavailable, "The chat service deletes this account only with the user's password or an administration key; ask the user to delete it, or set CONNECTYCUBE_ADMIN_KEY", ""},
	{provisioning.ErrPasswordRequired, apierror.UpstreamUnavailable, "The chat service needs the user's password; log in with the password, then try again", ""},
	{store.ErrUnavailable, apierror.ServiceUnavailable, "The service is unavailable; try again in a moment", apierror.ReasonDatabase},
	{tokens.ErrBusy, apierror.ServiceUnavailable, "The service is busy; try again in a moment", apierror.ReasonHashQueue},
	{tokens.ErrLaneFull, apierror.RateLimited, "Too many simultaneous logins from this network; try again in a moment", apierror.ReasonHashQueue},
	{tokens.ErrWrongPassword, apierror.Unauthenticated, "Invalid email or password", apierror.ReasonWrongPassword},
	{tokens.ErrTooLong, apierror.BadUserInput, "The password is too long; choose one of at most 72 bytes in UTF-8", ""},
	{tokens.ErrExpired, apierror.Unauthenticated, "The token has expired; refresh it or log in again", apierror.ReasonExpiredToken},
	{tokens.ErrInvalid, apierror.Unauthenticated, "The token is not valid; log in again", apierror.ReasonInvalidToken},
	{connectycube.ErrTaken, apierror.Conflict, "Email already exists", apierror.ReasonEmailTaken},
	{connectycube.ErrUnavailable, apierror.UpstreamUnavailable, "The chat service is unavailable; try again in a moment", ""},
	{connectycube.ErrRefused, apierror.UpstreamUnavailable, "The chat service refused the account; contact support", ""},
	{connectycube.ErrMisconfigured, apierror.UpstreamUnavailable, "The chat service is not configured for this server; contact support", ""},
	{connectycube.ErrIdentityProvider, apierror.UpstreamUnavailable, "The chat service is not configured for this server; contact support", ""},
	{connectycube.ErrBadCredentials, apierror.UpstreamUnavailable, "The chat service refused the account; contact support", ""},
	{connectycube.ErrNotFound, apierror.UpstreamUnavailable, "The chat service refused the account; contact support", ""},
	{connectycube.ErrSessionExpired, apierror.UpstreamUnavailable, "The chat service is unavailable; try again in a moment", ""},
	{provisioning.ErrPending, apierror.ServiceUnavailable, "The account at the chat service is not ready yet; try again in a moment", apierror.ReasonConnectyCube},
}

// Outward is the only exit for an error. An error without a row in the table
// becomes InternalServerError and reveals nothing.
func Outward(err error) *apierror.Error {
	if ours, ok := errors.AsType[*apierror.Error](err); ok {
		return ours
	}
	for _, p := range public {
		if errors.Is(err, p.is) {
			return &apierror.Error{Code: p.code, Message: p.message, RetryAfter: retryAfter(err), Limited: isLimit(err), Reason: p.reason, Cause: err}
		}
	}
	return &apierror.Error{Code: apierror.InternalServerError, Message: "Something went wrong on our side", Limited: isLimit(err), Cause: err}
}

// isLimit reports whether a request did not start because too many requests wait for a
// password hash.
func isLimit(err error) bool {
	_, is := errors.AsType[*tokens.QueueError](err)
	return is
}

// retryAfter returns the time after which a retry makes sense, or 0 if it is unknown.
func retryAfter(err error) time.Duration {
	if api, ok := errors.AsType[*connectycube.APIError](err); ok {
		return api.RetryAfter
	}
	if full, ok := errors.AsType[*tokens.QueueError](err); ok {
		return full.After
	}
	if over, ok := errors.AsType[*provisioning.OverBudgetError](err); ok {
		return over.RetryAfter
	}
	return 0
}
