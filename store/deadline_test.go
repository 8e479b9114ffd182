package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cubegate/store"
)

// slowIndexes delays each command that creates indexes, as a large collection does.
type slowIndexes struct {
	net.Conn
	delay time.Duration
	seen  *atomic.Int64
}

func (c slowIndexes) Write(message []byte) (int, error) {
	if bytes.Contains(message, []byte("createIndexes")) {
		c.seen.Add(1)
		<-time.After(c.delay)
	}
	return c.Conn.Write(message)
}

// A version with a new index starts on a collection that is so large that the index takes
// longer than an operation may.
func TestIndexesMayTakeLongerThanAnOperation(t *testing.T) {
	t.Parallel()
	db := start(t)
	var seen atomic.Int64
	const timeout = time.Second
	s, err := store.Open(t.Context(), store.Options{
		URI: db.URI(), Timeout: timeout,
		Dial: func(ctx context.Context, kind, address string) (net.Conn, error) {
			conn, err := db.DialContext(ctx, kind, address)
			return slowIndexes{conn, 3 * timeout / 2, &seen}, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if seen.Load() == 0 {
		t.Error("no command has created indexes")
	}
}

// TestDatabaseRecoversFromSilence checks that connections that the driver opened while the
// database was silent do not block later operations. Version 1 of the driver set no deadline
// for the first exchange on a connection of its pool, and opened two connections at a time:
// two silent ones blocked all operations forever. TestDefect37 is the same test for the whole
// program. No other read or write may be without a deadline either.
func TestDatabaseRecoversFromSilence(t *testing.T) {
	t.Parallel()
	db := start(t)
	var network watchedNetwork
	s := openAvailable(t, store.Options{
		URI: db.URI(), Timeout: 2 * time.Second,
		Dial: func(ctx context.Context, kind, address string) (net.Conn, error) {
			conn, err := db.DialContext(ctx, kind, address)
			return &watchedConn{Conn: conn, network: &network}, err
		},
	})
	network.silent.Store(true)
	var waiting sync.WaitGroup
	for range 8 { // more than the connections that the driver opens at a time
		waiting.Go(func() {
			if _, err := s.Users().ByEmail(context.Background(), "ada@example.org"); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("error of a silent database = %v, want %v", err, store.ErrUnavailable)
			}
		})
	}
	waiting.Wait()
	network.silent.Store(false)

	err := untilAvailable(func() error { _, err := s.Users().ByEmail(t.Context(), "ada@example.org"); return err })
	if !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("after the silence: %v", err)
	}
	for i := range 150 { // more than one batch of a cursor
		err := untilAvailable(func() error {
			_, err := s.Users().Create(t.Context(), store.User{Email: fmt.Sprintf("user%d@example.org", i)}, store.Lease{})
			return err
		})
		if err != nil && !errors.Is(err, store.TakenError{Field: "email"}) { // by an attempt whose answer was late
			t.Fatal(err)
		}
	}
	if err := untilAvailable(func() error { return s.Export(context.Background(), io.Discard) }); err != nil {
		t.Error(err)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if n := network.unbounded.Load(); n != 0 {
		t.Errorf("%d reads or writes had no deadline", n)
	}
}

// watchedNetwork is the network of one store.
type watchedNetwork struct {
	silent    atomic.Bool  // discard all writes
	unbounded atomic.Int64 // reads and writes without a deadline
}

// watchedConn counts reads and writes without a deadline.
type watchedConn struct {
	net.Conn
	network *watchedNetwork

	mu          sync.Mutex
	read, write time.Time // the deadlines
}

func (c *watchedConn) Read(p []byte) (int, error) {
	c.checkDeadline(&c.read)
	return c.Conn.Read(p)
}

func (c *watchedConn) Write(p []byte) (int, error) {
	c.checkDeadline(&c.write)
	if c.network.silent.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *watchedConn) checkDeadline(deadline *time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if deadline.IsZero() {
		c.network.unbounded.Add(1)
	}
}

func (c *watchedConn) SetReadDeadline(t time.Time) error {
	c.setDeadlines(t, &c.read)
	return c.Conn.SetReadDeadline(t)
}

func (c *watchedConn) SetWriteDeadline(t time.Time) error {
	c.setDeadlines(t, &c.write)
	return c.Conn.SetWriteDeadline(t)
}

func (c *watchedConn) SetDeadline(t time.Time) error {
	c.setDeadlines(t, &c.read, &c.write)
	return c.Conn.SetDeadline(t)
}

func (c *watchedConn) setDeadlines(t time.Time, deadlines ...*time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range deadlines {
		*d = t
	}
}
