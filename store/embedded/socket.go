package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// ErrNoSocket means that no Server listens at a socket: there is no such file, or the file
// is left over from a process that was killed.
var ErrNoSocket = errors.New("no server listens at the socket")

// SocketURI is the connection string for a driver whose dialer calls DialSocket.
const SocketURI = "mongodb://embedded.invalid/?directConnection=true"

// maxSocketPath is the greatest length of a Unix socket's path that every system permits.
const maxSocketPath = 103

// ListenSocket serves, until Close, also at a Unix socket that only the user of this process
// may use. A socket that a killed process has left there is replaced: only one process can
// have the file of the database, so no other uses the socket. ListenSocket refuses to
// replace a symbolic link or any other file.
//
// Connections at the socket share the bounds of those at Options.Listen.
func (s *Server) ListenSocket(path string) error {
	listener, err := listenSocket(path)
	if err != nil {
		return fmt.Errorf("listening at %s: %w", path, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.socket != nil {
		_ = listener.Close()
		return fmt.Errorf("listening at %s: the server is closed, or listens at a socket already", path)
	}
	s.socket = &socket{listener, path}
	s.work.Go(func() { s.accept(listener) })
	return nil
}

// socket is a Unix socket at which a Server listens.
type socket struct {
	listener net.Listener
	path     string
}

// remove ends the socket. Its Server must still have the file of the database locked, so
// that the path is not another process's.
func (k *socket) remove() {
	if k == nil {
		return
	}
	_ = k.listener.Close()
	if checkSocket(k.path) == nil {
		_ = os.Remove(k.path)
	}
}

// listenSocket makes the socket in a folder that only this user may enter, sets its mode,
// and moves it to path: no other user can connect before the mode is set, and the old
// socket is replaced in one step.
func listenSocket(path string) (net.Listener, error) {
	if err := checkSocket(path); err != nil && !errors.Is(err, ErrNoSocket) {
		return nil, err
	}
	folder := path + ".new"
	if err := os.RemoveAll(folder); err != nil { // left over from a process that was killed
		return nil, err
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	made := filepath.Join(folder, "s")
	var listener *net.UnixListener
	err := withShortPath(made, func(short string) (err error) {
		listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false) // remove does it
	err = os.Chmod(made, 0o600)
	if err == nil {
		err = os.Rename(made, path)
	}
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// DialSocket connects to the Server that listens at a Unix socket. It follows no symbolic
// link. The error wraps ErrNoSocket if no Server listens there.
func DialSocket(ctx context.Context, path string) (net.Conn, error) {
	if err := checkSocket(path); err != nil {
		return nil, err
	}
	var conn net.Conn
	err := withShortPath(path, func(short string) (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, "unix", short)
		return err
	})
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w %s", ErrNoSocket, path)
	}
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", path, err)
	}
	return conn, nil
}

// checkSocket returns nil if path is a socket, and ErrNoSocket if it does not exist.
func checkSocket(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w %s", ErrNoSocket, path)
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link, want a socket; remove it", path)
	case info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("%s is not a socket; move it away", path)
	}
	return nil
}

// withShortPath calls do with a path of the same file that fits into a socket's address. On
// Linux there always is one, through the descriptor of the folder.
func withShortPath(path string, do func(short string) error) error {
	if len(path) <= maxSocketPath {
		return do(path)
	}
	if here, err := os.Getwd(); err == nil {
		if relative, err := filepath.Rel(here, path); err == nil && len(relative) <= maxSocketPath {
			return do(relative)
		}
	}
	if runtime.GOOS != "linux" {
		return fmt.Errorf("its path has %d bytes, and a socket's may have %d; use a folder with a shorter path", len(path), maxSocketPath)
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	return do(fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), filepath.Base(path)))
}
