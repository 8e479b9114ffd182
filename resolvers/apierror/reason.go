package apierror

// Reason is why an operation was refused or failed. It is more precise than a [Code], and
// no client sees it: it is for logs and metrics. The list is closed.
type Reason string

// The reasons.
const (
	ReasonNone          Reason = "none" // the operation succeeded
	ReasonInvalidInput  Reason = "invalid_input"
	ReasonNoToken       Reason = "no_token"
	ReasonInvalidToken  Reason = "invalid_token" // never issued here
	ReasonExpiredToken  Reason = "expired_token"
	ReasonReplayedToken Reason = "replayed_token" // an older refresh token was reused; its login session has ended
	ReasonStaleToken    Reason = "stale_token"    // a refresh token that was replaced a moment ago
	ReasonSessionEnded  Reason = "session_ended"
	ReasonWrongPassword Reason = "wrong_password" // also for an unknown email
	ReasonDisabled      Reason = "disabled"
	ReasonForbidden     Reason = "forbidden" // another role, or the callback secret, is needed
	ReasonEmailTaken    Reason = "email_taken"
	ReasonNotFound      Reason = "not_found"
	ReasonConflict      Reason = "conflict"
	ReasonBudget        Reason = "budget"     // a budget is spent
	ReasonHashQueue     Reason = "hash_queue" // too many passwords wait to be hashed
	ReasonCanceled      Reason = "canceled"   // the client has gone
	ReasonBusy          Reason = "busy"
	ReasonDatabase      Reason = "database"
	ReasonConnectyCube  Reason = "connectycube"
	ReasonMalformedData Reason = "malformed_data"
	ReasonInternal      Reason = "internal"
)

// Reasons lists all reasons.
func Reasons() []Reason {
	return []Reason{
		ReasonNone, ReasonInvalidInput, ReasonNoToken, ReasonInvalidToken, ReasonExpiredToken, ReasonReplayedToken, ReasonStaleToken,
		ReasonSessionEnded, ReasonWrongPassword, ReasonDisabled, ReasonForbidden, ReasonEmailTaken, ReasonNotFound, ReasonConflict,
		ReasonBudget, ReasonHashQueue, ReasonCanceled, ReasonBusy, ReasonDatabase, ReasonConnectyCube, ReasonMalformedData, ReasonInternal,
	}
}

// Outcome is the result of an operation in one word.
type Outcome string

// The outcomes.
const (
	OutcomeOK       Outcome = "ok"
	OutcomeRefused  Outcome = "refused"  // the client can correct it, or must wait
	OutcomeFailed   Outcome = "failed"   // the server failed, or a service that it needs
	OutcomeCanceled Outcome = "canceled" // the client has gone
)

// Outcome returns the outcome of an operation that ended for this reason.
func (r Reason) Outcome() Outcome {
	switch r {
	case ReasonNone:
		return OutcomeOK
	case ReasonCanceled:
		return OutcomeCanceled
	case ReasonBusy, ReasonDatabase, ReasonConnectyCube, ReasonMalformedData, ReasonInternal:
		return OutcomeFailed
	}
	return OutcomeRefused
}

// reasonOf has the reason of errors that give none.
var reasonOf = map[Code]Reason{
	Unauthenticated: ReasonNoToken, StaleRefreshToken: ReasonStaleToken, Forbidden: ReasonForbidden, NotFound: ReasonNotFound,
	Conflict: ReasonConflict, MalformedData: ReasonMalformedData, RateLimited: ReasonBudget, Canceled: ReasonCanceled,
	InternalServerError: ReasonInternal, UpstreamUnavailable: ReasonConnectyCube, ServiceUnavailable: ReasonBusy,
}

// ReasonOf returns the reason of an error, ReasonNone for nil.
func ReasonOf(e *Error) Reason {
	if e == nil {
		return ReasonNone
	}
	if e.Reason != "" {
		return e.Reason
	}
	if r, ok := reasonOf[e.Code]; ok {
		return r
	}
	return ReasonInvalidInput // the other codes are mistakes of the client
}
