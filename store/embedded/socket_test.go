package embedded_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"cubegate/store/embedded"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// socketDialer is the driver's dialer for a socket.
type socketDialer string

func (d socketDialer) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	return embedded.DialSocket(ctx, string(d))
}

// listening starts a server on a file in folder that listens at the returned socket.
func listening(t *testing.T, folder string) (*embedded.Server, string) {
	t.Helper()
	s, err := embedded.Start(embedded.Options{File: filepath.Join(folder, "app.db"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	path := filepath.Join(folder, "app.sock")
	if err := s.ListenSocket(path); err != nil {
		t.Fatal(err)
	}
	return s, path
}

// insertAt inserts a document through a socket.
func insertAt(t *testing.T, s *embedded.Server, path string, id int) {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(s.URI()).SetDialer(socketDialer(path)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(context.Background()) }()
	if _, err := client.Database("app").Collection("things").InsertOne(t.Context(), bson.D{{Key: "_id", Value: id}}); err != nil {
		t.Errorf("inserting %d: %v", id, err)
	}
}

// Drivers of several processes use one server at the same time, at any length of path. Only
// the user of the process may use the socket, and it goes with the server.
func TestSocket(t *testing.T) {
	t.Parallel()
	for name, folder := range map[string]string{"short": "d", "long": strings.Repeat("long/", 30)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), folder)
			if err := os.MkdirAll(folder, 0o755); err != nil {
				t.Fatal(err)
			}
			s, path := listening(t, folder)
			info, err := os.Lstat(path)
			if err != nil || info.Mode() != fs.ModeSocket|0o600 {
				t.Errorf("the socket has mode %v, %v", info.Mode(), err)
			}
			var all sync.WaitGroup
			for id := range 5 {
				all.Go(func() { insertAt(t, s, path, id) })
			}
			all.Wait()
			inside, err := mongo.Connect(options.Client().ApplyURI(s.URI()).SetDialer(s))
			if err != nil {
				t.Fatal(err)
			}
			if n, err := inside.Database("app").Collection("things").CountDocuments(t.Context(), bson.D{}); n != 5 || err != nil {
				t.Errorf("%d documents, %v", n, err)
			}
			_ = inside.Disconnect(t.Context())
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if _, err := embedded.DialSocket(t.Context(), path); !errors.Is(err, embedded.ErrNoSocket) {
				t.Errorf("after the end: %v", err)
			}
			if left, _ := filepath.Glob(path + "*"); left != nil {
				t.Errorf("left over: %v", left)
			}
		})
	}
}

// A killed process leaves its socket. Nothing answers there, and the next server replaces it.
func TestSocketOfAKilledServerIsReplaced(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "app.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Skip(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := errors.Join(dead.Close(), os.MkdirAll(path+".new/s", 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.DialSocket(t.Context(), path); !errors.Is(err, embedded.ErrNoSocket) {
		t.Errorf("a dead socket: %v", err)
	}
	s, _ := listening(t, folder)
	insertAt(t, s, path, 1)
}

// Neither side follows a symbolic link, and no file is lost.
func TestSocketReplacesNoOtherFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	other, real := listening(t, filepath.Join(mkdir(t, folder, "other")))
	_ = other
	for name, place := range map[string]func(path string) error{
		"a link to a socket": func(path string) error { return os.Symlink(real, path) },
		"a link to nothing":  func(path string) error { return os.Symlink(filepath.Join(folder, "nothing"), path) },
		"a file":             func(path string) error { return os.WriteFile(path, []byte("mine"), 0o600) },
		"a folder":           func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		here := mkdir(t, folder, strings.ReplaceAll(name, " ", "-"))
		path := filepath.Join(here, "app.sock")
		if err := place(path); err != nil {
			t.Fatal(err)
		}
		before, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := embedded.Start(embedded.Options{File: filepath.Join(here, "app.db"), NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.ListenSocket(path); err == nil || !strings.Contains(err.Error(), "app.sock") || !strings.Contains(err.Error(), "move") {
			t.Errorf("%s: listening: %v", name, err)
		}
		if conn, err := embedded.DialSocket(t.Context(), path); err == nil || errors.Is(err, embedded.ErrNoSocket) {
			t.Errorf("%s: dialing: %v, %v", name, conn, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) || after.Mode() != before.Mode() {
			t.Errorf("%s: changed: %v", name, err)
		}
	}
}

func mkdir(t *testing.T, parts ...string) string {
	t.Helper()
	folder := filepath.Join(parts...)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	return folder
}
