package resolvers

import (
	"context"
	"errors"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/identity"
	"cubegate/store"
)

// Operation is one row of the table of operations.
type Operation struct {
	Name    string          // in the schema
	Role    identity.Role   // of the caller; the zero role refuses every caller
	Costs   []identity.Cost // that the operation takes
	Audit   store.AuditKind // of its events; "" = it records none
	REST    string          // methods and path of the twin, such as "GET /auth/me"; "" = it has none
	Message string          // of a response without data

	Codes []apierror.Code // of its refusals, beside those that the other fields imply; see Refusals
}

// Refusals returns the codes with which the operation refuses a request. Those of every
// operation, such as [apierror.InternalServerError], are not among them. openapi.json says
// when each one comes.
func (op Operation) Refusals() []apierror.Code {
	codes := append([]apierror.Code{apierror.ServiceUnavailable}, op.Codes...)
	if op.Role == identity.RoleUser || op.Role == identity.RoleAdmin {
		codes = append(codes, apierror.Unauthenticated)
	}
	if op.Role == identity.RoleAdmin {
		codes = append(codes, apierror.Forbidden)
	}
	if len(op.Costs) > 0 {
		codes = append(codes, apierror.RateLimited)
	}
	return codes
}

var (
	opHello = Operation{Name: "hello", Role: identity.RoleAnyone}

	opMe = Operation{Name: "me", Role: identity.RoleUser, REST: "GET /auth/me"}

	opSessions = Operation{Name: "sessions", Role: identity.RoleUser, REST: "GET /auth/sessions"}

	opUsers = Operation{
		Name:  "users",
		Role:  identity.RoleAdmin,
		Codes: []apierror.Code{apierror.BadUserInput},
	}

	opAudit = Operation{
		Name:  "audit",
		Role:  identity.RoleAdmin,
		Codes: []apierror.Code{apierror.BadUserInput},
	}

	opRegister = Operation{
		Name:    "register",
		Role:    identity.RoleAnyone,
		Costs:   []identity.Cost{identity.CostRegistration, identity.CostGuess}, // a repeated one compares the password
		Audit:   store.AuditRegister,
		REST:    "POST /auth/register",
		Message: "user register successfully", // clients of the NestJS original compare it
		Codes:   []apierror.Code{apierror.BadUserInput, apierror.Conflict, apierror.UpstreamUnavailable},
	}

	opLogin = Operation{
		Name:    "login",
		Role:    identity.RoleAnyone,
		Costs:   []identity.Cost{identity.CostGuess},
		Audit:   store.AuditLogin,
		REST:    "POST /auth/login",
		Message: "Login successful", // clients of the NestJS original compare it
		Codes:   []apierror.Code{apierror.BadUserInput, apierror.Unauthenticated, apierror.Forbidden},
	}

	opLoginByToken = Operation{
		Name:    "login_By_token",
		Role:    identity.RoleAnyone,
		Costs:   []identity.Cost{identity.CostGuess},
		Audit:   store.AuditLogin,
		REST:    "POST /auth/login-by-token",
		Message: "Login successful",
		Codes:   []apierror.Code{apierror.BadUserInput, apierror.Unauthenticated, apierror.Forbidden},
	}

	opRefresh = Operation{
		Name:    "refresh",
		Role:    identity.RoleAnyone,
		Costs:   []identity.Cost{identity.CostToken},
		Audit:   store.AuditRefresh,
		REST:    "POST /auth/refresh",
		Message: "Refreshed",
		Codes:   []apierror.Code{apierror.BadUserInput, apierror.Unauthenticated, apierror.StaleRefreshToken},
	}

	opLogout = Operation{
		Name:    "logout",
		Role:    identity.RoleAnyone, // it proves itself, also with an expired token
		Costs:   []identity.Cost{identity.CostToken},
		Audit:   store.AuditLogout,
		REST:    "POST /auth/logout",
		Message: "Logged out",
		Codes:   []apierror.Code{apierror.BadUserInput, apierror.Unauthenticated},
	}

	opLogoutEverywhere = Operation{
		Name:    "logoutEverywhere",
		Role:    identity.RoleUser,
		Audit:   store.AuditLogoutAll,
		REST:    "DELETE /auth/sessions",
		Message: "Logged out everywhere",
	}

	opRevokeSession = Operation{
		Name:    "revokeSession",
		Role:    identity.RoleUser,
		Audit:   store.AuditRevoke,
		REST:    "DELETE /auth/sessions/{id}",
		Message: "Session ended",
		Codes:   []apierror.Code{apierror.NotFound},
	}

	opUpdateProfile = Operation{
		Name:  "updateProfile",
		Role:  identity.RoleUser,
		Codes: []apierror.Code{apierror.BadUserInput},
	}

	opChangePassword = Operation{
		Name:    "changePassword",
		Role:    identity.RoleUser,
		Costs:   []identity.Cost{identity.CostGuess},
		Audit:   store.AuditPassword,
		Message: "Password changed; all other sessions have ended",
		Codes:   []apierror.Code{apierror.BadUserInput, apierror.Forbidden, apierror.UpstreamUnavailable},
	}

	opChangeEmail = Operation{
		Name:  "changeEmail",
		Role:  identity.RoleUser,
		Costs: []identity.Cost{identity.CostGuess},
		Audit: store.AuditEmail,
		Codes: []apierror.Code{apierror.BadUserInput, apierror.Forbidden, apierror.Conflict},
	}

	opDeleteMyAccount = Operation{
		Name:    "deleteMyAccount",
		Role:    identity.RoleUser,
		Costs:   []identity.Cost{identity.CostGuess},
		Audit:   store.AuditDelete,
		Message: "Account deleted",
		Codes:   []apierror.Code{apierror.Forbidden, apierror.UpstreamUnavailable},
	}

	opSetRoles = Operation{
		Name:  "setRoles",
		Role:  identity.RoleAdmin,
		Audit: store.AuditRoles,
		Codes: []apierror.Code{apierror.BadUserInput, apierror.NotFound, apierror.Conflict},
	}

	opDisableUser = Operation{
		Name:  "disableUser",
		Role:  identity.RoleAdmin,
		Audit: store.AuditDisable,
		Codes: []apierror.Code{apierror.BadUserInput, apierror.NotFound},
	}

	opEnableUser = Operation{
		Name:  "enableUser",
		Role:  identity.RoleAdmin,
		Audit: store.AuditEnable,
		Codes: []apierror.Code{apierror.NotFound},
	}

	opDeleteUser = Operation{
		Name:    "deleteUser",
		Role:    identity.RoleAdmin,
		Audit:   store.AuditDelete,
		Message: "User deleted",
		Codes:   []apierror.Code{apierror.BadUserInput, apierror.NotFound, apierror.UpstreamUnavailable},
	}

	// opVerify is the only operation that is not in the schema: ConnectyCube's
	// callback. A token proves itself, and a password is read only with the callback
	// secret; see verify.go.
	opVerify = Operation{
		Name:  "verify",
		Role:  identity.RoleAnyone,
		Costs: []identity.Cost{identity.CostCallback, identity.CostToken},
		Audit: store.AuditVerify,
		REST:  "GET,POST " + VerifyPath,
		Codes: []apierror.Code{apierror.BadUserInput, apierror.Unauthenticated, apierror.Forbidden, apierror.UnsupportedMediaType},
	}
)

