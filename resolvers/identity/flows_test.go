package identity

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"cubegate/connectycube"
	"cubegate/resolvers/apierror"
	"cubegate/resolvers/identity/identitytest"
	"cubegate/resolvers/provisioning"
	"cubegate/store"
	"cubegate/tokens"
)

const (
	adaID     = identitytest.AdaID
	adaCubeID = identitytest.AdaCubeID
)

// ada is the user in these tests.
var ada = RegisterInput{Email: identitytest.AdaEmail, FirstName: "Ada", LastName: "Lovelace", Password: identitytest.AdaPassword}

// flows are the flows and the fakes below them.
type flows struct {
	*Flows
	users     *identitytest.Users
	sessions  *identitytest.Sessions
	accounts  *identitytest.Accounts
	events    *identitytest.Events
	passwords *identitytest.Hasher
	editor    *editor
	directory *directory
	devices   DeviceTokenCodec
	budgets   *Budgets
	auditor   *Auditor
	client    *ClientInfo
	log       *strings.Builder
}

// editor changes accounts. A test sets the one that it needs; the others panic.
type editor struct{ AccountEditor }

// directory is what administrators see; as for editor.
type directory struct{ AdminUserStore }

func newFlows(t testing.TB, edits ...func(*Options)) flows {
	t.Helper()
	ring, err := tokens.NewSecretRing("a secret that is long enough: 5k2jf8Zq")
	if err != nil {
		t.Fatal(err)
	}
	f := flows{
		users: &identitytest.Users{}, sessions: &identitytest.Sessions{All: map[string]store.Session{}}, events: &identitytest.Events{},
		passwords: &identitytest.Hasher{}, editor: &editor{}, directory: &directory{}, devices: ring, log: &strings.Builder{},
		client: &ClientInfo{IP: "192.0.2.1", Networks: []string{"192.0.2.1"}},
	}
	f.accounts = &identitytest.Accounts{Users: f.users}
	log := slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if f.auditor, err = StartAuditor(AuditorOptions{Events: f.events, Outward: outward, Log: log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.auditor.Close(context.Background()) })
	f.budgets, err = NewBudgets(BudgetOptions{
		LoginFailures: BudgetBound{3, time.Minute}, PerAccount: BudgetBound{5, time.Minute}, PerNetwork: BudgetBound{8, time.Minute},
		Callbacks: BudgetBound{3, time.Minute}, KnownTurns: BudgetBound{30, time.Minute}, Registrations: BudgetBound{4, time.Minute}, InvalidTokens: BudgetBound{6, time.Minute},
		Log: log, New: func(b BudgetBound) (Budget, error) { return identitytest.NewBudget(b.Burst), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Stores:   Stores{Users: f.users, Admin: f.directory, Active: f.users, Sessions: f.sessions, EvictSession: f.users.EvictSession, LogOutEvicted: identitytest.Evictions{Users: f.users, Sessions: f.sessions}.LogOut, UpgradeHash: f.users.UpgradeHash},
		Accounts: Accounts{Opener: f.accounts, Editor: f.editor, DerivedPasswords: ring.DerivedPasswords},
		Tokens:   Tokens{Issuer: identitytest.Issuer{}, Verifier: identitytest.Verifier{}, Refresh: ring, Devices: ring},
		Hasher:   f.passwords, Budgets: f.budgets, Auditor: f.auditor, Log: log,
		Limits:    Limits{Idle: time.Hour, Absolute: 2 * time.Hour, Reuse: 30 * time.Second, PerUser: 3, MaxPasswordChars: SharedPasswordChars},
		NetworkOf: func(ip string) string { return ip }, RegisterWhileAway: true, UpstreamTimeout: time.Minute,
	}
	for _, edit := range edits {
		edit(&o)
	}
	if f.Flows, err = New(o); err != nil {
		t.Fatal(err)
	}
	return f
}

// stored puts Ada into the store, as she is after her registration.
func (f flows) stored(edit ...func(*store.User)) {
	u := identitytest.Ada()
	for _, e := range edit {
		e(&u)
	}
	f.sessions.All["s1"] = identitytest.AdasSession()
	f.users.User = &u
}

// from makes the flows see a client in a network.
func (f flows) from(network string) { *f.client = ClientInfo{IP: network, Networks: []string{network}} }

// stranger is the caller of an operation that needs no user.
func (f flows) stranger(kind store.AuditKind, costs ...Cost) Caller {
	return Caller{Client: *f.client, Costs: costs, Audit: kind}
}

// ada is Ada in her login session s1, as the caller of an operation.
func (f flows) ada(kind store.AuditKind, costs ...Cost) Caller {
	return Caller{User: *f.users.User, SessionID: "s1", Client: *f.client, Costs: costs, Audit: kind}
}

func (f flows) register(ctx context.Context, in RegisterInput) (LoginResult, error) {
	return f.Logins.Register(ctx, f.stranger(store.AuditRegister, CostRegistration), in)
}

func (f flows) login(ctx context.Context, in LoginInput) (LoginResult, error) {
	return f.Logins.Login(ctx, f.stranger(store.AuditLogin, CostGuess), in)
}

// loggedIn returns a login of Ada's.
func (f flows) loggedIn(t *testing.T) LoginResult {
	t.Helper()
	in, err := f.login(t.Context(), adaLogin)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func (f flows) refresh(ctx context.Context, token string) (LoginResult, error) {
	return f.Sessions.Refresh(ctx, f.stranger(store.AuditRefresh, CostToken), token)
}

// refreshed returns a refresh that must succeed.
func (f flows) refreshed(t *testing.T, token string) LoginResult {
	t.Helper()
	out, err := f.refresh(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// confirm checks a password for a login session of Ada's.
func (f flows) confirm(ctx context.Context, sessionID, password string) error {
	c := f.ada(store.AuditEmail, CostGuess)
	c.SessionID = sessionID
	return f.Passwords.confirm(ctx, c, password)
}

// verify presents what ConnectyCube does, and returns the status of the response.
func (f flows) verify(in CallbackRequest) int {
	_, err := f.Authenticator.VerifyCallback(context.Background(), f.stranger(store.AuditVerify, CostCallback, CostToken), in)
	if err != nil {
		return outward(err).Code.Status()
	}
	return http.StatusOK
}

func (f flows) verifyPassword(email, password string) int {
	return f.verify(CallbackRequest{Email: email, Password: password})
}

// recorded writes the refusals that wait and returns all events.
func (f flows) recorded(t testing.TB) []store.Event {
	t.Helper()
	if err := f.auditor.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f.events.List()
}

// outward stands in for the table of package resolvers.
func outward(err error) *apierror.Error {
	if ours, ok := errors.AsType[*apierror.Error](err); ok {
		return ours
	}
	for _, row := range []struct {
		is   error
		code apierror.Code
	}{
		{store.TakenError{Field: "email"}, apierror.Conflict},
		{store.ErrChanged, apierror.Conflict},
		{store.ErrNotFound, apierror.NotFound},
		{store.ErrUnavailable, apierror.ServiceUnavailable},
		{tokens.ErrBusy, apierror.ServiceUnavailable},
		{tokens.ErrLaneFull, apierror.RateLimited},
		{tokens.ErrWrongPassword, apierror.Unauthenticated},
		{tokens.ErrExpired, apierror.Unauthenticated},
		{tokens.ErrInvalid, apierror.Unauthenticated},
		{provisioning.ErrForeignAccount, apierror.Conflict},
		{connectycube.ErrTaken, apierror.Conflict},
		{connectycube.ErrRefused, apierror.UpstreamUnavailable},
		{connectycube.ErrUnavailable, apierror.UpstreamUnavailable},
	} {
		if errors.Is(err, row.is) {
			return &apierror.Error{Code: row.code, Cause: err}
		}
	}
	return &apierror.Error{Code: apierror.InternalServerError, Cause: err}
}
