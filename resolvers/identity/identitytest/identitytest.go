// Package identitytest has the fakes that stand below package identity in its tests and
// in those of package resolvers. The real store and ConnectyCube stand there in the
// tests of the whole program.
package identitytest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cubegate/resolvers/provisioning"
	"cubegate/store"
	"cubegate/tokens"
)

// Ada is the user in these tests.
const (
	AdaID       = "0123456789abcdef01234567"
	AdaCubeID   = 51941
	AdaEmail    = "Ada@Example.org"
	AdaPassword = "correct horse"
)

// Ada returns Ada as she is after her registration. Of her login sessions, s1 has a
// record; see AdasSession.
func Ada() store.User {
	return store.User{
		ID: AdaID, Email: AdaEmail, FirstName: "Ada", LastName: "Lovelace",
		PasswordHash: "hash of " + AdaPassword, CubeID: AdaCubeID, Sessions: []string{"s1", "s3"},
	}
}

// Sessions holds the records of login sessions.
type Sessions struct {
	mu      sync.Mutex
	All     map[string]store.Session
	LookUps int   // calls of Listed
	Err     error // of ByID
}

// AdasSession returns the record of Ada's login session s1.
func AdasSession() store.Session {
	later := time.Now().Add(time.Hour)
	return store.Session{ID: "s1", UserID: AdaID, LastUsed: time.Now(), Expires: later, AbsoluteExpiry: later}
}

func (f *Sessions) Create(_ context.Context, s store.Session) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.All[s.ID] = s
	return nil
}

func (f *Sessions) ByID(_ context.Context, id string) (store.Session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Err != nil {
		return store.Session{}, f.Err
	}
	s, ok := f.All[id]
	if !ok || !s.Ended.IsZero() || !s.Expires.After(time.Now()) {
		return store.Session{}, store.ErrNotFound
	}
	return s, nil
}

func (f *Sessions) Listed(_ context.Context, ids []string) ([]store.Session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.LookUps++
	var list []store.Session
	for _, id := range ids {
		if s, ok := f.All[id]; ok {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b store.Session) int { return b.LastUsed.Compare(a.LastUsed) })
	return list, nil
}

func (f *Sessions) Update(ctx context.Context, seen store.Session, change func(*store.Session) error) (store.Session, error) {
	s, err := f.ByID(ctx, seen.ID)
	if err == nil {
		err = change(&s)
	}
	if err != nil {
		return store.Session{}, err
	}
	return s, f.Create(ctx, s)
}

// Accounts answers for ConnectyCube. Without OnRegister and OnOpen, every call succeeds.
type Accounts struct {
	Users      *Users
	OnCreate   func(*store.User) // before Register creates the user
	OnRegister func(store.User) error
	OnOpen     func(store.User, provisioning.LoginMethod) (provisioning.CubeSession, error)

	mu      sync.Mutex                 // held by calls, not by tests, which look after them
	Methods []provisioning.LoginMethod // of OpenCubeSession
	Woken   int
}

func (f *Accounts) Wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Woken++
}

func (f *Accounts) Register(_ context.Context, u store.User, _ provisioning.LoginMethod) (store.User, error) {
	if f.OnCreate != nil {
		f.OnCreate(&u)
	}
	u, err := f.Users.create(u)
	if err != nil {
		return store.User{}, err
	}
	if f.OnRegister != nil {
		if err := f.OnRegister(u); err != nil {
			return u, err
		}
	}
	u.CubeID = AdaCubeID
	return u, nil
}

func (f *Accounts) OpenCubeSession(_ context.Context, u store.User, _ store.Session, m provisioning.LoginMethod) (provisioning.CubeSession, error) {
	f.mu.Lock()
	f.Methods = append(f.Methods, m)
	f.mu.Unlock()
	if f.OnOpen != nil {
		return f.OnOpen(u, m)
	}
	return provisioning.CubeSession{UserID: AdaCubeID, Token: "session", Expires: time.Now().Add(time.Hour)}, nil
}

func (f *Accounts) ExtendCubeSession(context.Context, store.User, store.Session) *provisioning.Extension {
	return nil
}

// Events keeps the recorded events.
type Events struct {
	mu  sync.Mutex
	All []store.Event
}

func (f *Events) Record(_ context.Context, e store.Event) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.All = append(f.All, e)
	return nil
}

// List returns the recorded events.
func (f *Events) List() []store.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.All)
}

