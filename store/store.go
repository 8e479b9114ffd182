// Package store keeps users, their login sessions and the audit in MongoDB. It
// owns the collections, their indexes and the shape of the documents. It knows
// nothing about the meaning of passwords and ConnectyCube accounts. No type of
// the driver leaves it, so replacing the driver changes this package alone.
//
// The same code runs against a replica set, Atlas and the embedded database of
// store/embedded. A change concerns one document. An update that depends on an
// earlier read repeats the expected state in its filter. There are no
// transactions across documents.
//
// Start reading at [Open], then users.go: the document of a user decides about
// the rights of that user. user_updates.go changes it, accounts.go is its part
// about the ConnectyCube account, and work.go has the [Queue] for all background
// work.
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
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"
)

// defaultDatabase is where Mongoose, and so the original, puts its collections
// when the connection string names no database.
const defaultDatabase = "test"

// Options say which database to use. Only URI has no default.
type Options struct {
	URI      string        // connection string; never logged
	Database string        // default: the one the URI names, else "test"
	Timeout  time.Duration // for one operation, finding a server included; default 5s

	// ConnectTimeout is how long Open waits for a database that does not answer
	// yet; default 30s. Zero means the default, below zero means one try.
	ConnectTimeout time.Duration

	AuditKeep time.Duration // after which an event is removed; default 90 days
	AuditMax  int           // events to keep at most, refusals aside; default 100 000

	AuditMaxRefusals int // refusals to keep at most; default 100 000

	// Dial opens connections; default is the network. The embedded database
	// sets it, so that nothing of it needs a port.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

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
	end      context.CancelFunc // of all operations
}

// Open connects, waits until the database answers, creates missing indexes and
// gives every user of the original its email key. The caller must Close the
// store. The error never contains the URI.
func Open(ctx context.Context, o Options) (*Store, error) {
	o = o.withDefaults()
	client, database, err := connect(o)
	if err != nil {
		return nil, err
	}
	s := &Store{client: client, log: o.Log}
	db := client.Database(database)
	closed, end := context.WithCancel(context.Background())
	s.end = end
	open := func(name, taken string) collection {
		return collection{coll: db.Collection(name), taken: taken, timeout: o.Timeout, closed: closed}
	}
	s.users = &Users{records[User]{open("users", "email"), "user", objectID, decodeUser}}
	s.accounts = &Accounts{s.users}
	s.sessions = &Sessions{
		records: records[Session]{open("sessions", "id"), "login session", func(id string) (any, error) { return id, nil }, decodeSession},
		locks:   newKeyedLock(),
	}
	s.audit = &Audit{records: records[Event]{open("audit", "id"), "event", objectID, decodeEvent}, keep: o.AuditKeep,
		history: kept{filter: historyFilter, max: int64(o.AuditMax)}, refusals: kept{filter: refusalFilter, max: int64(o.AuditMaxRefusals)}}
	err = s.waitUntilUp(ctx, o.ConnectTimeout)
	for _, collection := range []interface{ ensureIndexes(context.Context) error }{s.users, s.sessions, s.audit} {
		if err == nil {
			err = collection.ensureIndexes(ctx)
		}
	}
	if err == nil {
		err = s.users.backfillEmailKeys(ctx, o.Log)
	}
	if err != nil {
		_ = s.Close(context.WithoutCancel(ctx))
		return nil, err
	}
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
	if o.AuditMaxRefusals == 0 {
		o.AuditMaxRefusals = 100_000
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func connect(o Options) (*mongo.Client, string, error) {
	// The driver's own error may quote the string, password and all.
	parsed, err := connstring.ParseAndValidate(o.URI)
	if err != nil {
		return nil, "", errors.New("the connection string is not one that MongoDB's driver understands: want mongodb://… or mongodb+srv://…")
	}
	database := o.Database
	if database == "" {
		database = parsed.Database
	}
	if database == "" {
		database = defaultDatabase
	}
	opts := options.Client().
		ApplyURI(o.URI).
		SetAppName("cubegate").
		SetTimeout(o.Timeout).
		SetServerSelectionTimeout(o.Timeout).
		SetConnectTimeout(o.Timeout). // of the driver's own watch as well, whose 30s would go on after the database is back
		SetReadPreference(readpref.Primary()).
		SetWriteConcern(writeconcern.Majority())
	opts.SetDialer(dialer(o.Dial))
	client, err := mongo.Connect(opts)
	if err != nil {
		return nil, "", errors.New("the connection string has options that do not go together")
	}
	return client, database, nil
}

// dialer makes a function the driver's options.ContextDialer.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d(ctx, network, address)
}

// waitUntilUp pings until the database answers or patience is over.
func (s *Store) waitUntilUp(ctx context.Context, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		err := s.Ping(ctx)
		if err == nil || ctx.Err() != nil || !time.Now().Before(deadline) {
			return err
		}
		s.log.WarnContext(ctx, "database does not answer yet", slog.Any("err", err))
		select {
		case <-ctx.Done():
		case <-time.After(min(time.Second, time.Until(deadline))):
		}
	}
}

// Ping returns nil when the database answers, else an error that wraps
// [ErrUnavailable].
func (s *Store) Ping(ctx context.Context) error {
	return wrapError("asking the database", s.client.Ping(ctx, nil))
}

// Empty reports whether the database has no users and never had any: it has no
// login sessions and no events either.
func (s *Store) Empty(ctx context.Context) (bool, error) {
	for _, c := range []*mongo.Collection{s.users.coll, s.sessions.coll, s.audit.coll} {
		ctx, cancel := s.users.withTimeout(ctx)
		err := c.FindOne(ctx, bson.D{}).Err()
		cancel()
		if !errors.Is(err, mongo.ErrNoDocuments) {
			return false, wrapError("looking for users", err)
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

// Close ends all operations that run, and then all connections. It takes at most the time
// of one operation: the driver ends its sessions with a command that has no other deadline.
func (s *Store) Close(ctx context.Context) error {
	s.end()
	ctx, cancel := context.WithTimeout(ctx, s.users.timeout)
	defer cancel()
	if err := s.client.Disconnect(ctx); err != nil && !errors.Is(err, mongo.ErrClientDisconnected) {
		return fmt.Errorf("closing the database: %w", err)
	}
	return nil
}
