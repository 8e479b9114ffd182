package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/wiremessage"
)

func TestStartRefuses(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "used.db")
	startAt(t, Options{File: file})
	junk := filepath.Join(folder, "junk.db")
	if err := os.WriteFile(junk, []byte(strings.Repeat("no database", 2000)), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		o    Options
		want string
	}{
		{"file in use", Options{File: file}, ErrLocked.Error()},
		{"no folder", Options{File: filepath.Join(folder, "none", "x.db")}, "no such file"},
		{"not a database", Options{File: junk}, "invalid database"},
		{"all interfaces", Options{File: filepath.Join(folder, "a.db"), Listen: ":27018"}, "not loopback"},
		{"other interface", Options{File: filepath.Join(folder, "a.db"), Listen: "192.0.2.1:27018"}, "not loopback"},
		{"no port", Options{File: filepath.Join(folder, "a.db"), Listen: "127.0.0.1"}, "listen endpoint"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Start(tt.o)
			if err == nil {
				_ = s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Start: %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := Start(Options{File: file}); !errors.Is(err, ErrLocked) {
		t.Errorf("%v is not ErrLocked", err)
	}
}

func TestDataSurvivesARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kept.db")
	s, err := Start(Options{File: file})
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, s).Database("test").Collection("c")
	makeIndex(t, c, D{{Key: "email", Value: 1}}, options.Index().SetUnique(true))
	makeIndex(t, c, D{{Key: "tags", Value: 1}}, nil)
	insertAll(t, c, D{{Key: "_id", Value: 1}, {Key: "email", Value: "a"}, {Key: "tags", Value: A{1, 2}}})
	for range 2 { // the second Close has no effect
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file mode %v, %v", info.Mode(), err)
	}
	if _, err := s.DialContext(t.Context(), "", ""); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dialling a closed server: %v", err)
	}
	again := startAt(t, Options{File: file})
	c = connect(t, again).Database("test").Collection("c")
	if got := all(t, c, D{{Key: "tags", Value: 2}}); len(got) != 1 {
		t.Errorf("found %v", got)
	}
	_, err = c.InsertOne(t.Context(), D{{Key: "email", Value: "a"}})
	wantCode(t, "the index after a restart", err, codeDuplicateKey)
	if plan := planOf(t, c, `{"tags":2}`, `{}`); plan != "IXSCAN tags_1" {
		t.Errorf("plan %s", plan)
	}
}

func TestTCP(t *testing.T) {
	s := startAt(t, Options{File: filepath.Join(t.TempDir(), "tcp.db"), Listen: "127.0.0.1:0", NoSync: true})
	if s.Addr() == nil || !strings.Contains(s.URI(), s.Addr().String()) {
		t.Fatalf("Addr %v, URI %s", s.Addr(), s.URI())
	}
	client := dial(t, options.Client().ApplyURI(s.URI())) // no dialer: through the port
	insertAll(t, client.Database("test").Collection("c"), D{{Key: "_id", Value: 1}})
	if start(t).Addr() != nil {
		t.Error("a server without Listen has an address")
	}
}

// TestPanicAffectsOneCommand checks that a command that panics after a write, in a batch with
// others, fails without an effect, and that the others succeed.
func TestPanicAffectsOneCommand(t *testing.T) {
	for name, end := range map[string]func(*call) error{
		"panic":        func(*call) error { panic("told to") },
		"broken write": func(c *call) error { return c.t.recordWrite(errors.New("disk told to fail")) },
	} {
		t.Run(name, func(t *testing.T) {
			commands["testFault"] = command{writes, func(c *call) (bson.D, error) {
				if err := c.t.insert("test.c", rawDoc(t, `{"_id":"half done"}`)); err != nil {
					return nil, err
				}
				return nil, end(c)
			}}
			t.Cleanup(func() { delete(commands, "testFault") })
			s := start(t)
			c := connect(t, s).Database("test").Collection("c")
			var wg sync.WaitGroup
			for i := range 200 {
				wg.Go(func() {
					if i%10 == 0 {
						if err := c.Database().RunCommand(t.Context(), D{{Key: "testFault", Value: 1}}).Err(); err == nil {
							t.Error("a fault was answered with ok")
						}
						return
					}
					if _, err := c.InsertOne(t.Context(), D{{Key: "_id", Value: i}}); err != nil {
						t.Errorf("insert beside a fault: %v", err)
					}
				})
			}
			wg.Wait()
			if n, err := c.CountDocuments(t.Context(), D{}); n != 180 || err != nil {
				t.Errorf("%d documents, %v; want 180", n, err)
			}
		})
	}
}

