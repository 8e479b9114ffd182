// Package storetest is the contract of store as a test suite. A database that speaks MongoDB's
// protocol and passes the suite is suitable for cubegate. Tests always run it against the
// embedded database, and against a real MongoDB if TEST_MONGODB_URL names one.
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
	URI      string
	Dial     func(ctx context.Context, network, email string) (net.Conn, error)   // nil for the network
	Exchange func(ctx context.Context, request []byte) (answer []byte, err error) // nil for the network or Dial
}

// DialContext makes a Target the driver's options.ContextDialer.
func (tg Target) DialContext(ctx context.Context, network, email string) (net.Conn, error) {
	return tg.Dial(ctx, network, email)
}

// Run runs the whole suite.
func Run(t *testing.T, tg Target) {
	t.Run("users", func(t *testing.T) { users(t, tg) })
	t.Run("accounts", func(t *testing.T) { accounts(t, tg) })
	t.Run("user updates", func(t *testing.T) { userUpdates(t, tg) })
	t.Run("sessions", func(t *testing.T) { sessions(t, tg) })
	t.Run("audit", func(t *testing.T) { audit(t, tg) })
	t.Run("original", func(t *testing.T) { original(t, tg) })
	t.Run("races", func(t *testing.T) { races(t, tg) })
	t.Run("malformed", func(t *testing.T) { malformed(t, tg) })
}

// base is the database of one test, which drops it at its end.
type base struct {
	Target
	name string
	raw  *mongo.Database // for documents that only the original writes
}

func newBase(t *testing.T, tg Target) base {
	t.Helper()
	opts := options.Client().ApplyURI(tg.URI).SetTimeout(time.Minute)
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
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
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
	o := store.Options{URI: b.URI, Database: b.name, Dial: b.Dial, Exchange: b.Exchange, Timeout: time.Minute, ConnectTimeout: -1}
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

// lease returns a lease that lasts longer than any test.
func lease(id string) store.Lease { return store.Lease{ID: id, Until: time.Now().Add(time.Hour)} }

// expiredLease returns a lease that has expired.
func expiredLease(id string) store.Lease {
	return store.Lease{ID: id, Until: time.Now().Add(-time.Second)}
}

// newUser returns a user that can be created.
func newUser(email string) store.User {
	return store.User{FirstName: "Ada", LastName: "Lovelace", Email: email, PasswordHash: "$argon2id$one"}
}

// create stores a user. An error ends the test.
func create(t *testing.T, u *store.Users, email string) store.User {
	t.Helper()
	user, err := u.Create(t.Context(), newUser(email), lease("created"))
	if err != nil {
		t.Fatalf("creating %s: %v", email, err)
	}
	return user
}
