package provisioning

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
	"cubegate/tokens"
)

type networkKey struct{}

// from is the context of a request from these networks, the outermost first.
func from(ctx context.Context, networks ...string) context.Context {
	return context.WithValue(ctx, networkKey{}, networks)
}

func networksOf(ctx context.Context) []string {
	if networks, ok := ctx.Value(networkKey{}).([]string); ok {
		return networks
	}
	return []string{""}
}

// memory is a store and a ConnectyCube in memory, for tests with a clock of their own.
type memory struct {
	CubeClient
	CubeUsers
	UserAPI
	AccountStore
	UserWriter
	WorkQueue[store.User]

	mu    sync.Mutex
	users map[string]*store.User
	made  []signedUp
	delay time.Duration // of a sign-up
}

// signedUp is a sign-up that ConnectyCube has received.
type signedUp struct {
	email string
	at    time.Time
}

func (m *memory) UserByExternalID(context.Context, string) (connectycube.User, error) {
	return connectycube.User{}, connectycube.ErrNotFound
}

func (m *memory) Create(_ context.Context, user store.User, l store.Lease) (store.User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	user.Account.Lease, user.Account.Due = l.ID, l.Until
	m.users[user.ID] = &user
	return user, nil
}

func (m *memory) SignUp(_ context.Context, u connectycube.NewUser) (connectycube.User, error) {
	time.Sleep(m.delay)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made = append(m.made, signedUp{u.Email, time.Now()})
	return connectycube.User{ID: int64(len(m.made)), Email: u.Email, FullName: u.FullName}, nil
}

// first takes the first user in an order, under a lease.
func (m *memory) first(l store.Lease, is func(*store.User) bool, key func(*store.User) time.Time) (store.User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var first *store.User
	for _, u := range m.users {
		if is(u) && (first == nil || key(u).Before(key(first))) {
			first = u
		}
	}
	if first == nil {
		return store.User{}, store.ErrNotFound
	}
	first.Account.Lease, first.Account.Due, first.Account.Attempts = l.ID, l.Until, first.Account.Attempts+1
	return *first, nil
}

func (m *memory) Claim(_ context.Context, l store.Lease) (store.User, error) {
	now := time.Now()
	return m.first(l, func(u *store.User) bool { return !u.Account.Due.IsZero() && !u.Account.Due.After(now) }, func(u *store.User) time.Time { return u.Account.Due })
}

func (m *memory) ClaimTurn(_ context.Context, l store.Lease) (store.User, error) {
	return m.first(l, func(u *store.User) bool { return !u.Account.Turn.IsZero() && u.Account.Due.IsZero() }, func(u *store.User) time.Time { return u.Account.Turn })
}

func (m *memory) held(id string, l store.Lease, change func(*store.User)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.users[id]
	if u == nil || u.Account.Lease != l.ID {
		return store.ErrChanged
	}
	change(u)
	return nil
}

func (m *memory) Save(_ context.Context, l store.Lease, saved store.User) error {
	return m.held(saved.ID, l, func(u *store.User) {
		u.CubeID = max(u.CubeID, saved.CubeID)
		u.Account.Email, u.Account.Name, u.Account.PasswordKind = saved.Account.Email, saved.Account.Name, saved.Account.PasswordKind
	})
}

func (m *memory) Complete(_ context.Context, id string, l store.Lease, _ int64) error {
	return m.held(id, l, func(u *store.User) {
		a := &u.Account
		a.Due, a.Turn, a.Lease, a.Attempts, a.LastError = time.Time{}, time.Time{}, "", 0, ""
	})
}

func (m *memory) Retry(_ context.Context, id string, l store.Lease, due time.Time, problem string) error {
	return m.held(id, l, func(u *store.User) { u.Account.Due, u.Account.Lease, u.Account.LastError = due, "", problem })
}

func (m *memory) Wait(_ context.Context, id string, l store.Lease, turn time.Time, attempts int) error {
	return m.held(id, l, func(u *store.User) {
		u.Account.Turn, u.Account.Due, u.Account.Lease, u.Account.Attempts = turn, time.Time{}, "", attempts
	})
}

// nothingDue is an empty queue.
type nothingDue[T any] struct{ WorkQueue[T] }

func (nothingDue[T]) Claim(context.Context, store.Lease) (none T, err error) {
	return none, store.ErrNotFound
}

