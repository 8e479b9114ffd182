package store

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Facts describe a database, for a check of the set-up.
type Facts struct {
	Version        string
	ReplicaSet     string        // empty: a server alone
	Sharded        bool          // the answer is of a router
	Writable       bool          // the server is the primary, or alone
	ClockAhead     time.Duration // of this machine's; exact to half of ClockPrecision
	ClockPrecision time.Duration
	MissingIndexes []string // "collection.index"; Open creates them
}

// Inspect asks the database for its Facts. It makes one attempt to connect, writes nothing,
// and a server may run meanwhile. The error is as that of Open.
func Inspect(ctx context.Context, o Options) (f Facts, err error) {
	o.ConnectTimeout = -1
	s, err := connect(ctx, o)
	if err != nil {
		return Facts{}, err
	}
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	ctx, cancel := s.users.withTimeout(ctx)
	defer cancel()
	db := s.users.coll.Database()
	asked := time.Now()
	hello, err := db.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Raw()
	if err != nil {
		return Facts{}, wrapError("asking the database for its state", err)
	}
	took := time.Since(asked)
	build, err := db.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Raw()
	if err != nil {
		return Facts{}, wrapError("asking the database for its version", err)
	}
	f.Version, _ = build.Lookup("version").StringValueOK()
	f.ReplicaSet, _ = hello.Lookup("setName").StringValueOK()
	f.Writable, _ = hello.Lookup("isWritablePrimary").BooleanOK()
	kind, _ := hello.Lookup("msg").StringValueOK()
	f.Sharded = kind == "isdbgrid"
	if clock, ok := hello.Lookup("localTime").TimeOK(); ok {
		f.ClockAhead, f.ClockPrecision = clock.Sub(asked.Add(took/2)), took+time.Millisecond
	}
	f.MissingIndexes, err = s.missingIndexes(ctx)
	return f, err
}

// missingIndexes lists the indexes of this program that the database does not have.
func (s *Store) missingIndexes(ctx context.Context) ([]string, error) {
	var missing []string
	for _, of := range []struct {
		coll    *mongo.Collection
		indexes []mongo.IndexModel
	}{{s.users.coll, userIndexes()}, {s.sessions.coll, sessionIndexes()}, {s.audit.coll, auditIndexes()}} {
		found, err := of.coll.Indexes().ListSpecifications(ctx)
		if err != nil {
			return nil, wrapError("listing indexes", err)
		}
		has := map[string]bool{}
		for _, index := range found {
			has[index.Name] = true
		}
		for _, index := range of.indexes {
			if name := *optionsOf(index).Name; !has[name] {
				missing = append(missing, of.coll.Name()+"."+name)
			}
		}
	}
	return missing, nil
}
