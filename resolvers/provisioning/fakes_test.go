package provisioning

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
	"cubegate/tokens"
)

// The fakes embed the interface that they stand for, so that an unexpected call panics.

type fakeCube struct {
	CubeClient
	signUp func(connectycube.NewUser) (connectycube.User, error)
	create func(connectycube.Credentials) (connectycube.Session, error)
	owners map[string]int64 // user of each open session, by token
	ended  []string         // tokens
}

func (f *fakeCube) SignUp(_ context.Context, u connectycube.NewUser) (connectycube.User, error) {
	return f.signUp(u)
}

func (f *fakeCube) CreateSession(_ context.Context, c connectycube.Credentials) (connectycube.Session, error) {
	return f.create(c)
}

func (f *fakeCube) ExtendSession(_ context.Context, token string) (connectycube.Session, error) {
	if f.owners[token] == 0 {
		return connectycube.Session{}, connectycube.ErrSessionExpired
	}
	return connectycube.Session{Token: token, UserID: f.owners[token]}, nil
}

func (f *fakeCube) EndSession(_ context.Context, token string) error {
	f.ended = append(f.ended, token)
	return nil
}

// fakeCubeUsers has one user at most. The zero ID finds none.
type fakeCubeUsers struct {
	CubeUsers
	user    connectycube.User
	byID    int // look-ups
	deleted []int64
}

func (f *fakeCubeUsers) UserByID(context.Context, int64) (connectycube.User, error) {
	f.byID++
	return f.find()
}

func (f *fakeCubeUsers) UserByExternalID(context.Context, string) (connectycube.User, error) {
	return f.find()
}

func (f *fakeCubeUsers) UserByEmail(context.Context, string) (connectycube.User, error) {
	return f.find()
}

func (f *fakeCubeUsers) find() (connectycube.User, error) {
	if f.user.ID == 0 {
		return connectycube.User{}, connectycube.ErrNotFound
	}
	return f.user, nil
}

func (f *fakeCubeUsers) AdminDeleteUser(_ context.Context, id int64) error {
	f.deleted = append(f.deleted, id)
	return nil
}

type fakeUserAPI struct {
	UserAPI
	err           error // of an update
	updates       []connectycube.UserUpdate
	deleted       []int64 // users
	subscriptions []connectycube.Subscription
	unsubscribed  []int64
}

func (f *fakeUserAPI) UpdateUser(_ context.Context, _ connectycube.Session, u connectycube.UserUpdate) error {
	f.updates = append(f.updates, u)
	return f.err
}

func (f *fakeUserAPI) DeleteUser(_ context.Context, s connectycube.Session) error {
	f.deleted = append(f.deleted, s.UserID)
	return nil
}

func (f *fakeUserAPI) Subscriptions(context.Context, connectycube.Session) ([]connectycube.Subscription, error) {
	return f.subscriptions, nil
}

func (f *fakeUserAPI) DeleteSubscription(_ context.Context, _ connectycube.Session, id int64) error {
	f.unsubscribed = append(f.unsubscribed, id)
	return nil
}

type fakeAccountStore struct {
	AccountStore
	user    store.User // found by any ID; the empty ID finds none
	saved   []store.User
	removed []string
}

func (f *fakeAccountStore) ByID(context.Context, string) (store.User, error) {
	if f.user.ID == "" {
		return store.User{}, store.ErrNotFound
	}
	return f.user, nil
}

func (f *fakeAccountStore) Save(_ context.Context, _ store.Lease, u store.User) error {
	f.saved = append(f.saved, u)
	return nil
}

func (f *fakeAccountStore) Remove(_ context.Context, id string, _ store.Lease) error {
	f.removed = append(f.removed, id)
	return nil
}

type fakeRecords struct {
	SessionRecords
	list, evicted  []store.Session
	ended, removed []string
	forgotten      []string // of evicted
	evictedDue     []time.Time
	sweeps         int // that are complete
}

func (f *fakeRecords) OfUser(context.Context, string) ([]store.Session, error) {
	return slices.Clone(f.list), nil
}

func (f *fakeRecords) End(_ context.Context, id, _ string) (bool, error) {
	f.ended = append(f.ended, id)
	return true, nil
}

func (f *fakeRecords) Evict(_ context.Context, id string, v store.Eviction) error {
	f.evicted = append(f.evicted, store.Session{ID: id, Revocation: store.Revocation{EndReason: store.Evicted, Generation: v.Generation}})
	f.evictedDue = append(f.evictedDue, v.Due)
	return nil
}

