// Package bench measures the cost of requests without the password hash, which would cost
// a thousand times the rest.
//
//	go test -run='^$' -bench=. -benchmem ./bench
//
// Compare only figures of the same run: the speed of the machine varies more than most
// changes do. Command bench/load measures a running server from outside.
package main_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cubegate/connectycube"
	"cubegate/connectycube/sandbox"
	"cubegate/resolvers"
	"cubegate/resolvers/identity"
	"cubegate/resolvers/provisioning"
	"cubegate/resolvers/transport"
	"cubegate/store"
	"cubegate/store/embedded"
	"cubegate/tokens"

	"github.com/go-chi/chi/v5"
)

// plain is a hasher that does not hash.
type plain struct{}

func (plain) Hash(_ context.Context, _ tokens.Turn, password string) (string, error) {
	return password, nil
}
func (plain) Compare(_ context.Context, _ tokens.Turn, password, hash string) (bool, error) {
	if password != hash {
		return false, tokens.ErrWrongPassword
	}
	return false, nil
}

func (plain) Decoy(string) string { return "no password" }

func (plain) Announce(tokens.Turn) (func(), error) { return func() {}, nil }

// server is the server within this process, without sockets: the store on the embedded
// database, and the ConnectyCube client on the sandbox.
type server struct {
	api      http.Handler
	verify   http.Handler
	verifier *tokens.Verifier
	issuer   *tokens.Issuer
	users    *store.Users
	bearer   string // access token of the requests
}

func newServer(b *testing.B) *server {
	b.Helper()
	return newLimitedServer(b, new(identity.Budgets))
}

func newLimitedServer(b *testing.B, budgets *identity.Budgets) *server {
	b.Helper()
	db, err := embedded.Start(embedded.Options{File: filepath.Join(b.TempDir(), "bench.db"), NoSync: true})
	must(b, err)
	b.Cleanup(func() { _ = db.Close() })
	s, err := store.Open(b.Context(), store.Options{URI: db.URI(), Exchange: db.Exchange})
	must(b, err)
	b.Cleanup(func() { _ = s.Close(context.Background()) })
	ring, err := tokens.NewSecretRing(tokens.Secret(rand.Text() + rand.Text()))
	must(b, err)
	config := tokens.Config{Ring: ring}
	issuer, err := tokens.NewIssuer(config)
	must(b, err)
	verifier, err := tokens.NewVerifier(config)
	must(b, err)

	srv := &server{verifier: verifier, issuer: issuer, users: s.Users()}
	const callbackSecret = "of the bench alone"
	box := sandbox.New(sandbox.Options{
		AppID: 1001, AuthKey: "bench", HTTP: &http.Client{Transport: inProcess{srv}},
		CIdP: sandbox.CIdP{
			Enabled: true, Method: http.MethodPost, URL: "http://bench.example" + resolvers.VerifyPath,
			Headers:        map[string]string{resolvers.CallbackSecretHeader: callbackSecret},
			RequestParams:  map[string]string{"token": "#{login}", "email": "#{email}", "password": "#{password}"},
			ResponseParams: map[string]string{"uid": "#{user.id}"},
		},
	})
	cube, err := connectycube.New(connectycube.Options{BaseURL: "http://sandbox.example", AppID: 1001, AuthKey: "bench", HTTP: box.Client()})
	must(b, err)
	provisioner, err := provisioning.New(provisioning.Options{
		Cube: cube, CubeUsers: cube, UserAPI: cube,
		Database: provisioning.Database{
			Accounts: s.Accounts(), Users: s.Users(), Sessions: s.Sessions(), Line: s.Accounts(),
			RemoveSession: s.Users().RemoveSession, ExpireSession: s.Sessions().Expire, RemoveRevoked: s.Sessions().RemoveRevoked,
			Evictions: s.Evictions(),
		},
		Queues: provisioning.Queues{Accounts: s.AccountWork(), Sweeps: s.Sweeps(), Revocations: s.Revocations()},
		Sealer: ring, Tickets: issuer, DerivePasswords: ring.DerivedPasswords,
		Settings: provisioning.Settings{
			PasswordMode: provisioning.SharedPasswords, RegisterWhileAway: true, CIdPPassword: "fixed", UpstreamTimeout: time.Minute, ClockSkew: time.Second,
		},
		Log: slog.New(slog.DiscardHandler),
	})
	must(b, err)
	log := slog.New(slog.DiscardHandler)
	auditor, err := identity.StartAuditor(identity.AuditorOptions{Events: s.Audit(), Outward: resolvers.Outward, Log: log})
	must(b, err)
	b.Cleanup(func() { auditor.Close(context.Background()) })
	flows, err := identity.New(identity.Options{
		Stores:   identity.Stores{Users: s.Users(), Admin: s.Users(), Active: s.Users(), Sessions: s.Sessions(), EvictSession: s.Evictions().EvictSession, LogOutEvicted: s.Evictions().LogOut, UpgradeHash: s.Users().UpgradeHash},
		Accounts: identity.Accounts{Opener: provisioner, Editor: provisioner, DerivedPasswords: ring.DerivedPasswords},
		Tokens:   identity.Tokens{Issuer: issuer, Verifier: verifier, Refresh: ring, Devices: ring},
		Hasher:   plain{}, Budgets: budgets, Auditor: auditor, Log: log,
		Limits:    identity.Limits{Idle: time.Hour, Absolute: time.Hour, Reuse: 30 * time.Second, PerUser: 20, MaxPasswordChars: identity.SharedPasswordChars},
		NetworkOf: func(ip string) string { return ip }, UpstreamTimeout: time.Minute,
	})
	must(b, err)
	api, err := resolvers.NewAPI(resolvers.Options{
		Flows: flows, Chat: resolvers.ChatEndpoints{AppID: 1001}, Log: log, CallbackSecret: callbackSecret,
		Client: func(context.Context) identity.ClientInfo { return identity.ClientInfo{Networks: []string{""}} },
	})
	must(b, err)
	routes := chi.NewRouter()
	api.Mount(routes, routes)
	srv.verify = routes
	gql, err := api.GraphQL(false)
	must(b, err)
	srv.api = transport.Bearer(gql)
	return srv
}

