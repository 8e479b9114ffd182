package store

import (
	"context"
	"net"
	"time"
)

// dialer opens the driver's connections.
type dialer struct {
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	timeout time.Duration
}

// DialContext is what the driver calls.
func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, timeout: d.timeout}, nil
}

// conn waits for nothing without a deadline. The driver (v1.17) has none for the
// first exchange on a connection of its pool, and makes two connections at a time:
// two that were opened while the database was silent kept all operations waiting
// for ever, long after it was back. For everything else the driver sets one.
type conn struct {
	net.Conn
	timeout time.Duration
}

func (c *conn) SetDeadline(t time.Time) error      { return c.Conn.SetDeadline(c.bound(t)) }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.Conn.SetReadDeadline(c.bound(t)) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.Conn.SetWriteDeadline(c.bound(t)) }

func (c *conn) bound(t time.Time) time.Time {
	if t.IsZero() { // none
		return time.Now().Add(c.timeout)
	}
	return t
}
