package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"cubegate/server/config"
	"cubegate/store/embedded"
)

// failed is the error of an operation of the net package.
func failed(err error) error {
	return &net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("bind", err)}
}

// Each error of a listener names the cause and the cure at the beginning of one line.
func TestListenerErrors(t *testing.T) {
	t.Parallel()
	api := listenerSetting{"HOST", "PORT", "192.0.2.1", 80}
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"rights":     {failed(syscall.EACCES), "port 80 needs rights that this process does not have; set PORT=8080, and let a proxy forward port 80 to it: "},
		"no address": {failed(syscall.EADDRNOTAVAIL), "HOST=192.0.2.1 is no address of this machine; set HOST to one of its addresses, or to 0.0.0.0 for all: "},
		"no name":    {&net.OpError{Op: "listen", Err: &net.DNSError{Name: "my.host", IsNotFound: true}}, "HOST=my.host does not resolve to an address; set HOST to an address of this machine, or to 0.0.0.0 for all: "},
		"other":      {failed(syscall.EMFILE), "PORT: "},
	} {
		got := api.explain(tt.err)
		if !strings.HasPrefix(got.Error(), tt.want) || !errors.Is(got, tt.err) || strings.Contains(got.Error(), "\n") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// The port that the error proposes is free.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	port := ln.Addr().(*net.TCPAddr).Port
	_, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	text := listenerSetting{"SANDBOX_HOST", "SANDBOX_PORT", "127.0.0.1", port}.explain(err).Error()
	var proposed int
	if _, err := fmt.Sscanf(text, fmt.Sprintf("port %d is in use; set SANDBOX_PORT=%%d:", port), &proposed); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	free, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", proposed))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	_ = free.Close()
	if got := (listenerSetting{"HOST", "PORT", "127.0.0.1", 65530}).freePort(); got != 0 {
		t.Errorf("near the greatest port: %d", got)
	}
}

func TestDatabaseErrors(t *testing.T) {
	t.Parallel()
	var cfg config.Config
	cfg.DataDir, cfg.Mongo.EmbeddedListen = t.TempDir(), "127.0.0.1:27018"
	at := func(err error) error {
		return fmt.Errorf("opening: %w", &fs.PathError{Op: "open", Path: "x", Err: err})
	}
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"locked":     {embedded.ErrLocked, "is in use by another process; stop that first, or set DATA_DIR to another folder: "},
		"rights":     {at(syscall.EACCES), fmt.Sprintf("cannot be used; make it a folder that the user of this process (uid %d) may write, or set DATA_DIR to one: ", os.Getuid())},
		"a file":     {at(syscall.ENOTDIR), "may write, or set DATA_DIR to one: "},
		"read-only":  {at(syscall.EROFS), "set DATA_DIR to a folder on a disk that is not read-only"},
		"full":       {at(syscall.ENOSPC), "free space on its disk"},
		"a listener": {failed(syscall.EADDRINUSE), "MONGO_EMBEDDED_LISTEN: port 27018 is in use; set the port="},
		"damage":     {embedded.ErrDamaged, "the database in DATA_DIR: "},
	} {
		got := explainDatabase(cfg, tt.err)
		if !strings.Contains(got.Error(), tt.want) || !errors.Is(got, tt.err) || strings.Contains(got.Error(), "\n") {
			t.Errorf("%s: %q", name, got)
		}
	}
	if err := (runningServer{PID: 4711}).write(cfg); err != nil {
		t.Fatal(err)
	}
	if got := explainDatabase(cfg, embedded.ErrLocked); !strings.Contains(got.Error(), "a cubegate that runs (process 4711)") {
		t.Errorf("beside a server: %v", got)
	}
}

func TestMongoHostsShowNoSecret(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"mongodb://localhost":                                "localhost",
		"mongodb://ada:p%40ss@a:27017,b:27018/app?w=1":       "a:27017,b:27018",
		"mongodb+srv://ada:secret@cluster.example.net?x=a@b": "cluster.example.net",
	} {
		if got := mongoHosts(uri); got != want {
			t.Errorf("%s: %q", uri, got)
		}
	}
}