// inProcess passes the sandbox's callback to the verify handler.
type inProcess struct{ *server }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p.verify.ServeHTTP(w, r)
	return w.Result(), nil
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// answer sends one document and returns its field answer.
func (s *server) answer(b *testing.B, document string, body any) (in struct{ Token, RefreshToken string }) {
	b.Helper()
	var got struct {
		Data struct {
			Answer *struct{ Token, RefreshToken string }
		}
	}
	must(b, json.Unmarshal(s.post(b, document, body), &got))
	return *got.Data.Answer
}

// post sends one document, ends the benchmark on an error, and returns the response.
func (s *server) post(b *testing.B, document string, body any) []byte {
	raw, err := json.Marshal(map[string]any{"query": document, "variables": map[string]any{"body": body}})
	must(b, err)
	r := httptest.NewRequest(http.MethodPost, "/api", bytes.NewReader(raw))
	r.Header.Set("Content-Type", "application/json")
	if s.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+s.bearer)
	}
	w := httptest.NewRecorder()
	s.api.ServeHTTP(w, r)
	if w.Code != http.StatusOK || strings.Contains(w.Body.String(), `"errors"`) || strings.Contains(w.Body.String(), "UNAVAILABLE") {
		b.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.Bytes()
}

const (
	register = `mutation($body: UserRegisterInput!) { register(body: $body) { message user { id email firstName lastName } } }`
	login    = `mutation($body: LoginUserDto!) { login(body: $body) { message token connectySession ccUserId chatStatus user { id email } } }`
	byToken  = `mutation($body: LoginUserDto!) { login_By_token(body: $body) { message token connectySession ccUserId chatStatus user { id email } } }`
)

func person(n int) map[string]string {
	return map[string]string{"email": fmt.Sprintf("p%d@example.org", n), "firstName": "Ada", "lastName": "Lovelace", "password": "correct horse"}
}

func credentials() map[string]string {
	return map[string]string{"email": "p0@example.org", "password": "correct horse"}
}

func BenchmarkHello(b *testing.B) {
	s := newServer(b)
	b.ReportAllocs()
	for b.Loop() {
		s.post(b, `{hello}`, nil)
	}
}

func BenchmarkVerify(b *testing.B) {
	s := newServer(b)
	s.post(b, register, person(0))
	user, err := s.users.ByEmail(b.Context(), "p0@example.org")
	must(b, err)
	token, _, err := s.issuer.AccessToken(tokens.Grant{Subject: user.ID, Email: user.Email, SessionID: user.Sessions[0], Until: time.Now().Add(time.Hour)})
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		s.verify.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/auth/verify-connectycube?token="+token, nil))
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}

func BenchmarkRegister(b *testing.B) {
	s := newServer(b)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		s.post(b, register, person(n))
		n++
	}
}

func BenchmarkLogin(b *testing.B) { benchmarkLogin(b, login) }

func BenchmarkLoginByToken(b *testing.B) { benchmarkLogin(b, byToken) }

// BenchmarkRefresh refreshes a login session whose ConnectyCube session is valid.
func BenchmarkRefresh(b *testing.B) {
	s := newServer(b)
	s.post(b, register, person(0))
	token := s.answer(b, `mutation($body: LoginUserDto!) { answer: login(body: $body) { refreshToken } }`, credentials()).RefreshToken
	b.ReportAllocs()
	for b.Loop() {
		token = s.answer(b, fmt.Sprintf(`mutation { answer: refresh(refreshToken: %q) { token refreshToken connectySession } }`, token), nil).RefreshToken
	}
}

// BenchmarkMe is a request with an access token, which costs one read of one document.
func BenchmarkMe(b *testing.B) {
	s := newServer(b)
	s.post(b, register, person(0))
	s.bearer = s.answer(b, `mutation($body: LoginUserDto!) { answer: login(body: $body) { token } }`, credentials()).Token
	b.ReportAllocs()
	for b.Loop() {
		s.post(b, `{ me { id } }`, nil)
	}
}

// spent is a budget that refuses all requests.
type spent struct{}

func (spent) Check(string) time.Duration { return time.Minute }
func (spent) Take(string) time.Duration  { return time.Minute }
func (spent) Return(string)              {}

// BenchmarkRefusal is a login that the limit of wrong passwords refuses.
func BenchmarkRefusal(b *testing.B) {
	budgets, err := identity.NewBudgets(identity.BudgetOptions{
		LoginFailures: identity.BudgetBound{Burst: 1, Every: time.Second},
		New:           func(identity.BudgetBound) (identity.Budget, error) { return spent{}, nil },
		Log:           slog.New(slog.DiscardHandler),
	})
	must(b, err)
	s := newLimitedServer(b, budgets)
	raw, err := json.Marshal(map[string]any{"query": login, "variables": map[string]any{"body": credentials()}})
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/api", bytes.NewReader(raw))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.api.ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), `"RATE_LIMITED"`) {
			b.Fatal(w.Body)
		}
	}
}

func benchmarkLogin(b *testing.B, document string) {
	s := newServer(b)
	s.post(b, register, person(0))
	b.ReportAllocs()
	for b.Loop() {
		s.post(b, document, credentials())
	}
}
