package resolvers

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"cubegate/resolvers/identity"
	"cubegate/resolvers/identity/identitytest"
	"cubegate/resolvers/transport"
	"cubegate/store"
	"cubegate/tokens"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
)

const (
	adaID     = identitytest.AdaID
	adaCubeID = identitytest.AdaCubeID
)

// testCallbackSecret is what ConnectyCube sends in these tests.
const testCallbackSecret = "Qm7-callback-4TzR2vW9xK1p"

// credentials are Ada's.
var credentials = identity.LoginInput{Email: identitytest.AdaEmail, Password: identitytest.AdaPassword}

// fakes stand below an API.
type fakes struct {
	*API
	users     *identitytest.Users
	sessions  *identitytest.Sessions
	accounts  *identitytest.Accounts
	events    *identitytest.Events
	passwords *identitytest.Hasher
	auditor   *identity.Auditor
	log       *strings.Builder
}

// parts are what a test may replace before an API is built.
type parts struct {
	flows   identity.Options
	budgets identity.BudgetOptions
	api     Options
}

// newFakes builds an API over a store with Ada.
func newFakes(t testing.TB, edits ...func(*parts)) fakes {
	t.Helper()
	ring, err := tokens.NewSecretRing("a secret that is long enough: 5k2jf8Zq")
	must(t, err)
	ada := identitytest.Ada()
	f := fakes{
		users: &identitytest.Users{User: &ada}, sessions: &identitytest.Sessions{All: map[string]store.Session{"s1": identitytest.AdasSession()}},
		events: &identitytest.Events{}, passwords: &identitytest.Hasher{}, log: &strings.Builder{},
	}
	f.accounts = &identitytest.Accounts{Users: f.users}
	log := slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	f.auditor, err = identity.StartAuditor(identity.AuditorOptions{Events: f.events, Outward: Outward, Log: log})
	must(t, err)
	t.Cleanup(func() { f.auditor.Close(context.Background()) })
	p := parts{
		flows: identity.Options{
			Stores:   identity.Stores{Users: f.users, Admin: onePage{}, Active: f.users, Sessions: f.sessions, EvictSession: f.users.EvictSession, LogOutEvicted: identitytest.Evictions{Users: f.users, Sessions: f.sessions}.LogOut, UpgradeHash: f.users.UpgradeHash},
			Accounts: identity.Accounts{Opener: f.accounts, Editor: noEditor{}, DerivedPasswords: ring.DerivedPasswords},
			Tokens:   identity.Tokens{Issuer: identitytest.Issuer{}, Verifier: identitytest.Verifier{}, Refresh: ring, Devices: ring},
			Hasher:   f.passwords, Auditor: f.auditor, Log: log,
			Limits:    identity.Limits{Idle: time.Hour, Absolute: 2 * time.Hour, Reuse: 30 * time.Second, PerUser: 3, MaxPasswordChars: identity.SharedPasswordChars},
			NetworkOf: func(ip string) string { return ip }, UpstreamTimeout: time.Minute,
		},
		budgets: identity.BudgetOptions{
			LoginFailures: identity.BudgetBound{Burst: 3, Every: time.Minute}, Callbacks: identity.BudgetBound{Burst: 3, Every: time.Minute},
			New: func(b identity.BudgetBound) (identity.Budget, error) { return identitytest.NewBudget(b.Burst), nil }, Log: log,
		},
		api: Options{
			Client: func(context.Context) identity.ClientInfo {
				return identity.ClientInfo{IP: "192.0.2.1", Networks: []string{"192.0.2.1"}}
			},
			Chat: ChatEndpoints{AppID: 1001, APIURL: "https://api.example.test", Domain: "chat.example.test", URL: "wss://chat.example.test:5291"},
			Log:  log, CallbackSecret: testCallbackSecret,
		},
	}
	for _, edit := range edits {
		edit(&p)
	}
	p.flows.Budgets, err = identity.NewBudgets(p.budgets)
	must(t, err)
	p.api.Flows, err = identity.New(p.flows)
	must(t, err)
	f.API, err = NewAPI(p.api)
	must(t, err)
	return f
}

// noEditor changes no account: any call panics.
type noEditor struct{ identity.AccountEditor }

// spentBudgets lets the API refuse every guess.
func spentBudgets(p *parts) {
	p.budgets.New = func(identity.BudgetBound) (identity.Budget, error) { return identitytest.NewBudget(0), nil }
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// graphQL returns the handler of GraphQL requests.
func (f fakes) graphQL(t testing.TB) *transport.Handler {
	t.Helper()
	h, err := f.GraphQL(true)
	must(t, err)
	return h
}

// newAPI returns an API with Ada, and its handler of GraphQL requests.
func newAPI(t testing.TB, edits ...func(*parts)) (fakes, *transport.Handler) {
	t.Helper()
	f := newFakes(t, edits...)
	return f, f.graphQL(t)
}

// rest returns the handler of REST requests.
func (f fakes) rest() http.Handler {
	r := chi.NewRouter()
	r.Use(chimiddleware.GetHead)
	f.Mount(r, r)
	return transport.Bearer(r)
}

// recorded writes the refusals that wait and returns all events.
func (f fakes) recorded(t testing.TB) []store.Event {
	t.Helper()
	must(t, f.auditor.Flush(t.Context()))
	return f.events.List()
}

// onePage is a directory of users that has one page.
type onePage []store.User

func (p onePage) Page(_ context.Context, _ store.UserFilter, _ string, limit int) (store.Page[store.User], error) {
	page := store.Page[store.User]{Items: p}
	if len(p) >= limit {
		page.Next = "later"
	}
	return page, nil
}

func (onePage) SetRoles(context.Context, string, []string) (store.User, error) {
	panic("not asked for")
}

func (onePage) SetDisabled(context.Context, string, bool) (store.User, error) {
	panic("not asked for")
}
