package store

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"
)

// retryPause is the time between two attempts to connect.
const retryPause = time.Second

// openClient returns a client of a database that has answered, and the name of the
// database. A cause that may pass by itself is waited for until o.ConnectTimeout has
// passed; the log has one line for each such cause. The error is a *connectError.
func openClient(ctx context.Context, o Options) (*mongo.Client, string, error) {
	var client *mongo.Client
	var database string
	deadline := time.Now().Add(o.ConnectTimeout)
	told := ""
	for {
		var cause *connectError
		client, database, cause = attempt(ctx, o, client, database)
		if cause == nil {
			return client, database, nil
		}
		if ctx.Err() != nil || !cause.passes || !time.Now().Before(deadline) {
			closeClient(ctx, client, o.Timeout)
			return nil, "", cause
		}
		if told != cause.text {
			told = cause.text
			o.Log.LogAttrs(ctx, slog.LevelWarn, "database does not answer yet", slog.String("cause", cause.text))
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(retryPause, time.Until(deadline))):
		}
	}
}

// attempt builds the client unless an earlier attempt has built it, and asks the database
// for an answer.
func attempt(ctx context.Context, o Options, client *mongo.Client, database string) (*mongo.Client, string, *connectError) {
	if client == nil {
		var err error
		if client, database, err = newClient(ctx, o); err != nil {
			return nil, "", diagnoseString(err, o)
		}
	}
	if err := client.Ping(ctx, nil); err != nil {
		return client, database, diagnose(err, o)
	}
	return client, database, nil
}

func closeClient(ctx context.Context, client *mongo.Client, timeout time.Duration) {
	if client == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	_ = client.Disconnect(ctx) // the cause is what counts
}

// newClient builds a client, which connects in the background, and returns it with the
// name of the database.
func newClient(ctx context.Context, o Options) (*mongo.Client, string, error) {
	if err := lookUpSRV(ctx, o); err != nil {
		return nil, "", err
	}
	parsed, err := connstring.ParseAndValidate(o.URI)
	if err != nil {
		return nil, "", err
	}
	for name := range parsed.UnknownOptions {
		o.Log.LogAttrs(ctx, slog.LevelWarn, "option of the connection string ignored: there is no such option", slog.String("option", clip(name, 40)))
	}
	opts := options.Client().
		ApplyURI(o.URI).
		SetAppName("cubegate").
		SetTimeout(o.Timeout).
		SetServerSelectionTimeout(o.Timeout).
		SetConnectTimeout(o.Timeout). // also for the driver's monitor, whose 30s could outlast an outage
		SetReadPreference(readpref.Primary()).
		SetWriteConcern(writeconcern.Majority())
	opts.SetDialer(dialer(o.Dial))
	if o.Exchange != nil {
		if err := (&local{exchange: o.Exchange, slots: make(chan struct{}, maxLocal), timeout: o.Timeout}).use(opts); err != nil {
			return nil, "", err
		}
	}
	if o.Observe != nil {
		opts.SetMonitor(monitor(o.Observe))
	}
	client, err := mongo.Connect(opts)
	if err != nil {
		return nil, "", err
	}
	return client, cmp.Or(o.Database, parsed.Database, defaultDatabase), nil
}

// dialer is a function as the driver's options.ContextDialer.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d(ctx, network, address)
}

// lookUpSRV looks the servers of a mongodb+srv:// string up, as the driver does, but with
// a deadline: the driver would ignore ctx.
func lookUpSRV(ctx context.Context, o Options) error {
	rest, ok := strings.CutPrefix(o.URI, "mongodb+srv://")
	if !ok {
		return nil
	}
	rest, pairs, _ := strings.Cut(rest, "?")
	rest, _, _ = strings.Cut(rest, "/")
	host := rest[strings.LastIndex(rest, "@")+1:]
	service := "mongodb"
	for pair := range strings.SplitSeq(pairs, "&") {
		if name, value, _ := strings.Cut(pair, "="); strings.EqualFold(name, "srvServiceName") {
			service = value
		}
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	_, _, err := net.DefaultResolver.LookupSRV(ctx, service, "tcp", host)
	return err
}

// wrongOption returns the name of the first option of a connection string whose value the
// driver does not take, or "". The driver ignores options that it does not know, so the
// name is one of its own and no part of a password.
func wrongOption(uri string) string {
	_, pairs, _ := strings.Cut(uri, "?")
	for pair := range strings.SplitSeq(pairs, "&") {
		name, _, ok := strings.Cut(pair, "=")
		if !ok || strings.HasPrefix(strings.ToLower(name), "srv") {
			continue
		}
		if err := options.Client().ApplyURI("mongodb://u:p@localhost/?" + pair).Validate(); err != nil {
			if plain, err := url.QueryUnescape(name); err == nil {
				return clip(plain, 40)
			}
		}
	}
	return ""
}

// clip shortens text to limit bytes and one printable line.
func clip(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}

// password returns the password of a connection string as it is written there, and decoded.
func password(uri string) []string {
	_, rest, _ := strings.Cut(uri, "://")
	i := strings.LastIndex(rest, "@")
	if i < 0 {
		return nil
	}
	_, written, _ := strings.Cut(rest[:i], ":")
	plain, err := url.PathUnescape(written)
	if err != nil {
		plain = written
	}
	return []string{written, plain}
}

// withoutPassword hides the password of a connection string in a text of the driver. A
// very short one would hide parts of words, and occurs there by chance.
func withoutPassword(text, uri string) string {
	for _, secret := range password(uri) {
		if len(secret) >= 4 {
			text = strings.ReplaceAll(text, secret, "[hidden]")
		}
	}
	return text
}
