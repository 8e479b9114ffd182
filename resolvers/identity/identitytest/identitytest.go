package identitytest

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cubegate/resolvers/provisioning"
	"cubegate/resolvers/transport"
	"cubegate/store"
	"cubegate/tokens"
)

// fakeUsers keeps one user at most, which is all that these flows look at. The
// real store is asked the same questions by the tests of the whole program.
type fakeUsers struct {
	mu     sync.Mutex
	user   *store.User
	err    error // for every call
	setErr error
}

func (f *fakeUsers) create(u store.User) (store.User, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return store.User{}, f.err
	}
	if f.user != nil {
		return store.User{}, store.TakenError{Field: "email"}
	}
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
	return f.find(func(u store.User) bool { return u.ID == id })
}

func (f *fakeUsers) UpgradeHash(_ context.Context, c store.HashUpgrade) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.setErr != nil {
		return f.setErr
	}
	if f.user.PasswordHash == c.OldHash {
		f.user.PasswordHash = c.NewHash
	}
	return nil
}

func (f *fakeUsers) AddSession(_ context.Context, s store.SessionStart) (store.User, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.user == nil {
		return store.User{}, store.ErrNotFound
	}
	if f.user.PasswordHash != s.PasswordHash || f.user.Disabled {
		return store.User{}, store.ErrChanged
	}
	f.user.Sessions = append(slices.Clone(f.user.Sessions), s.SessionID)
	return *f.user, nil
}

func (f *fakeUsers) RemoveSession(_ context.Context, _, session string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.user == nil || !slices.Contains(f.user.Sessions, session) {
		return false, nil
	}
	f.user.Sessions = slices.DeleteFunc(slices.Clone(f.user.Sessions), func(s string) bool { return s == session })
	return true, nil
}

func (f *fakeUsers) RevokeSession(ctx context.Context, id, session string) (bool, error) {
	ended, err := f.RemoveSession(ctx, id, session)
	if ended {
		f.user.DeviceGeneration++
	}
	return ended, err
}

func (f *fakeUsers) RemoveAllSessions(context.Context, string) (store.User, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.user.Sessions = nil
	return *f.user, nil
}

// fakeSessions are records of login sessions.
type fakeSessions struct {
	mu     sync.Mutex
	all    map[string]store.Session
	listed int // look-ups by Listed
}

func (f *fakeSessions) Create(_ context.Context, s store.Session) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all[s.ID] = s
	return nil
}

func (f *fakeSessions) ByID(_ context.Context, id string) (store.Session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.all[id]
	if !ok || !s.Expires.After(time.Now()) {
		return store.Session{}, store.ErrNotFound
	}
	return s, nil
}

func (f *fakeSessions) Listed(_ context.Context, ids []string) ([]store.Session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listed++
	var list []store.Session
	for _, id := range ids {
		if s, ok := f.all[id]; ok {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b store.Session) int { return b.LastUsed.Compare(a.LastUsed) })
	return list, nil
}

func (f *fakeSessions) Update(ctx context.Context, id string, change func(*store.Session) error) (store.Session, error) {
	s, err := f.ByID(ctx, id)
	if err == nil {
		err = change(&s)
	}
	if err != nil {
		return store.Session{}, err
	}
	return s, f.Create(ctx, s)
}

// fakeAccounts answers for ConnectyCube what a test wants; nothing means that
// all goes well.
type fakeAccounts struct {
	users *fakeUsers
	make  func(store.User) error
	open  func(store.User, provisioning.LoginMethod) (provisioning.CubeSession, error)
	means []provisioning.LoginMethod
	woken int
}

func (f *fakeAccounts) Wake() { f.woken++ }

func (f *fakeAccounts) Register(_ context.Context, u store.User, _ provisioning.LoginMethod) (store.User, error) {
	u, err := f.users.create(u)
	if err != nil {
		return store.User{}, err
	}
	if f.make != nil {
		if err := f.make(u); err != nil {
			return u, err
		}
	}
	u.CubeID = adaCubeID
	return u, nil
}

func (f *fakeAccounts) OpenCubeSession(_ context.Context, u store.User, _ store.Session, m provisioning.LoginMethod) (provisioning.CubeSession, error) {
	f.means = append(f.means, m)
	if f.open != nil {
		return f.open(u, m)
	}
	return provisioning.CubeSession{UserID: adaCubeID, Token: "session", Expires: time.Now().Add(time.Hour)}, nil
}

// fakeEvents keeps what was recorded.
type fakeEvents struct {
	mu  sync.Mutex
	all []store.Event
}

func (f *fakeEvents) Record(_ context.Context, e store.Event) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, e)
	return nil
}

func (f *fakeEvents) list() []store.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.all)
}

func (f *fakeEvents) Page(context.Context, store.EventFilter, string, int) ([]store.Event, error) {
	return f.list(), nil
}

func (f *fakeEvents) RecordRefusals(_ context.Context, refusals []store.Event) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, refusals...)
	return nil
}

// fakeTokens signs nothing, so that a test can tell a token's kind and owner.
type fakeTokens struct{}

func (fakeTokens) AccessToken(g tokens.Grant) (string, time.Time, error) {
	return "access " + g.Subject, time.Now().Add(time.Hour), nil
}
func (fakeTokens) ChatTicket(g tokens.Grant) (string, error) { return "ticket " + g.Subject, nil }

