package transport

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"

	"cubegate/resolvers/apierror"
)

// fakeRoot resolves the server's schema without users: each field returns the value
// that a test has set here.
type fakeRoot struct {
	profile *fakeProfile // of me; needs a bearer token
	users   []*fakeProfile
	events  []*fakeEvent
	onLogin func() // before each login
	log     *strings.Builder

	mu        sync.Mutex
	passwords []string // of logins and registrations, as they arrived
}

var errFakeMe = &apierror.Error{Code: apierror.Unauthenticated, Message: "Log in first"}

// newHandler returns a Handler of the server's schema over a fakeRoot.
func newHandler(t testing.TB, edit ...func(*Options)) (*fakeRoot, *Handler) {
	t.Helper()
	schema, err := os.ReadFile("../schema.graphql")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeRoot{profile: newFakeProfile("ada@example.org"), log: &strings.Builder{}}
	o := Options{
		Schema: string(schema), Root: f, Outward: fakeOutward, Introspection: true,
		Log: slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, e := range edit {
		e(&o)
	}
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return f, h
}

func fakeOutward(err error) *apierror.Error {
	if ours, ok := errors.AsType[*apierror.Error](err); ok {
		return ours
	}
	return &apierror.Error{Code: apierror.InternalServerError, Message: "Something went wrong", Cause: err}
}

type (
	fakeQuery    struct{ f *fakeRoot }
	fakeMutation struct{ f *fakeRoot }
)

func (f *fakeRoot) Query() *fakeQuery       { return &fakeQuery{f} }
func (f *fakeRoot) Mutation() *fakeMutation { return &fakeMutation{f} }

func (q *fakeQuery) Hello() string { return "Hello from API!" }

func (q *fakeQuery) Me(ctx context.Context) (*fakeProfile, error) {
	if token, err := BearerToken(ctx); err != nil || token == "" {
		return nil, errFakeMe
	}
	return q.f.profile, nil
}

func (q *fakeQuery) Sessions() []*fakeSession { return []*fakeSession{{ID: "s1"}} }

type fakePageInput struct {
	After *string
	Limit *int32
}

func (q *fakeQuery) Users(struct {
	Filter *struct {
		Disabled *bool
		Role     *string
		Text     *string
	}
	Page *fakePageInput
}) fakeUserPage {
	page := fakeUserPage{}
	for _, u := range q.f.users {
		shown := *u
		page.Items = append(page.Items, &shown)
	}
	return page
}

func (q *fakeQuery) Audit(struct {
	Filter *struct {
		Kind   *string
		UserID *string
	}
	Page *fakePageInput
}) fakeEventPage {
	page := fakeEventPage{}
	for _, e := range q.f.events {
		shown := *e
		page.Items = append(page.Items, &shown)
	}
	return page
}

type fakeDevice struct{ ID, Name, Token *string }

type fakeLoginArgs struct {
	Body struct {
		Email    string
		Password string
		Device   *fakeDevice
	}
}

func (m *fakeMutation) Register(args struct {
	Body struct {
		Email     string
		FirstName string
		LastName  string
		Password  string
		Device    *fakeDevice
	}
}) *fakeLogin {
	return m.login(args.Body.Password)
}

func (m *fakeMutation) Login(args fakeLoginArgs) *fakeLogin { return m.login(args.Body.Password) }
func (m *fakeMutation) LoginByToken(args fakeLoginArgs) *fakeLogin {
	return m.login(args.Body.Password)
}

func (m *fakeMutation) login(password string) *fakeLogin {
	if m.f.onLogin != nil {
		m.f.onLogin()
	}
	m.f.mu.Lock()
	defer m.f.mu.Unlock()
	m.f.passwords = append(m.f.passwords, password)
	return &fakeLogin{Message: "Login successful", User: &fakeUser{Email: m.f.profile.Email}}
}

func (m *fakeMutation) Refresh(struct{ RefreshToken string }) *fakeLogin { return m.login("") }

func (m *fakeMutation) Logout(struct{ RefreshToken *string }) fakeDone        { return fakeDone{} }
func (m *fakeMutation) LogoutEverywhere() fakeDone                            { return fakeDone{} }
func (m *fakeMutation) RevokeSession(struct{ ID string }) fakeDone            { return fakeDone{} }
func (m *fakeMutation) ChangePassword(struct{ Current, New string }) fakeDone { return fakeDone{} }
func (m *fakeMutation) DeleteMyAccount(struct{ Password string }) fakeDone    { return fakeDone{} }
func (m *fakeMutation) DeleteUser(struct{ ID string }) fakeDone               { return fakeDone{} }
func (m *fakeMutation) DisableUser(struct{ ID string }) *fakeProfile          { return m.f.profile }
func (m *fakeMutation) EnableUser(struct{ ID string }) *fakeProfile           { return m.f.profile }
func (m *fakeMutation) ChangeEmail(struct{ Email, Password string }) *fakeProfile {
	return m.f.profile
}

func (m *fakeMutation) UpdateProfile(struct{ FirstName, LastName string }) *fakeProfile {
	return m.f.profile
}

func (m *fakeMutation) SetRoles(struct {
	ID    string
	Roles []string
}) *fakeProfile {
	return m.f.profile
}

// The resolvers of the schema's types.
type (
	fakeUser struct{ Email, FirstName, ID, LastName string }

	fakeProfile struct {
		AccountStatus, CreatedAt, Email, FirstName, ID, LastName string

		CcUserID *float64
		Disabled bool
		Roles    []string
	}

	fakeSession struct {
		Address, CreatedAt, Device, ExpiresAt, ID, UsedAt string
		ExpiresIn                                         int32

		Current bool
	}

	fakeLogin struct {
		Message string
		User    *fakeUser

		CcUserID *float64
		Chat     *fakeChat

		ChatStatus, ChatTicket, ConnectySession, DeviceToken, ExpiresAt, RefreshToken, SessionID, Token *string
		ExpiresIn                                                                                       *int32
	}

	fakeChat struct {
		Domain, Endpoint, JID, MucDomain, WsEndpoint string

		ExpiresAt, Password *string
		ExpiresIn           *int32
		UserID              float64
	}

	fakeDone struct{ Message string }

	fakeUserPage struct {
		Items []*fakeProfile
		Next  *string
	}

	fakeEventPage struct {
		Items []*fakeEvent
		Next  *string
	}

	fakeEvent struct {
		Actor, Address, At, Detail, ID, Kind, Outcome, SessionID, UserID string

		Count *int32
	}
)

func newFakeProfile(email string) *fakeProfile {
	return &fakeProfile{
		AccountStatus: "ready", CreatedAt: "2026-01-02T03:04:05Z", Email: email,
		FirstName: "Ada", ID: "0123456789abcdef01234567", LastName: "Lovelace", Roles: []string{"admin"},
	}
}

// crowded returns a Handler whose pages have the maximum length.
func crowded(t testing.TB) (*Handler, *strings.Builder) {
	t.Helper()
	const page = 100
	f, h := newHandler(t)
	for range page {
		f.users = append(f.users, newFakeProfile(strings.Repeat("e", 240)+"@example.org"))
		f.events = append(f.events, &fakeEvent{Detail: strings.Repeat("d", 200)})
	}
	return h, f.log
}