func (f *fakeRecords) EndEvicted(_ context.Context, _ string, before int64, _ string) error {
	f.evicted = slices.DeleteFunc(f.evicted, func(s store.Session) bool { return s.Generation < before })
	return nil
}

func (f *fakeRecords) CompleteSweep(_ context.Context, _ string, _ store.Lease, evicted []string) error {
	f.forgotten, f.sweeps = append(f.forgotten, evicted...), f.sweeps+1
	return nil
}

func (f *fakeRecords) Remove(_ context.Context, id string) error {
	f.removed, f.list = append(f.removed, id), nil
	return nil
}

// fakeQueue has one user.
type fakeQueue struct {
	WorkQueue[store.User]
	user      store.User
	held      int // attempts to acquire the lease for which another reconciliation holds it
	completed int
	retried   []string    // classes of errors
	due       []time.Time // of the next attempts
}

func (f *fakeQueue) Acquire(_ context.Context, _ string, l store.Lease) (store.User, error) {
	if f.held--; f.held >= 0 {
		return store.User{}, store.ErrChanged
	}
	return f.Claim(context.Background(), l)
}

func (f *fakeQueue) Claim(_ context.Context, l store.Lease) (store.User, error) {
	user := f.user
	user.Account.Lease, user.Account.Due = l.ID, l.Until
	return user, nil
}

func (f *fakeQueue) Complete(context.Context, string, store.Lease, int64) error {
	f.completed++
	return nil
}

func (f *fakeQueue) Retry(_ context.Context, _ string, _ store.Lease, due time.Time, lastError string) error {
	f.retried, f.due = append(f.retried, lastError), append(f.due, due)
	return nil
}

// openSealer seals nothing.
type openSealer struct{}

func (openSealer) Seal(plain, _ string) (string, error)  { return plain, nil }
func (openSealer) Open(sealed, _ string) (string, error) { return sealed, nil }

// unit is a Provisioner between fakes.
type unit struct {
	*Provisioner
	cube      *fakeCube
	cubeUsers *fakeCubeUsers
	userAPI   *fakeUserAPI
	accounts  *fakeAccountStore
	records   *fakeRecords
	queue     *fakeQueue
}

func newUnit(t *testing.T, edit ...func(*Options)) *unit {
	t.Helper()
	u := &unit{
		cube: &fakeCube{}, cubeUsers: &fakeCubeUsers{}, userAPI: &fakeUserAPI{},
		accounts: &fakeAccountStore{}, records: &fakeRecords{}, queue: &fakeQueue{},
	}
	o := Options{
		Cube: u.cube, CubeUsers: u.cubeUsers, UserAPI: u.userAPI,
		Database: Database{
			Accounts: u.accounts, Users: struct{ UserWriter }{}, Sessions: u.records, Line: struct{ SignUpLine }{},
			RemoveSession: func(context.Context, string, string) (bool, error) { panic("unexpected") },
			ExpireSession: func(context.Context) error { panic("unexpected") },
			RemoveRevoked: func(context.Context, store.Session) error { panic("unexpected") },
			Evictions:     u.records,
		},
		Queues: Queues{Accounts: u.queue, Sweeps: u.queue, Revocations: struct{ WorkQueue[store.Session] }{}},
		Sealer: openSealer{}, Tickets: noTickets{}, Settings: testSettings, Log: slog.New(slog.DiscardHandler),
		DerivePasswords: func(string) []tokens.DerivedPassword {
			return []tokens.DerivedPassword{{Key: "new", Password: "password of the new key"}, {Key: "old", Password: "password of the old key"}}
		},
	}
	for _, e := range edit {
		e(&o)
	}
	var err error
	if u.Provisioner, err = New(o); err != nil {
		t.Fatal(err)
	}
	return u
}

// newUser returns a user whose account is in step.
func newUser(edit ...func(*store.User)) store.User {
	user := store.User{
		ID: "0123456789abcdef01234567", FirstName: "Ada", LastName: "Lovelace", Email: "ada@example.org", PasswordHash: "hash", CubeID: 7,
		Sessions: []string{"s1"},
		Account:  store.Account{Email: "ada@example.org", Name: "Ada Lovelace", PasswordKind: store.PasswordShared, Lease: "lease", Due: time.Now().Add(time.Minute)},
	}
	for _, e := range edit {
		e(&user)
	}
	return user
}
