package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cubegate/store"

	"go.mongodb.org/mongo-driver/v2/bson"
)

const wirePassword = "Zebra7Quartz"

// answers is a server that is healthy except for some commands.
func answers(t *testing.T, special map[string]bson.D) string {
	t.Helper()
	return wireServer(t, func(command string) bson.D {
		switch answer, ok := special[command]; {
		case ok:
			return answer
		case command == "isMaster" || command == "ismaster" || command == "hello":
			if answer, ok := special["hello"]; ok {
				return answer
			}
			return hello()
		case command == "ping":
			return bson.D{{Key: "ok", Value: 1}}
		}
		return refusedBy(59, "CommandNotFound", "no such command")
	})
}

// open tries to open a store once and returns the error, which there must be.
func openFails(t *testing.T, o store.Options) error {
	t.Helper()
	s, err := store.Open(t.Context(), o)
	if err == nil {
		_ = s.Close(context.Background())
		t.Fatal("the store opens")
	}
	return err
}

// Each reason why a database cannot be used has its own line, without the password.
func TestOpenTellsTheCause(t *testing.T) {
	certified := httptest.NewUnstartedServer(http.NotFoundHandler())
	certified.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	certified.StartTLS()
	t.Cleanup(certified.Close)
	var member string
	member = wireServer(t, func(string) bson.D {
		return bson.D{
			{Key: "ok", Value: 1}, {Key: "secondary", Value: true}, {Key: "setName", Value: "rs0"}, {Key: "setVersion", Value: 1}, {Key: "hosts", Value: bson.A{member}},
			{Key: "me", Value: member}, {Key: "minWireVersion", Value: 0}, {Key: "maxWireVersion", Value: 21}, {Key: "maxBsonObjectSize", Value: 16 << 20}, {Key: "maxMessageSizeBytes", Value: 48_000_000},
		}
	})
	tests := map[string]struct {
		address, options string
		dial             error // instead of a connection
		want             string
		passes           bool
	}{
		"closed port":      {address: "h", dial: refused, want: "refuses connections: no database listens there", passes: true},
		"unknown name":     {address: "db.example", dial: &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "db.example", IsNotFound: true}}, want: "the name db.example does not resolve", passes: true},
		"silent DNS":       {address: "db.example", dial: &net.DNSError{Err: "i/o timeout", Name: "db.example", IsTimeout: true, IsTemporary: true}, want: "the DNS does not answer about the name db.example", passes: true},
		"no route":         {address: "192.0.2.1", dial: &net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, want: "192.0.2.1:27017 cannot be reached", passes: true},
		"black hole":       {address: tcpServer(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }), want: "does not answer", passes: true},
		"black hole, set":  {address: tcpServer(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }), options: "replicaSet=rs0", want: "does not answer", passes: true},
		"closes":           {address: tcpServer(t, func(net.Conn) {}), want: "closes the connection at once: it may want TLS (tls=true)", passes: true},
		"closes, TLS":      {address: tcpServer(t, func(net.Conn) {}), options: "tls=true", want: "closes the connection before TLS begins: it may not speak TLS", passes: true},
		"HTTP":             {address: httpServer(t), want: "does not speak MongoDB's protocol"},
		"HTTP, TLS":        {address: httpServer(t), options: "tls=true", want: "does not speak TLS"},
		"own certificate":  {address: certified.Listener.Addr().String(), options: "tls=true", want: "of an authority that this machine does not trust"},
		"wrong password":   {address: answers(t, map[string]bson.D{"saslStart": refusedBy(18, "AuthenticationFailed", "Authentication failed.")}), want: "the user name or the password is wrong"},
		"Atlas's refusal":  {address: answers(t, map[string]bson.D{"saslStart": refusedBy(8000, "AtlasError", "bad auth : authentication failed")}), want: "the user name or the password is wrong"},
		"no logins":        {address: answers(t, map[string]bson.D{"saslStart": refusedBy(59, "CommandNotFound", "no such command")}), want: "does not know this kind of login"},
		"replica set":      {address: answers(t, nil), options: "replicaSet=rs0", want: "no host of the connection string belongs to the replica set rs0"},
		"not initiated":    {address: answers(t, map[string]bson.D{"hello": hello(bson.E{Key: "isreplicaset", Value: true})}), options: "replicaSet=rs0", want: "run rs.initiate()", passes: true},
		"no primary":       {address: member, options: "replicaSet=rs0", want: "the replica set has no primary yet", passes: true},
		"old":              {address: answers(t, map[string]bson.D{"hello": old()}), want: "the database is too old"},
		"wrong option":     {address: "h", options: "maxPoolSize=" + wirePassword, want: "the option maxPoolSize has a wrong value"},
		"missing file":     {address: "h", options: "tls=true&tlsCAFile=/no/such/file.pem", want: "cannot be read: open /no/such/file.pem"},
		"no certificate":   {address: "h", options: "tls=true&tlsCAFile=connect.go", want: "the option tlsCAFile has a wrong value"},
		"options conflict": {address: "a,b", options: "directConnection=true", want: "options"},
		"option without =": {address: "h", options: "retryWrites", want: "options are not of the form name=value"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := store.Options{URI: "mongodb://ada:" + wirePassword + "@" + tt.address + "/app?" + tt.options, ConnectTimeout: -1, Timeout: 3 * time.Second}
			if tt.dial != nil {
				o.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, tt.dial }
			}
			err := openFails(t, o)
			const silence = "does not answer" // also of a server that a busy machine has not reached in the time
			for strings.Contains(err.Error(), silence) && !strings.Contains(tt.want, silence) && o.Timeout < time.Minute {
				o.Timeout *= 5
				err = openFails(t, o)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %q, want one with %q", err, tt.want)
			}
			if strings.Contains(err.Error(), wirePassword) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 420 {
				t.Errorf("the error shows the password, or is no short line: %q", err)
			}
			if errors.Is(err, store.ErrUnavailable) != tt.passes {
				t.Errorf("error wraps ErrUnavailable: %t, want %t", !tt.passes, tt.passes)
			}
		})
	}
}

