package resolvers

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
	"cubegate/tokens"
)

// fakeUsers keeps one user at most, which is all that these flows look at. The
// real store is asked the same questions by the tests of the whole program.
type fakeUsers struct {
	mu      sync.Mutex
	user    *store.User
	kept    bool
	err     error // for every call
	others  map[string]bool
	setErr  error
	cubeSet []int64
}

func (f *fakeUsers) Create(_ context.Context, u store.User) (store.User, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return store.User{}, f.err
	}
	if f.user != nil {
		return store.User{}, store.ErrEmailTaken
	}
	u.ID, u.Pending = "0123456789abcdef01234567", true
	f.user = &u
	return u, nil
}

func (f *fakeUsers) find(match func(store.User) bool) (store.User, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return store.User{}, f.err
	}
	if f.user == nil || !match(*f.user) {
		return store.User{}, store.ErrNotFound
	}
	return *f.user, nil
}

func (f *fakeUsers) ByEmail(_ context.Context, address string) (store.User, error) {
	return f.find(func(u store.User) bool { return strings.EqualFold(u.Email, address) })
}

func (f *fakeUsers) ByID(_ context.Context, id string) (store.User, error) {
	if f.others[id] {
		return store.User{ID: id}, nil
	}
	return f.find(func(u store.User) bool { return u.ID == id })
}

func (f *fakeUsers) SetPassword(_ context.Context, _, old, hash string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.setErr != nil {
		return f.setErr
	}
	if f.user.PasswordHash == old {
		f.user.PasswordHash = hash
	}
	return nil
}

func (f *fakeUsers) Keep(context.Context, string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.user.Pending, f.kept = false, true
	return nil
}

func (f *fakeUsers) SetCubeID(_ context.Context, _ string, id int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.setErr != nil {
		return f.setErr
	}
	f.cubeSet = append(f.cubeSet, id)
	f.user.CubeID, f.user.Pending = id, false
	return nil
}

func (f *fakeUsers) Discard(context.Context, string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.user != nil && f.user.Pending {
		f.user = nil
	}
	return nil
}

// fakeCube answers what a test wants; what it does not want panics.
type fakeCube struct {
	signUp   func(connectycube.NewUser) (connectycube.User, error)
	session  func(connectycube.Credentials) (connectycube.Session, error)
	byID     func(string) (connectycube.User, error)
	update   func(connectycube.Session, connectycube.Profile) error
	sessions []connectycube.Credentials
}

func (f *fakeCube) SignUp(_ context.Context, u connectycube.NewUser) (connectycube.User, error) {
	return f.signUp(u)
}

func (f *fakeCube) CreateSession(_ context.Context, c connectycube.Credentials) (connectycube.Session, error) {
	f.sessions = append(f.sessions, c)
	return f.session(c)
}

func (f *fakeCube) UserByExternalID(_ context.Context, id string) (connectycube.User, error) {
	return f.byID(id)
}

func (f *fakeCube) UpdateProfile(_ context.Context, s connectycube.Session, p connectycube.Profile) error {
	return f.update(s, p)
}

// fakeTokens signs nothing, so that a test can tell a token's kind and owner.
type fakeTokens struct{}

func (fakeTokens) AccessToken(subject, _ string) (string, error) { return "access " + subject, nil }
func (fakeTokens) Ticket(subject, _ string) (string, error)      { return "ticket " + subject, nil }

// fakePasswords hashes by writing "hash of" in front.
type fakePasswords struct {
	mu       sync.Mutex
	compared []string
	busy     bool
}

func (f *fakePasswords) Hash(_ context.Context, password string) (string, error) {
	if f.busy {
		return "", tokens.ErrBusy
	}
	return "hash of " + password, nil
}

func (f *fakePasswords) Compare(_ context.Context, password, hash string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.compared = append(f.compared, hash)
	if f.busy {
		return false, tokens.ErrBusy
	}
	switch hash {
	case "hash of " + password:
		return false, nil
	case "old hash of " + password:
		return true, nil
	}
	return false, tokens.ErrWrongPassword
}

// fakeLimiter stops a key after a number of failures.
type fakeLimiter struct{ left int }

func (f *fakeLimiter) Allow(string) (bool, time.Duration) { return f.left > 0, time.Minute }
func (f *fakeLimiter) Spend(string)                       { f.left-- }

// flows are an Auth and the fakes under it.
type flows struct {
	*Auth
	users     *fakeUsers
	cube      *fakeCube
	passwords *fakePasswords
	log       *strings.Builder
}

func newFlows(t *testing.T) flows {
	t.Helper()
	f := flows{users: &fakeUsers{}, cube: &fakeCube{}, passwords: &fakePasswords{}, log: &strings.Builder{}}
	f.Auth = &Auth{
		Users: f.users, Registry: f.users, Cube: f.cube, Tokens: fakeTokens{}, Passwords: f.passwords,
		Failures: &fakeLimiter{left: 3}, Asked: &fakeLimiter{left: 3}, Client: func(context.Context) string { return "192.0.2.1" },
		CIdPPassword: "fixed", Patience: time.Minute,
		Chat: ChatAddress{AppID: 1001, APIURL: "https://api.example.test", Domain: "chat.example.test", URL: "wss://chat.example.test:5291"},
		Log:  slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	return f
}

// ada is the person in these tests.
var ada = registerInput{Email: "Ada@Example.org", FirstName: "Ada", LastName: "Lovelace", Password: "correct horse"}

const (
	adaID     = "0123456789abcdef01234567"
	adaCubeID = 51941
)

// there puts Ada into the store, as she is after her registration.
func (f flows) there(edit ...func(*store.User)) {
	u := store.User{
		ID: adaID, Email: ada.Email, FirstName: ada.FirstName, LastName: ada.LastName,
		PasswordHash: "hash of " + ada.Password, CubeID: adaCubeID,
	}
	for _, e := range edit {
		e(&u)
	}
	f.users.user = &u
}