// fakePasswords hashes by writing "hash of" in front.
type fakePasswords struct {
	mu       sync.Mutex
	compared []string
	hashed   int
	turns    []tokens.Turn // of comparisons, also those that did not begin
	busy     bool
}

// begin is what a queue does when the turn has come.
func begin(t tokens.Turn) error {
	if t.Start == nil {
		return nil
	}
	return t.Start()
}

// hashes are how many have been computed.
func (f *fakePasswords) hashes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hashed + len(f.compared)
}

func (f *fakePasswords) Hash(_ context.Context, t tokens.Turn, password string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := begin(t); err != nil {
		return "", err
	}
	f.hashed++
	if f.busy {
		return "", tokens.ErrBusy
	}
	return "hash of " + password, nil
}

func (f *fakePasswords) Compare(_ context.Context, t tokens.Turn, password, hash string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turns = append(f.turns, t)
	if err := begin(t); err != nil {
		return false, err
	}
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

func (f *fakePasswords) Decoy(string) string { return "" }

// fakeBudget lets each key spend its burst and never refills.
type fakeBudget struct {
	mu    sync.Mutex
	burst int
	spent map[string]int
}

func newFakeBudget(b BudgetBound) (Budget, error) {
	return &fakeBudget{burst: b.Burst, spent: map[string]int{}}, nil
}

func (f *fakeBudget) Check(key string) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wait(key)
}

func (f *fakeBudget) Take(key string) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if wait := f.wait(key); wait > 0 {
		return wait
	}
	f.spent[key]++
	return 0
}

func (f *fakeBudget) Return(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spent[key]--
}

func (f *fakeBudget) wait(key string) time.Duration {
	if f.spent[key] < f.burst {
		return 0
	}
	return time.Minute
}

// spentBudgets refuse every guess.
func spentBudgets() *Budgets {
	spent := &fakeBudget{spent: map[string]int{}}
	return &Budgets{byName: map[budgetName]Budget{budgetPair: spent, budgetDevice: spent}}
}

// recorded writes the refusals that wait and returns all events.
func (f flows) recorded(t testing.TB) []store.Event {
	t.Helper()
	if err := f.Auditor.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f.events.list()
}

// flows are an Auth and the fakes under it.
type flows struct {
	*Auth
	users     *fakeUsers
	sessions  *fakeSessions
	accounts  *fakeAccounts
	events    *fakeEvents
	passwords *fakePasswords
	log       *strings.Builder
}

func newFlows(t testing.TB) flows {
	t.Helper()
	ring, err := tokens.NewSecretRing("a secret that is long enough: 5k2jf8Zq")
	if err != nil {
		t.Fatal(err)
	}
	f := flows{
		users: &fakeUsers{}, sessions: &fakeSessions{all: map[string]store.Session{}},
		events: &fakeEvents{}, passwords: &fakePasswords{}, log: &strings.Builder{},
	}
	f.accounts = &fakeAccounts{users: f.users}
	f.Auth = &Auth{
		Users: f.users, Members: f.users, Sessions: f.sessions, Events: f.events, Accounts: f.accounts,
		Tokens: fakeTokens{}, Verifier: fakeVerifier{}, Refresh: ring, Passwords: f.passwords,
		Callbacks: NewCallbacks(callbackSecret, ring.DerivedPasswords), Devices: ring,
		Address:  func(context.Context) string { return "192.0.2.1" },
		Networks: func(context.Context) []string { return []string{"192.0.2.1"} }, Network: func(ip string) string { return ip },
		Limits: Limits{Idle: time.Hour, Absolute: 2 * time.Hour, PerUser: 3, Password: SharedPassword}, RegisterWhileAway: true,
		Patience: time.Minute,
		Chat:     ChatAddress{AppID: 1001, APIURL: "https://api.example.test", Domain: "chat.example.test", URL: "wss://chat.example.test:5291"},
		Log:      slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	f.Auditor = StartAuditor(f.events, f.Log)
	t.Cleanup(func() { f.Auditor.Close(context.Background()) })
	f.Budgets, err = NewBudgets(BudgetOptions{
		LoginFailures: BudgetBound{3, time.Minute}, PerAccount: BudgetBound{5, time.Minute}, PerNetwork: BudgetBound{8, time.Minute},
		Callbacks: BudgetBound{3, time.Minute}, KnownTurns: BudgetBound{30, time.Minute}, Registrations: BudgetBound{4, time.Minute}, Rubbish: BudgetBound{6, time.Minute},
		Log: f.Log, New: newFakeBudget,
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// callbackSecret is what ConnectyCube shows in these tests.
const callbackSecret = "Qm7-callback-4TzR2vW9xK1p"

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
		PasswordHash: "hash of " + ada.Password, CubeID: adaCubeID, Sessions: []string{"s1", "s3"},
	}
	f.sessions.all["s1"] = store.Session{ID: "s1", UserID: adaID, LastUsed: time.Now(), Expires: time.Now().Add(time.Hour), AbsoluteExpiry: time.Now().Add(time.Hour)}
	for _, e := range edit {
		e(&u)
	}
	f.users.user = &u
}

// withBearer returns the context of a request with a bearer token.
func withBearer(ctx context.Context, token string) context.Context {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+token)
	transport.Bearer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() })).ServeHTTP(nil, r)
	return ctx
}