// A user without rights can connect, and fails at the first write.
func TestOpenTellsOfMissingRights(t *testing.T) {
	address := answers(t, map[string]bson.D{"createIndexes": refusedBy(13, "Unauthorized", "command createIndexes requires authentication"),
		"listIndexes": refusedBy(13, "Unauthorized", "command listIndexes requires authentication")})
	err := openFails(t, store.Options{URI: "mongodb://" + address + "/app", ConnectTimeout: -1, Timeout: time.Minute})
	if !strings.Contains(err.Error(), "the role readWrite on the database is needed") {
		t.Errorf("error = %q", err)
	}
}

// A mongodb+srv:// string whose name has no records is no invalid string.
func TestOpenTellsOfMissingSRVRecords(t *testing.T) {
	err := openFails(t, store.Options{URI: "mongodb+srv://ada:" + wirePassword + "@db.invalid/app", ConnectTimeout: -1, Timeout: time.Second})
	if !strings.Contains(err.Error(), "_mongodb._tcp.db.invalid") || !errors.Is(err, store.ErrUnavailable) || strings.Contains(err.Error(), wirePassword) {
		t.Errorf("error = %q", err)
	}
}

// Open waits for a database that starts later, and the log has one line for the cause.
func TestOpenTellsOnceWhatItWaitsFor(t *testing.T) {
	t.Parallel() // it waits for its timeout
	db := start(t)
	log := &lockedBuffer{}
	s, err := store.Open(t.Context(), store.Options{
		URI: db.URI(), Timeout: 5 * time.Second, ConnectTimeout: time.Minute, Log: slog.New(slog.NewTextHandler(log, nil)),
		Dial: func(ctx context.Context, kind, address string) (net.Conn, error) {
			if log.String() == "" { // it starts once Open waits
				return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
			}
			return db.DialContext(ctx, kind, address)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close(context.Background())
	if got := log.String(); strings.Count(got, "database does not answer yet") != 1 || !strings.Contains(got, "refuses connections") {
		t.Errorf("log: %s", got)
	}
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// What does not pass by itself is not waited for, and what passes only until the bound.
func TestOpenWaitsNoLongerThanNeeded(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	wrong := answers(t, map[string]bson.D{"saslStart": refusedBy(18, "AuthenticationFailed", "Authentication failed.")})
	_, err := store.Open(ctx, store.Options{URI: "mongodb://ada:" + wirePassword + "@" + wrong, Timeout: time.Second, ConnectTimeout: time.Hour})
	if err == nil || ctx.Err() != nil || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("wrong password: %v, want it at once", err)
	}
	refuse := func(context.Context, string, string) (net.Conn, error) { return nil, refused }
	_, err = store.Open(ctx, store.Options{URI: "mongodb://h", Dial: refuse, Timeout: 50 * time.Millisecond, ConnectTimeout: 100 * time.Millisecond})
	if !errors.Is(err, store.ErrUnavailable) || ctx.Err() != nil {
		t.Errorf("closed port: %v, want it after the bound", err)
	}
}

func TestOpenLogsUnknownOptions(t *testing.T) {
	db := start(t)
	var log bytes.Buffer
	s, err := store.Open(t.Context(), store.Options{URI: db.URI() + "&retryWrite=true", Dial: db.DialContext, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close(context.Background())
	if !strings.Contains(log.String(), "option=retrywrite") {
		t.Errorf("log: %s", log.String())
	}
}

// refused is the error of a port at which no program listens.
var refused = &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}

// httpServer answers the first byte of a connection as web servers and proxies do.
func httpServer(t *testing.T) string {
	t.Helper()
	return tcpServer(t, func(conn net.Conn) {
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			_, _ = io.Copy(io.Discard, conn)
		}
	})
}

// old is the answer of MongoDB 2.4.
func old() bson.D {
	return bson.D{{Key: "ok", Value: 1}, {Key: "ismaster", Value: true}, {Key: "minWireVersion", Value: 0}, {Key: "maxWireVersion", Value: 0}}
}