// inMemory runs a Provisioner in memory until the test ends.
func inMemory(t *testing.T, perMinute, burst int) (*Provisioner, *memory) {
	t.Helper()
	ring, err := tokens.NewSecretRing("a secret that is long enough: 5k2jf8Zq")
	if err != nil {
		t.Fatal(err)
	}
	m := &memory{users: map[string]*store.User{}, delay: 50 * time.Millisecond}
	p, err := New(Options{
		Cube: m, CubeUsers: m, UserAPI: m,
		Database: Database{
			Accounts: m, Users: m, Sessions: struct{ SessionRecords }{}, Line: m,
			RemoveSession: func(context.Context, string, string) (bool, error) { return false, nil },
			ExpireSession: func(context.Context) error { return store.ErrNotFound },
			RemoveRevoked: func(context.Context, store.Session) error { return nil },
			Evictions:     struct{ Evictions }{},
		},
		Queues: Queues{Accounts: m, Sweeps: nothingDue[store.User]{}, Revocations: nothingDue[store.Session]{}},
		Sealer: ring, Tickets: noTickets{}, DerivePasswords: ring.DerivedPasswords,
		SignUps: NewSignUpBudget(perMinute, burst, networksOf), Settings: testSettings, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var worker sync.WaitGroup
	worker.Go(func() { p.Run(ctx) })
	t.Cleanup(func() { cancel(); worker.Wait() })
	return p, m
}

// register registers a user from a network, and reports whether the account was signed up
// at once.
func (m *memory) register(t *testing.T, p *Provisioner, email string, networks ...string) bool {
	t.Helper()
	_, err := p.Register(from(t.Context(), networks...), store.User{ID: email, Email: email}, LoginMethod{Password: password})
	if err != nil && !isOverBudget(err) {
		t.Fatal(err)
	}
	return err == nil
}

// when is how long after begin each account was signed up, in this order.
func (m *memory) when(begin time.Time) (emails []string, after []time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.made {
		emails, after = append(emails, s.email), append(after, s.at.Sub(begin))
	}
	return emails, after
}

// A thousand registrations from one network are signed up at the rate of the budget. They
// delay the one from another network by one turn, however many are still waiting.
func TestFloodOfOneNetworkDelaysAnotherByOneTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, m := inMemory(t, 60, 10)
		synctest.Wait()
		begin := time.Now()
		ready := 0
		for i := range 1000 {
			if m.register(t, p, fmt.Sprint("flood", i), "a") {
				ready++
			}
		}
		if ready != 10 {
			t.Errorf("%d accounts were made at once, want the burst of 10", ready)
		}
		time.Sleep(5 * time.Minute)
		asked := time.Now()
		if m.register(t, p, "honest", "b") {
			t.Error("a registration overtakes the line")
		}
		for i := range 100 {
			m.register(t, p, fmt.Sprint("more", i), "a")
		}
		time.Sleep(20 * time.Minute)
		emails, after := m.when(begin)
		if len(emails) != 1101 {
			t.Fatalf("%d accounts were made, want 1101", len(emails))
		}
		for i, d := range after {
			if most := 10 + int(d/time.Second) + 1; i+1 > most {
				t.Fatalf("%d accounts were made within %v, want %d at most", i+1, d, most)
			}
		}
		if last := after[1100]; last > 1100*time.Second {
			t.Errorf("the last was made after %v: tokens were lost", last)
		}
		i := slices.Index(emails, "honest")
		if waited := after[i] - asked.Sub(begin); waited > 2*time.Second+m.delay {
			t.Errorf("the other network's account was made after %v, want the next turn but one at the latest", waited)
		}
		for id, u := range m.users {
			if u.CubeID == 0 || u.Account.Attempts != 0 || u.Account.LastError != "" || !u.Account.Due.IsZero() || !u.Account.Turn.IsZero() {
				t.Fatalf("%s is left with %+v", id, u.Account)
			}
		}
	})
}

// A network that registers without a pause takes no token from the line.
func TestLastingFloodDoesNotStarveTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, m := inMemory(t, 60, 2)
		var flood sync.WaitGroup
		for i := range 6000 {
			flood.Go(func() { m.register(t, p, fmt.Sprint("flood", i), "a") })
			if i == 3000 {
				flood.Go(func() { m.register(t, p, "honest", "b") })
			}
			time.Sleep(10 * time.Millisecond)
		}
		flood.Wait()
		emails, after := m.when(time.Now().Add(-30 * time.Second))
		if i := slices.Index(emails, "honest"); i < 0 || after[i] > 2*time.Second+m.delay {
			t.Errorf("made as number %d of %d, after %v", i, len(emails), after[max(i, 0)])
		}
	})
}

// Networks that flood together share the rate equally. One that comes later neither waits
// behind their whole line nor makes them wait.
func TestNetworksTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, m := inMemory(t, 60, 2)
		for i := range 300 {
			for _, network := range []string{"a", "b", "c"} {
				m.register(t, p, fmt.Sprint(network, i), network)
			}
		}
		time.Sleep(10 * time.Minute) // 600 of 900: a turn is far behind the clock now
		for i := range 30 {
			m.register(t, p, fmt.Sprint("d", i), "d")
		}
		before, _ := m.when(time.Now())
		time.Sleep(time.Minute)
		emails, _ := m.when(time.Now())
		count := map[byte]int{}
		for _, email := range emails[len(before):] {
			count[email[0]]++
		}
		for _, network := range []byte("abcd") {
			if n := count[network]; n < 13 || n > 17 {
				t.Errorf("in a minute %d of 60 accounts of network %c were made, want a fourth: %v", n, network, count)
			}
		}
	})
}

