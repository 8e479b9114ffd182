package store_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
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

func TestOnTheEmbeddedDatabase(t *testing.T) {
	db := start(t)
	storetest.Run(t, storetest.Target{URI: db.URI(), Dial: db.DialContext})
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
	db := start(t)
	var up atomic.Bool
	time.AfterFunc(300*time.Millisecond, func() { up.Store(true) })
	s, err := store.Open(t.Context(), store.Options{
		URI: db.URI(), Timeout: 100 * time.Millisecond, ConnectTimeout: 20 * time.Second,
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
			var silent, longDeadline atomic.Bool
			s, err := store.Open(t.Context(), store.Options{
				URI: db.URI(), Timeout: 300 * time.Millisecond, ConnectTimeout: -1,
				Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
					conn, err := db.DialContext(ctx, network, address)
					return &silentConn{Conn: conn, silent: &silent, longDeadline: &longDeadline}, err
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close(context.Background()) })
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
	longDeadline *atomic.Bool // a read had a deadline of more than half a minute
}

func (c *silentConn) SetReadDeadline(t time.Time) error {
	if time.Until(t) > 30*time.Second {
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
