package store

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/address"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/description"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/mnet"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/xoptions"
)

// maxLocal bounds the commands that a local database runs at once. It is the size of the
// driver's pool of connections.
const maxLocal = 100

// local is a database inside the process, in place of the servers, connections and monitors
// of the driver. In the network, the driver starts two goroutines for each command and waits
// for each, and the connection needs two more switches: together they cost more than the
// command.
type local struct {
	exchange func(ctx context.Context, request []byte) (answer []byte, err error)
	slots    chan struct{} // one element for each running command
	timeout  time.Duration // to wait for a slot
	closed   atomic.Bool   // the database has ended; it does not return
}

// use makes opts a client of the local database. The driver offers such a deployment only in
// its packages without a promise of stability
// (https://pkg.go.dev/go.mongodb.org/mongo-driver/v2/x/mongo/driver/xoptions).
func (l *local) use(opts *options.ClientOptions) error {
	return xoptions.SetInternalClientOptions(opts, "deployment", l)
}

// SelectServer refuses operations once the database has ended. The driver would repeat a read
// until its deadline, hundreds of thousands of times: between attempts, it waits only for servers.
func (l *local) SelectServer(context.Context, description.ServerSelector) (driver.Server, error) {
	if l.closed.Load() {
		return nil, mongo.ErrClientDisconnected
	}
	return l, nil
}

func (l *local) Kind() description.TopologyKind { return description.TopologyKindSingle }

func (l *local) GetServerSelectionTimeout() time.Duration { return l.timeout }

func (l *local) RTTMonitor() driver.RTTMonitor { return noRoundTrip{} }

// Connection waits for a slot.
func (l *local) Connection(ctx context.Context) (*mnet.Connection, error) {
	select {
	case l.slots <- struct{}{}:
		return mnet.NewConnection(&localConnection{local: l}), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// localConnection is the slot of one operation of the driver.
type localConnection struct {
	local  *local
	answer []byte // to the last Write
	closed bool
}

// Write runs the command, and Read returns its answer.
func (c *localConnection) Write(ctx context.Context, request []byte) (err error) {
	c.answer, err = c.local.exchange(ctx, request)
	if errors.Is(err, net.ErrClosed) {
		c.local.closed.Store(true)
	}
	return err
}

func (c *localConnection) Read(context.Context) ([]byte, error) { return c.answer, nil }

func (c *localConnection) Close() error {
	if !c.closed {
		c.closed = true
		<-c.local.slots
	}
	return nil
}

// localServer describes a database without replicas and without sessions, as MongoDB 7 with
// MongoDB's own bounds.
var localServer = description.Server{
	Addr: "local", Kind: description.ServerKindStandalone, WireVersion: &description.VersionRange{Max: 21},
	MaxBatchCount: 100_000, MaxDocumentSize: 16 << 20, MaxMessageSize: 48_000_000,
}

func (c *localConnection) Description() description.Server { return localServer }
func (c *localConnection) Address() address.Address        { return localServer.Addr }
func (c *localConnection) ID() string                      { return "local" }
func (c *localConnection) ServerConnectionID() *int64      { return nil }
func (c *localConnection) DriverConnectionID() int64       { return 0 }
func (c *localConnection) Stale() bool                     { return false }
func (c *localConnection) OIDCTokenGenID() uint64          { return 0 }
func (c *localConnection) SetOIDCTokenGenID(uint64)        {}

// noRoundTrip is the time between a program and itself.
type noRoundTrip struct{}

func (noRoundTrip) EWMA() time.Duration { return 0 }
func (noRoundTrip) Min() time.Duration  { return 0 }
func (noRoundTrip) Stats() string       { return "" }
