// Package store keeps users, their login sessions and the audit in MongoDB. It owns the
// collections, their indexes and the shape of the documents. It does not know the meaning of
// passwords and ConnectyCube accounts. It exports no type of the driver, so another driver
// would change only this package.
//
// The same code runs against a replica set, Atlas and the embedded database of
// store/embedded. A change concerns one document. An update that depends on an earlier read
// repeats the expected state in its filter. There are no transactions across documents.
//
// Start reading at [Open], then users.go: the document of a user determines the rights of
// that user. user_updates.go changes it, accounts.go is its part about the ConnectyCube
// account, and work.go has the [Queue] for all background work.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// defaultDatabase is the database of Mongoose, and so of the original, for a connection
// string without a database.
const defaultDatabase = "test"

// Options configure a Store. Only URI has no default.
type Options struct {
	URI      string        // connection string; never logged
	Database string        // default: the database in the URI, else "test"
	Timeout  time.Duration // for one operation, including the search for a server; default 5s

	// ConnectTimeout is how long Open waits for the first answer of the database; default
	// 30s. A negative value means one attempt.
	ConnectTimeout time.Duration

	AuditKeep        time.Duration // age at which an event is removed; default 90 days
	AuditMax         int           // largest number of events that are neither changes nor refusals; default 100,000
	AuditMaxChanges  int           // largest number of changes by users, and of those by administrators; default 100,000
	AuditMaxRefusals int           // largest number of refusals; default 100,000
	AuditPerUser     int           // the part of each of these numbers that one user may have; default 100

	// Exchange answers one message of MongoDB's protocol, as the embedded database does
	// inside the process. With it, there are no connections. Default is the network.
	Exchange func(ctx context.Context, request []byte) (answer []byte, err error)

	// Dial opens connections; default is the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Observe gets each command that the database has answered, and each that failed once it
	// was sent. Optional; it must not block.
	Observe func(Command)

	Log *slog.Logger // default discards
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	client   *mongo.Client
	users    *Users
	accounts *Accounts
	sessions *Sessions
	audit    *Audit
	log      *slog.Logger
	end      context.CancelFunc // cancels all operations
}

// Open connects, waits until the database answers, creates missing indexes and adds the
// email key to every user of the original. The caller must Close the store. The error never
// contains the URI. It tells in one line why the database cannot be used.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	indexing, cancel := context.WithTimeout(ctx, indexTimeout)
	defer cancel()
	for _, collection := range []interface{ ensureIndexes(context.Context) error }{s.users, s.sessions, s.audit} {
		if err == nil {
			err = collection.ensureIndexes(indexing)
		}
	}
	if err == nil {
		err = s.users.backfillEmailKeys(ctx)
	}
	if err != nil {
		_ = s.Close(context.WithoutCancel(ctx))
		if c := ofLogin(err); c != (cause{}) {
			err = &connectError{c.text, c.passes, err}
		}
		return nil, err
	}
	return s, nil
}

// connect returns a Store when the database answers. It writes nothing.
func connect(ctx context.Context, o Options) (*Store, error) {
	o = o.withDefaults()
	client, database, err := openClient(ctx, o)
	if err != nil {
		return nil, err
	}
	s := &Store{client: client, log: o.Log}
	db := client.Database(database)
	closed, end := context.WithCancel(context.Background())
	s.end = end
	open := func(name, taken string) collection {
		return collection{coll: db.Collection(name), taken: taken, timeout: o.Timeout, closed: closed, log: o.Log}
	}
	s.users = &Users{records[User]{open("users", "email"), "user", objectID, decodeUser}}
	s.accounts = &Accounts{s.users}
	s.sessions = &Sessions{
		records: records[Session]{open("sessions", "id"), "login session", func(id string) (any, error) { return id, nil }, decodeSession},
		locks:   newKeyedLock(),
	}
	s.audit = newAudit(open("audit", "id"), o)
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = 30 * time.Second
	}
	if o.AuditKeep == 0 {
		o.AuditKeep = 90 * 24 * time.Hour
	}
	if o.AuditMax == 0 {
		o.AuditMax = 100_000
	}
	if o.AuditMaxChanges == 0 {
		o.AuditMaxChanges = 100_000
	}
	if o.AuditMaxRefusals == 0 {
		o.AuditMaxRefusals = 100_000
	}
	if o.AuditPerUser == 0 {
		o.AuditPerUser = 100
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Ping returns nil when the database answers, else an error that wraps
// [ErrUnavailable].
func (s *Store) Ping(ctx context.Context) error {
	return wrapError("pinging the database", s.client.Ping(ctx, nil))
}

// Empty reports whether the database never had users: it has no users, no login sessions and
// no events.
func (s *Store) Empty(ctx context.Context) (bool, error) {
	for _, c := range []*mongo.Collection{s.users.coll, s.sessions.coll, s.audit.coll} {
		ctx, cancel := s.users.withTimeout(ctx)
		err := c.FindOne(ctx, bson.D{}).Err()
		cancel()
		if !errors.Is(err, mongo.ErrNoDocuments) {
			return false, wrapError("checking for documents", err)
		}
	}
	return true, nil
}

// Users returns the users' collection.
func (s *Store) Users() *Users { return s.users }

// Accounts returns the accounts of the users.
func (s *Store) Accounts() *Accounts { return s.accounts }

// Sessions returns the login sessions' collection.
func (s *Store) Sessions() *Sessions { return s.sessions }

// Audit returns the events' collection.
func (s *Store) Audit() *Audit { return s.audit }

// Close ends all running operations and then all connections. It takes at most the timeout of
// one operation, because the driver ends its sessions with a command that has no other
// deadline.
func (s *Store) Close(ctx context.Context) error {
	s.end()
	ctx, cancel := context.WithTimeout(ctx, s.users.timeout)
	defer cancel()
	if err := s.client.Disconnect(ctx); err != nil && !errors.Is(err, mongo.ErrClientDisconnected) {
		return fmt.Errorf("closing the database: %w", err)
	}
	return nil
}