// All the /64 networks of one /48 share a few turns, and one of them cannot delay the
// others for long.
func TestOuterNetworkHasFewTurns(t *testing.T) {
	b := NewSignUpBudget(60, 1, networksOf)
	b.stands()
	in := func(networks ...string) time.Time { return b.turn(from(t.Context(), networks...)) }
	first := in("p", "p1")
	for i := range 1000 {
		in("p", fmt.Sprint("p", i))
	}
	if got := in("other").Sub(first); got != 0 {
		t.Errorf("another network waits %v", got)
	}
	if got := in("p", "fresh").Sub(first); got < 1000*b.every/outerShares {
		t.Errorf("1000 networks of a /48 have turns within %v", got)
	}
	for range 1000 {
		in("q", "q1")
	}
	if got := in("q", "q2").Sub(first); got > 1000*b.every/outerShares {
		t.Errorf("a /64 waits %v for another one of its /48, want a part of its 1000 turns", got)
	}
}

// Requests and the worker together never get more than the bucket has, in any order and
// with returned tokens.
func TestBudgetIsNeverExceeded(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			dice := rand.New(rand.NewPCG(seed, 1))
			b := NewSignUpBudget(600, 5, networksOf)
			begin, used, held := time.Now(), 0, 0
			for range 2000 {
				time.Sleep(time.Duration(dice.IntN(40)) * time.Millisecond)
				switch dice.IntN(6) {
				case 0, 1:
					if b.take(t.Context()) == nil {
						used++
					} else {
						b.turn(t.Context())
						b.stands()
					}
				case 2:
					if b.takeForLine() == nil {
						used++
						b.serves(time.Now())
					}
				case 3:
					if b.takeForLine() == nil {
						held++
					}
				case 4:
					if held > 0 {
						b.giveBack()
						held--
					}
				case 5:
					_, standing := b.expects()
					b.empties(standing)
				}
				if most := 5 + int(time.Since(begin)/b.every); used > most {
					t.Fatalf("seed %d: %d used after %v, want %d at most", seed, used, time.Since(begin), most)
				}
			}
		})
	}
}

// While accounts wait, a request gets no token, however often it asks, unless the bucket
// is full.
func TestRequestsDoNotOvertakeTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewSignUpBudget(60, 2, networksOf)
		for range 2 {
			if err := b.take(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		over, ok := errors.AsType[*OverBudgetError](b.take(t.Context()))
		if !ok || over.RetryAfter <= 0 || over.RetryAfter > time.Second || !errors.Is(over, ErrPending) {
			t.Fatalf("an empty bucket: %+v", over)
		}
		b.stands()
		for range 19 {
			time.Sleep(100 * time.Millisecond)
			if b.take(t.Context()) == nil {
				t.Fatal("a request takes a token that belongs to the line")
			}
		}
		if err := b.takeForLine(); err != nil {
			t.Fatalf("the worker: %v", err)
		}
		time.Sleep(2 * time.Second)
		if err := b.take(t.Context()); err != nil {
			t.Errorf("a full bucket: %v", err)
		}
		_, standing := b.expects()
		b.empties(standing)
		if err := b.take(t.Context()); err != nil {
			t.Errorf("with nothing in line: %v", err)
		}
	})
}

// An account that stands in line while the worker finds the line empty is not forgotten.
func TestLineThatFillsMeanwhileIsNotEmpty(t *testing.T) {
	b := NewSignUpBudget(60, 5, networksOf)
	_, standing := b.expects()
	b.stands()
	b.empties(standing)
	if err := b.take(t.Context()); err != nil {
		t.Fatal(err) // the bucket is full
	}
	if b.take(t.Context()) == nil {
		t.Error("a request overtakes the account")
	}
}

func TestBudgetForgetsNetworks(t *testing.T) {
	b := NewSignUpBudget(60, 1, networksOf)
	for i := range maxNetworks + 10 {
		b.turn(from(t.Context(), fmt.Sprint(i)))
	}
	if n := b.turns.Len(); n != maxNetworks {
		t.Errorf("it remembers %d networks, want %d", n, maxNetworks)
	}
}

func TestNoBudgetIsNoLimit(t *testing.T) {
	b := NewSignUpBudget(0, 10, networksOf)
	for range 1000 {
		if err := errors.Join(b.take(t.Context()), b.takeForLine()); b != nil || err != nil {
			t.Fatal(err)
		}
	}
}
