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
		s, err := store.Open(t.Context(), store.Options{URI: uri, Patience: -1, Timeout: 50 * time.Millisecond, Dial: refuse})
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

// refuse is a network on which nobody answers.
func refuse(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("connection refused")
}

func TestOpenSaysThatTheDatabaseIsAway(t *testing.T) {
	_, err := store.Open(t.Context(), store.Options{URI: "mongodb://db.example", Patience: -1, Timeout: 50 * time.Millisecond, Dial: refuse})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("error = %v, want %v", err, store.ErrUnavailable)
	}
}

func TestOpenWaitsForADatabaseThatComesLate(t *testing.T) {
	db := start(t)
	var up atomic.Bool
	time.AfterFunc(300*time.Millisecond, func() { up.Store(true) })
	s, err := store.Open(t.Context(), store.Options{
		URI: db.URI(), Timeout: 100 * time.Millisecond, Patience: 20 * time.Second,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if !up.Load() {
				return refuse(ctx, network, address)
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

// A database that accepts and then says nothing must not hold a login longer
// than the timeout: the original waited 45 seconds.
func TestASilentDatabaseIsAnErrorInTime(t *testing.T) {
	db := start(t)
	var silent atomic.Bool
	s, err := store.Open(t.Context(), store.Options{
		URI: db.URI(), Timeout: 300 * time.Millisecond, Patience: -1,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := db.DialContext(ctx, network, address)
			return &muted{Conn: conn, silent: &silent}, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	silent.Store(true)
	later, cancel := context.WithTimeout(context.Background(), time.Minute) // as a registration has: its own bound is not the database's
	defer cancel()
	for name, ask := range map[string]func() error{
		"find":   func() error { _, err := s.Users().ByEmail(context.Background(), "ada@example.org"); return err },
		"insert": func() error { _, err := s.Users().Create(later, store.User{Email: "ada@example.org"}); return err },
		"update": func() error { return s.Users().SetCubeID(later, "507f1f77bcf86cd799439011", 1) },
		"delete": func() error { return s.Users().Discard(later, "507f1f77bcf86cd799439011") },
		"clean":  func() error { _, err := s.Users().DiscardAbandoned(later, time.Hour); return err },
	} {
		done := make(chan error, 1)
		go func() { done <- ask() }()
		select {
		case err := <-done:
			if !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%s: error = %v, want %v", name, err, store.ErrUnavailable)
			}
		case <-time.After(20 * time.Second): // far beyond the timeout, far below for ever
			t.Errorf("%s: no answer in 20 s", name)
		}
	}
}

// muted swallows what is written while silent.
type muted struct {
	net.Conn
	silent *atomic.Bool
}

func (m *muted) Write(p []byte) (int, error) {
	if m.silent.Load() {
		return len(p), nil
	}
	return m.Conn.Write(p)
}

func TestExportIsExtendedJSON(t *testing.T) {
	db := start(t)
	s, err := store.Open(t.Context(), store.Options{URI: db.URI(), Dial: db.DialContext})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	var ids []string
	for _, address := range []string{"ada@example.org", "bob@example.org"} {
		user, err := s.Users().Create(t.Context(), store.User{FirstName: "A\nda", Email: address, PasswordHash: "hash"})
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