func TestReadPanicIsAnswered(t *testing.T) {
	commands["testFault"] = command{reads, func(*call) (bson.D, error) { panic("told to") }}
	t.Cleanup(func() { delete(commands, "testFault") })
	c := fresh(t)
	wantCode(t, "panic", c.Database().RunCommand(t.Context(), D{{Key: "testFault", Value: 1}}).Err(), codeInternal)
	if err := c.Database().RunCommand(t.Context(), D{{Key: "ping", Value: 1}}).Err(); err != nil {
		t.Errorf("after the panic: %v", err)
	}
}

// TestCloseUnderLoad checks that every acknowledged insert is stored.
func TestCloseUnderLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "load.db")
	s, err := Start(Options{File: file, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, s).Database("test").Collection("c")
	var mu sync.Mutex
	var done []string
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for w := range 8 {
		wg.Go(func() {
			for i := range 100_000 {
				id := fmt.Sprint(w, "-", i)
				if _, err := c.InsertOne(ctx, D{{Key: "_id", Value: id}}); err != nil {
					return
				}
				mu.Lock()
				done = append(done, id)
				enough := len(done) == 2000
				mu.Unlock()
				if enough {
					if err := s.Close(); err != nil {
						t.Errorf("Close: %v", err)
					}
					cancel() // otherwise the driver searches for the server until its timeout
				}
			}
		})
	}
	wg.Wait()
	c = connect(t, startAt(t, Options{File: file})).Database("test").Collection("c")
	for _, id := range done {
		if err := c.FindOne(t.Context(), D{{Key: "_id", Value: id}}).Err(); err != nil {
			t.Errorf("acknowledged %s: %v", id, err)
		}
	}
}

// TestHostileBytes checks that each message ends the connection or gets an answer at once.
func TestHostileBytes(t *testing.T) {
	ping := frame(t, D{{Key: "ping", Value: 1}, {Key: "$db", Value: "a"}})
	deep := emptyDocument
	for range maxDepth + 5 {
		b := newBuilder()
		b.add("d", documentValue(deep))
		deep = b.document()
	}
	with := func(at int, b byte) []byte {
		m := append([]byte(nil), ping...)
		m[at] = b
		return m
	}
	tests := []struct {
		name     string
		message  []byte
		answered bool
	}{
		{"ping", ping, true},
		{"claims 2 GB", append([]byte{0xff, 0xff, 0xff, 0x7f}, ping[4:]...), false},
		{"claims less than a header", append([]byte{3, 0, 0, 0}, ping[4:]...), false},
		{"negative length", append([]byte{0xff, 0xff, 0xff, 0xff}, ping[4:]...), false},
		{"HTTP", []byte("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n"), false},
		{"unknown opcode", with(12, 0xff), false},
		{"unknown flag", with(16, 0x80), true},
		{"unknown section", with(20, 9), true},
		{"document longer than the message", with(21, 0xff), true},
		{"document shorter than it says", with(21, ping[21]-1), true},
		{"unknown type", with(25, 0x55), true},
		{"too deep", frame(t, bson.Raw(deep)), true},
		{"checksum", with(16, byte(wiremessage.ChecksumPresent)), true},
	}
	s := start(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := s.DialContext(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			if _, err := conn.Write(tt.message); err != nil {
				t.Fatal(err)
			}
			_, err = io.ReadFull(conn, make([]byte, headerSize))
			if (err == nil) != tt.answered || err != nil && err != io.EOF {
				t.Errorf("answer: %v, want one: %v", err, tt.answered)
			}
		})
	}
}

func TestTooManyConnections(t *testing.T) {
	s := start(t)
	for range maxConnections {
		if _, err := s.DialContext(t.Context(), "", ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.DialContext(t.Context(), "", ""); !errors.Is(err, errTooManyConnections) {
		t.Errorf("one more: %v", err)
	}
}
