package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A connection that the kernel has established and the server has not accepted yet was
// reset with its request when the port closed.
func TestStopAcceptingLosesNoConnection(t *testing.T) {
	t.Parallel()
	ln, err := listenTCP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &endpoint{port: ln, listener: onePort{ln}, served: make(chan struct{}), server: &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }),
	}}
	early, err := net.Dial("tcp", ln.Addr().String()) // waits in the queue: nothing accepts
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	if !hasQueue(ln) {
		t.Error("the queue of the listener seems empty")
	}
	if !ignoreNewConnections(ln) {
		if os.Geteuid() != 0 {
			t.Skip("this kernel lets only privileged processes ignore new connections")
		}
		t.Fatal("the kernel does not ignore new connections")
	}
	late := make(chan error, 1)
	go func() {
		c, err := net.Dial("tcp", ln.Addr().String()) // the kernel repeats the attempt after a second
		if err == nil {
			_ = c.Close()
		}
		late <- err
	}()
	go func() { _ = e.serve() }()
	e.stopAccepting(context.Background())
	if err := <-late; !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a late connection: %v, want it refused, so that a proxy turns to another process", err)
	}
	if _, err := io.WriteString(early, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(early)
	if err != nil || len(answer) < 6 || string(answer[len(answer)-6:]) != "served" {
		t.Errorf("the connection in the queue got %q, %v", answer, err)
	}
	if err := e.server.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown = %v", err)
	}
}

// Where the kernel refuses the filter, the connections in the queue are served, too.
func TestStopAcceptingEmptiesTheQueueWithoutAFilter(t *testing.T) {
	t.Parallel()
	ln, err := listenTCP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := onSocket(ln, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_LOCK_FILTER, 1) }); err != nil {
		t.Fatal(err)
	}
	if ignoreNewConnections(ln) {
		t.Fatal("the kernel takes a filter for a socket that is locked")
	}
	e := &endpoint{port: ln, listener: onePort{ln}, served: make(chan struct{}), server: &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }),
	}}
	var early []net.Conn
	for range 50 {
		c, err := net.Dial("tcp", ln.Addr().String()) // waits in the queue: nothing accepts
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		early = append(early, c)
	}
	stopped := make(chan struct{})
	go func() { e.stopAccepting(context.Background()); close(stopped) }()
	_ = e.serve()
	<-stopped
	for i, c := range early {
		if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(c)
		if err != nil || !strings.HasSuffix(string(answer), "served") {
			t.Fatalf("connection %d of the queue got %q, %v", i, answer, err)
		}
	}
	if err := e.server.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown = %v", err)
	}
}