// Page has a next page, "older", if there are as many events as the limit.
func (f *Events) Page(_ context.Context, _ store.EventFilter, _ string, limit int) (store.Page[store.Event], error) {
	page := store.Page[store.Event]{Items: f.List()}
	if len(page.Items) >= limit {
		page.Next = "older"
	}
	return page, nil
}

func (f *Events) RecordRefusals(_ context.Context, refusals []store.Event) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.All = append(f.All, refusals...)
	return nil
}

// Issuer signs nothing: a token shows its kind and its owner.
type Issuer struct{}

func (Issuer) AccessToken(g tokens.Grant) (string, time.Time, error) {
	return "access " + g.Subject, time.Now().Add(time.Hour), nil
}
func (Issuer) ChatTicket(g tokens.Grant) (string, error) { return "ticket " + g.Subject, nil }

// Hasher hashes a password by writing "hash of" before it.
type Hasher struct {
	mu       sync.Mutex
	Compared []string // hashes
	Hashed   int
	Turns    []tokens.Turn // of comparisons, also those that did not start
	Full     bool          // Announce refuses
	Arriving int           // announcements that have not ended
	Asked    []tokens.Turn // of announcements
	Busy     bool
}

// begin does what a queue does when the turn has come.
func begin(t tokens.Turn) error {
	if t.Start == nil {
		return nil
	}
	return t.Start()
}

// Hashes returns the number of hashes that were computed.
func (f *Hasher) Hashes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Hashed + len(f.Compared)
}

func (f *Hasher) Hash(_ context.Context, t tokens.Turn, password string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := begin(t); err != nil {
		return "", err
	}
	f.Hashed++
	if f.Busy {
		return "", tokens.ErrBusy
	}
	return "hash of " + password, nil
}

func (f *Hasher) Compare(_ context.Context, t tokens.Turn, password, hash string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Turns = append(f.Turns, t)
	if err := begin(t); err != nil {
		return false, err
	}
	f.Compared = append(f.Compared, hash)
	if f.Busy {
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

func (f *Hasher) Decoy(string) string { return "" }

func (f *Hasher) Announce(t tokens.Turn) (func(), error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Asked = append(f.Asked, t)
	if f.Full {
		return nil, &tokens.QueueError{Reason: tokens.ErrLaneFull, After: time.Second}
	}
	f.Arriving++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.Arriving--
	}, nil
}

// Budget lets each key spend its burst and never refills.
type Budget struct {
	mu    sync.Mutex
	burst int
	spent map[string]int
}

// NewBudget returns a budget.
func NewBudget(burst int) *Budget { return &Budget{burst: burst, spent: map[string]int{}} }

func (f *Budget) Check(key string) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wait(key)
}

func (f *Budget) Take(key string) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if wait := f.wait(key); wait > 0 {
		return wait
	}
	f.spent[key]++
	return 0
}

func (f *Budget) Return(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spent[key]--
}

func (f *Budget) wait(key string) time.Duration {
	if f.spent[key] < f.burst {
		return 0
	}
	return time.Minute
}

// Verifier accepts a kind of token and its subject, such as "good "+AdaID. Of the login
// sessions, s1 is active, s2 has ended, and s3 has no record.
type Verifier struct{}

func (v Verifier) VerifyAccess(raw string) (tokens.Claims, error) {
	claims, err := v.VerifyCallbackToken(raw)
	if claims.Ticket {
		return tokens.Claims{}, fmt.Errorf("verifying: %w", tokens.ErrInvalid)
	}
	return claims, err
}

func (Verifier) VerifyCallbackToken(raw string) (tokens.Claims, error) {
	for prefix, claims := range map[string]tokens.Claims{
		"good ":    {SessionID: "s1"},
		"ended ":   {SessionID: "s2"},
		"ticket ":  {SessionID: "s1", Ticket: true},
		"late ":    {SessionID: "s3", Ticket: true},
		"service ": {Service: true, Ticket: true},
		"relink ":  {Service: true, Ticket: true, External: "another id"},
	} {
		if subject, ok := strings.CutPrefix(raw, prefix); ok {
			claims.Subject, claims.Email = subject, "as it was signed"
			return claims, nil
		}
	}
	if raw == "old" {
		return tokens.Claims{}, fmt.Errorf("verifying: %w", tokens.ErrExpired)
	}
	return tokens.Claims{}, fmt.Errorf("verifying: %w", tokens.ErrInvalid)
}
