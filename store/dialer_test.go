package store

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// The driver takes deadlines away before the first exchange on a connection; see
// conn. TestFault37 shows what came of it.
func TestNoDeadlineIsOneAllTheSame(t *testing.T) {
	for name, clear := range map[string]func(net.Conn) error{
		"read": func(c net.Conn) error { return c.SetReadDeadline(time.Time{}) },
		"both": func(c net.Conn) error { return c.SetDeadline(time.Time{}) },
	} {
		near, far := net.Pipe()
		defer far.Close()
		d := dialer{
			dial:    func(context.Context, string, string) (net.Conn, error) { return near, nil },
			timeout: 10 * time.Millisecond,
		}
		c, err := d.DialContext(t.Context(), "tcp", "db.example:27017")
		if err != nil {
			t.Fatal(err)
		}
		if err := clear(c); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { _, err := c.Read(make([]byte, 1)); ended <- err }()
		select {
		case err := <-ended:
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: %v, want the deadline's end", name, err)
			}
		case <-time.After(20 * time.Second): // of no deadline at all
			t.Errorf("%s waits for ever", name)
		}
		_ = c.Close()
	}
}
