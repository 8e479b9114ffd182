package embedded

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// TestBudgetWaitsForFreeBytes checks that a share waits for free bytes up to the longest wait,
// and that the budget is free at the end.
func TestBudgetWaitsForFreeBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100)
		a := share{budget: b}
		if err := a.resize(t.Context(), 80); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := (&share{budget: b}).resize(t.Context(), 21); !errors.Is(err, errNoRoom) || time.Since(began) != budgetWait {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				mine := share{budget: b}
				for range 50 {
					if err := mine.resize(t.Context(), 45); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Millisecond)
					mine.release()
				}
			})
		}
		time.Sleep(time.Second)
		a.release()
		wg.Wait()
		if b.used != 0 {
			t.Errorf("%d bytes are still taken", b.used)
		}
	})
}

// TestLargeAnswersAreInOrder checks that shares that wait for the room of a large answer get it in
// the order in which they came, and that a small message passes them.
func TestLargeAnswersAreInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100)
		first := share{budget: b}
		if err := first.resize(t.Context(), 80); err != nil {
			t.Fatal(err)
		}
		var order []int // one share at a time fits, so nothing else guards it
		var wg sync.WaitGroup
		for i := range 30 {
			wg.Go(func() {
				mine := share{budget: b}
				if err := mine.resizeInOrder(t.Context(), 60); err != nil {
					t.Error(err)
				}
				order = append(order, i)
				time.Sleep(time.Millisecond)
				mine.release()
			})
			synctest.Wait() // it waits for room
		}
		small := share{budget: b}
		if err := small.resize(t.Context(), 20); err != nil {
			t.Errorf("a small message beside the waiting answers: %v", err)
		}
		first.release()
		wg.Wait()
		if len(order) != 30 || !slices.IsSorted(order) {
			t.Errorf("the answers got room in the order %v", order)
		}
	})
}

// TestNoRoomInOrder checks that the longest wait includes the wait in line.
func TestNoRoomInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100)
		if err := (&share{budget: b}).resize(t.Context(), 80); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			go func() {
				began := time.Now()
				if err := (&share{budget: b}).resizeInOrder(t.Context(), 60); !errors.Is(err, errNoRoom) || time.Since(began) != budgetWait {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
			}()
			time.Sleep(time.Second)
		}
		time.Sleep(budgetWait)
	})
}

// dialListener opens a connection at the server's listener.
func dialListener(t *testing.T, s *Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute)) // generous, for a busy machine
	return conn
}

func (b *budget) taken() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// TestMessagesInFlightAreBounded checks that many incomplete messages at the listener never hold
// more than the bound and do not affect the process's own driver.
func TestMessagesInFlightAreBounded(t *testing.T) {
	s := startAt(t, Options{File: filepath.Join(t.TempDir(), "tcp.db"), Listen: "127.0.0.1:0", NoSync: true})
	const size = 40 << 20
	large := make([]byte, size)
	binary.LittleEndian.PutUint32(large, size)
	binary.LittleEndian.PutUint32(large[12:], 2013) // OP_MSG
	var wg sync.WaitGroup
	for range 10 {
		conn := dialListener(t, s)
		wg.Go(func() { _, _ = conn.Write(large[:size-1]) }) // all but the last byte
	}
	c := connect(t, s).Database("test").Collection("c")
	waitUntil(t, "the messages take three quarters of the bound", func() bool { return s.budget.taken() >= maxListenBytes*3/4 })
	if _, err := c.InsertOne(t.Context(), D{{Key: "a", Value: 1}}); err != nil {
		t.Errorf("the process's own insert: %v", err)
	}
	for range 100 {
		if taken := s.budget.taken(); taken > maxListenBytes {
			t.Fatalf("%d bytes taken, want %d at most", taken, maxListenBytes)
		}
		time.Sleep(time.Millisecond)
	}
	if err := s.Close(); err != nil { // ends the connections that wait for room
		t.Error(err)
	}
	wg.Wait()
	if taken := s.budget.taken(); taken != 0 {
		t.Errorf("%d bytes taken after the end", taken)
	}
}

// TestAnswersInFlightAreBounded checks that clients that request large answers and do not read
// them hold no more than the bound, and that other clients get their answers.
func TestAnswersInFlightAreBounded(t *testing.T) {
	s := startAt(t, Options{File: filepath.Join(t.TempDir(), "tcp.db"), Listen: "127.0.0.1:0", NoSync: true})
	c := connect(t, s).Database("test").Collection("c")
	for i := range 3 {
		insertAll(t, c, D{{Key: "_id", Value: i}, {Key: "a", Value: make([]byte, 8<<20)}})
	}
	s.budget.wait = 100 * time.Millisecond // the clients that do not read keep their bytes
	find := frame(t, D{{Key: "find", Value: "c"}, {Key: "$db", Value: "test"}})
	var wg sync.WaitGroup
	for i := range 12 {
		conn := dialListener(t, s)
		wg.Go(func() {
			if _, err := conn.Write(find); err != nil || i%3 != 0 {
				return // without reading the answer
			}
			var header [headerSize]byte
			_, err := io.ReadFull(conn, header[:])
			if err == nil {
				_, err = io.CopyN(io.Discard, conn, int64(binary.LittleEndian.Uint32(header[:]))-headerSize)
			}
			if err != nil {
				t.Errorf("an answer that was read: %v", err)
			}
		})
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	for {
		if taken := s.budget.taken(); taken > maxListenBytes {
			t.Fatalf("%d bytes taken, want %d at most", taken, maxListenBytes)
		}
		select {
		case <-ended:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

func TestTooManyListenedConnections(t *testing.T) {
	s := startAt(t, Options{File: filepath.Join(t.TempDir(), "tcp.db"), Listen: "127.0.0.1:0", NoSync: true})
	ping := frame(t, bson.D{{Key: "ping", Value: 1}, {Key: "$db", Value: "a"}})
	for i := range maxListenConnections + 1 {
		conn := dialListener(t, s)
		_, err := conn.Write(ping)
		if err == nil {
			_, err = io.ReadFull(conn, make([]byte, headerSize))
		}
		if (err == nil) != (i < maxListenConnections) {
			t.Errorf("connection %d: %v", i, err)
		}
	}
	if _, err := s.DialContext(t.Context(), "", ""); err != nil {
		t.Errorf("the process's own connection: %v", err)
	}
}