// Operations returns all rows. Tests compare them with all that depends on them.
func Operations() []Operation {
	return []Operation{
		opHello, opMe, opSessions, opUsers, opAudit,
		opRegister, opLogin, opLoginByToken, opRefresh,
		opLogout, opLogoutEverywhere, opRevokeSession,
		opUpdateProfile, opChangePassword, opChangeEmail, opDeleteMyAccount,
		opSetRoles, opDisableUser, opEnableUser, opDeleteUser,
		opVerify,
	}
}

// none is the input of an operation without arguments.
type none struct{}

// run finds the caller, checks the role, and calls an operation. Every operation passes
// through it. The caller carries the costs and the audit kind of the row to the flow,
// which charges a guess when its hash starts and refunds a correct password. A flow that
// hashes a password without a cost fails.
func run[In, Out any](ctx context.Context, a *API, op Operation, in In, do func(context.Context, identity.Caller, In) (Out, error)) (out Out, err error) {
	ended := errPanicked
	defer func() { a.noteEnd(ctx, op, ended) }()
	c, err := a.caller(ctx, op)
	if err == nil {
		out, err = do(ctx, c, in)
	}
	ended = err
	return out, err
}

// errPanicked is the error of an operation that has not returned.
var errPanicked = errors.New("panic in an operation")

// noteRefused reports an operation that no resolver has run.
func (a *API) noteRefused(ctx context.Context, operation string, code apierror.Code) {
	reason := apierror.ReasonNone
	if code != "" {
		reason = apierror.ReasonOf(&apierror.Error{Code: code})
	}
	a.observe(ctx, operation, reason)
}

// noteEnd reports the end of an operation.
func (a *API) noteEnd(ctx context.Context, op Operation, err error) {
	reason := apierror.ReasonNone
	if err != nil {
		reason = apierror.ReasonOf(Outward(err))
	}
	a.observe(ctx, op.Name, reason)
}
