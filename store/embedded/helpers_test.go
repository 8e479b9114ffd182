package embedded

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

type (
	D = bson.D
	A = bson.A
)

// start starts a server on a new file without fsync.
func start(tb testing.TB) *Server {
	tb.Helper()
	return startAt(tb, Options{File: filepath.Join(tb.TempDir(), "test.db"), NoSync: true})
}

func startAt(tb testing.TB, o Options) *Server {
	tb.Helper()
	s, err := Start(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	return s
}

// connect returns a client over the in-process pipe.
func connect(tb testing.TB, s *Server) *mongo.Client {
	tb.Helper()
	return dial(tb, options.Client().ApplyURI(s.URI()).SetDialer(s))
}

func dial(tb testing.TB, o *options.ClientOptions) *mongo.Client {
	tb.Helper()
	client, err := mongo.Connect(o.SetServerSelectionTimeout(time.Minute).SetMaxPoolSize(200))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second) // the server may be closed
		defer cancel()
		_ = client.Disconnect(ctx)
	})
	return client
}

// fresh returns an empty collection of a new server.
func fresh(tb testing.TB) *mongo.Collection {
	tb.Helper()
	return connect(tb, start(tb)).Database("test").Collection("c")
}

// doc reads extended JSON, which is readable in tables.
func doc(tb testing.TB, json string) D {
	tb.Helper()
	var d D
	if err := bson.UnmarshalExtJSON([]byte(json), false, &d); err != nil {
		tb.Fatalf("%s: %v", json, err)
	}
	return d
}

func rawDoc(tb testing.TB, json string) document {
	tb.Helper()
	b, err := bson.Marshal(doc(tb, json))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func asJSON(v any) string {
	b, err := bson.MarshalExtJSON(v, false, false)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b))
}

// valueFor encodes any Go value.
func valueFor(tb testing.TB, v any) value {
	tb.Helper()
	if v == nil {
		return nullValue
	}
	t, b, err := bson.MarshalValue(v)
	if err != nil {
		tb.Fatal(err)
	}
	return value{Type: bsoncore.Type(t), Data: b}
}

// bsonOf decodes a document and keeps the order of its fields.
func bsonOf(tb testing.TB, d document) D {
	tb.Helper()
	var out D
	if err := bson.Unmarshal(d, &out); err != nil {
		tb.Fatal(err)
	}
	return out
}
