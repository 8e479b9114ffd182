package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cubegate/store"
	"cubegate/store/embedded"
	"cubegate/store/storetest"
)

// start runs an embedded database until the test ends.
func start(t *testing.T) *embedded.Server {
	t.Helper()
	db, err := embedded.Start(embedded.Options{File: filepath.Join(t.TempDir(), "test.db"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// untilAvailable repeats what must succeed beside a timeout that a busy machine may miss.
func untilAvailable(do func() error) error {
	for deadline := time.Now().Add(time.Minute); ; {
		if err := do(); !errors.Is(err, store.ErrUnavailable) || time.Now().After(deadline) {
			return err
		}
	}
}

// openAvailable opens a store until the test ends. Its timeout may be short.
func openAvailable(t *testing.T, o store.Options) (s *store.Store) {
	t.Helper()
	err := untilAvailable(func() (err error) { s, err = store.Open(t.Context(), o); return err })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

func TestOnTheEmbeddedDatabase(t *testing.T) {
	db := start(t)
	storetest.Run(t, storetest.Target{URI: db.URI(), Dial: db.DialContext, Exchange: db.Exchange})
}

// Another process reaches the embedded database over connections.
func TestOnTheEmbeddedDatabaseOverConnections(t *testing.T) {
	db := start(t)
	storetest.Run(t, storetest.Target{URI: db.URI(), Dial: db.DialContext})
}

// A call of the embedded database has the errors of a connection to it, and more callers at once
// than it serves wait.
func TestCallsAndConnectionsHaveTheSameErrors(t *testing.T) {
	for name, direct := range map[string]bool{"call": true, "connection": false} {
		t.Run(name, func(t *testing.T) {
			db := start(t)
			o := store.Options{URI: db.URI(), Dial: db.DialContext, Timeout: time.Minute}
			var exchanges atomic.Int64
			if direct {
				o.Exchange = func(ctx context.Context, request []byte) ([]byte, error) {
					exchanges.Add(1)
					return db.Exchange(ctx, request)
				}
			}
			s, err := store.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			canceled, cancel := context.WithCancel(t.Context())
			cancel()
			defer s.Close(canceled) // the database is closed then
			var crowd sync.WaitGroup
			for i := range 300 { // more than the slots of a local database
				crowd.Go(func() {
					if _, err := s.Users().Create(t.Context(), store.User{Email: fmt.Sprintf("user%d@example.org", i)}, store.Lease{}); err != nil {
						t.Errorf("one of a crowd: %v", err)
					}
				})
			}
			crowd.Wait()
			expired, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
			defer cancel()
			ask := func(ctx context.Context) error {
				_, err := s.Users().ByEmail(ctx, "USER7@example.org")
				return err
			}
			if err := ask(t.Context()); err != nil {
				t.Errorf("one of the crowd: %v", err)
			}
			if err := ask(canceled); !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrUnavailable) {
				t.Errorf("a client that has left: %v", err)
			}
			if err := ask(expired); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("after the deadline: %v", err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			exchanges.Store(0)
			short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if err := ask(short); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("a closed database: %v", err)
			}
			if !direct {
				return // each further operation waits for its deadline
			}
			if _, err := s.Users().Create(t.Context(), store.User{Email: "late@example.org"}, store.Lease{}); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("a write to a closed database: %v", err)
			}
			if n := exchanges.Load(); n > 1 {
				t.Errorf("a closed database was asked %d times, want once", n)
			}
		})
	}
}

func TestOnMongoDB(t *testing.T) {
	uri := os.Getenv("TEST_MONGODB_URL")
	if uri == "" {
		t.Skip("TEST_MONGODB_URL names no MongoDB to run against")
	}
	storetest.Run(t, storetest.Target{URI: uri})
}

func TestOpenNeverShowsTheURI(t *testing.T) {
	const secret = "hunter2-topsecret"
	for _, uri := range []string{
		"mongodb://root:" + secret + "@",
		"mongodb://root:" + secret + "@host:port",
		"mongodb://root:" + secret + "%@host",
		"mongodb://root:" + secret + "@host/?directConnection=maybe",
		"mongodb://root:" + secret + "@host/?replicaSet=",
		"mongodb://root:" + secret + "@a,b/?directConnection=true",
		"postgres://root:" + secret + "@host",
		secret, "",
	} {
		s, err := store.Open(t.Context(), store.Options{URI: uri, ConnectTimeout: -1, Timeout: 50 * time.Millisecond, Dial: refuseDial})
		if err == nil {
			_ = s.Close(t.Context())
			t.Errorf("%q opened", uri)
			continue
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error shows the URI: %v", err)
		}
	}
}

// refuseDial is a network without servers.
func refuseDial(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("connection refused")
}

func TestOpenFailsWithoutADatabase(t *testing.T) {
	_, err := store.Open(t.Context(), store.Options{URI: "mongodb://db.example", ConnectTimeout: -1, Timeout: 50 * time.Millisecond, Dial: refuseDial})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("error = %v, want %v", err, store.ErrUnavailable)
	}
}

func TestOpenWaitsForTheDatabase(t *testing.T) {
	t.Parallel() // it waits for its timeout
	db := start(t)
	const timeout = 4 * time.Second // a busy machine must make the indexes in it
	var up atomic.Bool
	time.AfterFunc(timeout*3/2, func() { up.Store(true) })
	s, err := store.Open(t.Context(), store.Options{
		URI: db.URI(), Timeout: timeout, ConnectTimeout: time.Minute,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if !up.Load() {
				return refuseDial(ctx, network, address)
			}
			return db.DialContext(ctx, network, address)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestSilentDatabaseIsUnavailable checks that a database that accepts connections and never
// answers delays an operation only for the timeout. The original waited 45 seconds.
func TestSilentDatabaseIsUnavailable(t *testing.T) {
	db := start(t)
	const id = "507f1f77bcf86cd799439011"
	for name, ask := range map[string]func(context.Context, *store.Store) error{
		"find": func(ctx context.Context, s *store.Store) error {
			_, err := s.Users().ByEmail(ctx, "ada@example.org")
			return err
		},
		"insert": func(ctx context.Context, s *store.Store) error {
			_, err := s.Users().Create(ctx, store.User{Email: "a@b.org"}, store.Lease{ID: "x", Until: time.Now()})
			return err
		},
		"update": func(ctx context.Context, s *store.Store) error {
			return s.Accounts().Save(ctx, store.Lease{ID: "x"}, store.User{ID: id, CubeID: 1})
		},
		"delete": func(ctx context.Context, s *store.Store) error {
			return s.Accounts().Remove(ctx, id, store.Lease{ID: "x"})
		},
		"claim": func(ctx context.Context, s *store.Store) error {
			_, err := s.AccountWork().Claim(ctx, store.Lease{ID: "x", Until: time.Now()})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits for its timeout
			var silent, longDeadline atomic.Bool
			s := openAvailable(t, store.Options{
				URI: db.URI(), Timeout: 2 * time.Second,
				Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
					conn, err := db.DialContext(ctx, network, address)
					return &silentConn{Conn: conn, silent: &silent, longDeadline: &longDeadline}, err
				},
			})
			silent.Store(true)
			// The context has a longer deadline, as in a registration.
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- ask(ctx, s) }()
			select {
			case err := <-done:
				if !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("error = %v, want %v", err, store.ErrUnavailable)
				}
			case <-time.After(20 * time.Second): // far more than the timeout
				t.Error("no answer in 20 s")
			}
			if longDeadline.Load() {
				t.Error("the deadline of a read is that of the caller, want the database's timeout")
			}
		})
	}
}

// silentConn discards writes while silent.
type silentConn struct {
	net.Conn
	silent       *atomic.Bool
	longDeadline *atomic.Bool // a read while silent had a deadline of more than half a minute
}

func (c *silentConn) SetReadDeadline(t time.Time) error {
	if c.silent.Load() && time.Until(t) > 30*time.Second { // not that of Open, which may create indexes for long
		c.longDeadline.Store(true)
	}
	return c.Conn.SetReadDeadline(t)
}

func (c *silentConn) Write(p []byte) (int, error) {
	if c.silent.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func TestExportIsExtendedJSON(t *testing.T) {
	db := start(t)
	s, err := store.Open(t.Context(), store.Options{URI: db.URI(), Dial: db.DialContext})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	var ids []string
	for _, email := range []string{"ada@example.org", "bob@example.org"} {
		user, err := s.Users().Create(t.Context(), store.User{FirstName: "A\nda", Email: email, PasswordHash: "hash"}, store.Lease{ID: "x", Until: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, user.ID)
	}
	var out bytes.Buffer
	if err := s.Export(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), out.String())
	}
	for i, line := range lines {
		if !strings.Contains(line, `"_id":{"$oid":"`+ids[i]+`"}`) || !strings.Contains(line, `"createdAt":{"$date":{"$numberLong":`) {
			t.Errorf("line %d: %s", i, line)
		}
	}
}

// TestCloseEndsWaitingOperations checks that Close of the store, and not its own deadline, ends an
// operation that waits for a server.
func TestCloseEndsWaitingOperations(t *testing.T) {
	db := start(t)
	var away atomic.Bool
	dialed := make(chan struct{}, 1000)
	s, err := store.Open(t.Context(), store.Options{
		URI: db.URI(), Timeout: time.Hour,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if away.Load() {
				dialed <- struct{}{}
				return nil, errors.New("away")
			}
			return db.DialContext(ctx, network, address)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	away.Store(true)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	results := make(chan error, 2)
	go func() { _, err := s.Users().ByID(t.Context(), "0123456789abcdef01234567"); results <- err }()
	go func() { results <- s.Audit().Record(t.Context(), store.Event{Kind: "login"}) }()
	for range 2 { // the driver has found no server, so both operations wait
		<-dialed
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	for range 2 {
		select {
		case err := <-results:
			if err == nil {
				t.Error("an operation without a database succeeded")
			}
		case <-time.After(20 * time.Second):
			t.Fatal("an operation outlives the store")
		}
	}
}
