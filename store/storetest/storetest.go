// Package storetest is the contract of store, as a suite: whatever speaks
// MongoDB's protocol and passes it is right for cubegate. It runs against the
// embedded database always, and against a real MongoDB when a test is given
// one.
package storetest

import (
	"context"
	"crypto/rand"
	"net"
	"testing"
	"time"

	"cubegate/store"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Target is a database to run the suite against.
type Target struct {
	URI  string
	Dial func(ctx context.Context, network, address string) (net.Conn, error) // nil for the network
}

// DialContext makes a Target the driver's dialer.
func (tg Target) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return tg.Dial(ctx, network, address)
}

// Run runs the whole suite.
func Run(t *testing.T, tg Target) {
	t.Run("users", func(t *testing.T) { users(t, tg) })
	t.Run("accounts", func(t *testing.T) { accounts(t, tg) })
	t.Run("people", func(t *testing.T) { people(t, tg) })
	t.Run("sessions", func(t *testing.T) { sessions(t, tg) })
	t.Run("audit", func(t *testing.T) { audit(t, tg) })
	t.Run("original", func(t *testing.T) { original(t, tg) })
	t.Run("races", func(t *testing.T) { races(t, tg) })
}

// base is a database of one test alone, gone after it.
type base struct {
	Target
	name string
	raw  *mongo.Database // for what only the original would write
}

func newBase(t *testing.T, tg Target) base {
	t.Helper()
	opts := options.Client().ApplyURI(tg.URI).SetTimeout(20 * time.Second)
	if tg.Dial != nil {
		opts.SetDialer(tg)
	}
	client, err := mongo.Connect(opts)
	if err != nil {
		t.Fatal(err)
	}
	b := base{Target: tg, name: "t" + rand.Text(), raw: nil}
	b.raw = client.Database(b.name)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := b.raw.Drop(ctx); err != nil {
			t.Errorf("dropping the test's database: %v", err)
		}
		_ = client.Disconnect(ctx)
	})
	return b
}

// open opens the users of a store on the test's database.
func (b base) open(t *testing.T, edit ...func(*store.Options)) *store.Users {
	t.Helper()
	return b.openStore(t, edit...).Users()
}

// openStore opens a store on the test's database.
func (b base) openStore(t *testing.T, edit ...func(*store.Options)) *store.Store {
	t.Helper()
	o := store.Options{URI: b.URI, Database: b.name, Dial: b.Dial, Timeout: 20 * time.Second, ConnectTimeout: -1}
	for _, e := range edit {
		e(&o)
	}
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// lease is one that lasts longer than any test.
func lease(id string) store.Lease { return store.Lease{ID: id, Until: time.Now().Add(time.Hour)} }

// run is one that has run out.
func run(id string) store.Lease { return store.Lease{ID: id, Until: time.Now().Add(-time.Second)} }

// ada is a user that can be created.
func ada(address string) store.User {
	return store.User{FirstName: "Ada", LastName: "Lovelace", Email: address, PasswordHash: "$argon2id$one"}
}

// create stores a user or ends the test.
func create(t *testing.T, u *store.Users, address string) store.User {
	t.Helper()
	user, err := u.Create(t.Context(), ada(address), lease("created"))
	if err != nil {
		t.Fatalf("creating %s: %v", address, err)
	}
	return user
}
