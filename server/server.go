// Package server is the process: it opens what the program consists of, wires
// it, serves, and stops. It decides nothing about a request.
//
// Start reading at Main in commands.go. server.go has the order of start and
// stop, wiring.go the implementation of each interface, routes.go the routes
// that are mounted. The settings are package config.
package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cubegate/connectycube"
	"cubegate/middleware"
	"cubegate/resolvers"
	"cubegate/resolvers/accounts"
	"cubegate/server/config"
	"cubegate/store"
	"cubegate/store/embedded"
	"cubegate/tokens"
)

// verifyPath is the route that ConnectyCube calls back.
const verifyPath = "/auth/verify-connectycube"

// Time that the server gives a client, beside what the work itself may take.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 15 * time.Second
	idleTimeout    = 75 * time.Second // longer than proxies keep theirs, so that they hang up first
	maxHeaderBytes = 16 << 10
)

// program is everything that runs. Build it with open.
type program struct {
	cfg      config.Config
	log      *slog.Logger
	store    *store.Store
	cube     *connectycube.Client
	keys     *tokens.Keys // nil: tokens are signed with the secret
	accounts *accounts.Keeper
	auth     *resolvers.Auth
	chat     resolvers.ChatAddress

	background []func(context.Context) // runs until its context ends

	madeSecret bool // nobody has set one

	callbackSecret tokens.Secret // that ConnectyCube shows; empty: the verify route takes no passwords

	health   *resolvers.Health
	requests middleware.Drain
	api      *http.Server
	apiAt    net.Listener
	apiConns *middleware.Connections // of apiAt
	box      *http.Server            // the sandbox's; nil without one
	boxAt    net.Listener
	closers  []func(context.Context) error // in the order of opening; called in reverse
}

// open starts everything but does not serve yet. What was started is closed
// again when something fails.
func open(ctx context.Context, cfg config.Config, log *slog.Logger) (_ *program, err error) {
	p := &program{cfg: cfg, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if err := p.openStore(ctx); err != nil { // first: its lock says whether another process is here
		return nil, err
	}
	if err := p.openSecret(ctx); err != nil {
		return nil, err
	}
	if p.callbackSecret = p.cfg.ConnectyCube.CIDPSecret; p.callbackSecret.IsZero() && p.cfg.HasSandbox() {
		p.callbackSecret = tokens.Secret(rand.Text() + rand.Text())
	}
	if p.apiConns, err = p.newConnections(reservations()); err != nil {
		return nil, err
	}
	ln, err := p.listen(cfg.Host, cfg.Port, "PORT")
	if err != nil {
		return nil, err
	}
	p.apiAt = p.apiConns.Listen(ln)
	if err := p.openCube(); err != nil {
		return nil, err
	}
	return p, p.openAPI()
}

func (p *program) listen(host string, port int, setting string) (net.Listener, error) {
	ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	p.onClose(func(context.Context) error {
		if err := ln.Close(); !errors.Is(err, net.ErrClosed) { // a server that ran has closed it
			return err
		}
		return nil
	})
	return ln, nil
}

// openStore connects to MongoDB, or starts the database that stands in for it.
func (p *program) openStore(ctx context.Context) error {
	o := store.Options{
		URI:       p.cfg.Mongo.URI.Reveal(),
		Database:  p.cfg.Mongo.Database,
		Timeout:   p.cfg.Mongo.Timeout,
		AuditKeep: p.cfg.Audit.Keep,
		AuditMax:  p.cfg.Audit.Max,
		Log:       p.log,

		AuditMaxRefusals: p.cfg.Audit.MaxRefusals,
	}
	if p.cfg.HasEmbeddedDatabase() {
		if err := os.MkdirAll(p.cfg.DataDir, 0o700); err != nil {
			return fmt.Errorf("DATA_DIR: %w", err)
		}
		if err := p.checkLostDatabase(); err != nil {
			return fmt.Errorf("the database in DATA_DIR: %w", err)
		}
		db, err := embedded.Start(embedded.Options{
			File:   p.databaseFile(),
			Listen: p.cfg.Mongo.EmbeddedListen,
			Log:    p.log,
		})
		if err != nil {
			return fmt.Errorf("the database in DATA_DIR: %w", err)
		}
		p.onClose(func(context.Context) error { return db.Close() })
		o.URI, o.Dial = db.URI(), db.DialContext
	}
	s, err := store.Open(ctx, o)
	if err != nil {
		return fmt.Errorf("MONGO_URI: %w", err)
	}
	p.store = s
	p.onClose(s.Close)
	return nil
}

// databaseFile is where the embedded database lies.
func (p *program) databaseFile() string { return filepath.Join(p.cfg.DataDir, "cubegate.db") }

// openCube makes the client of ConnectyCube, or of the sandbox that stands in
// for it, which it starts.
func (p *program) openCube() error {
	o := connectycube.Options{
		BaseURL: p.cfg.ConnectyCube.APIURL,
		AppID:   int64(p.cfg.AppID),
		AuthKey: p.cfg.AuthKey.Reveal(),
		Timeout: p.cfg.ConnectyCube.Timeout,

		AdminKey: p.cfg.ConnectyCube.AdminKey.Reveal(),
		Log:      p.log,
	}
	if p.cfg.HasSandbox() {
		if err := p.openSandbox(); err != nil {
			return err
		}
		o.BaseURL, o.AppID, o.AuthKey, o.AdminKey = p.local(p.boxAt), sandboxAppID, sandboxAuthKey, sandboxAdminKey
	}
	p.chat = resolvers.ChatAddress{
		AppID:  o.AppID,
		APIURL: o.BaseURL,
		Domain: p.cfg.ConnectyCube.ChatDomain,
		URL:    or(p.cfg.ConnectyCube.ChatURL, strings.Replace(o.BaseURL, "http", "ws", 1)+"/chat"),
	}
	var err error
	if p.cube, err = connectycube.New(o); err != nil {
		return fmt.Errorf("APP_ID, AUTH_KEY: %w", err)
	}
	p.onClose(func(context.Context) error { p.cube.Close(); return nil })
	return nil
}

// local is the address of one of our own listeners for this machine.
func (p *program) local(ln net.Listener) string {
	addr := ln.Addr().(*net.TCPAddr)
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(addr.Port))
}

func (p *program) openAPI() error {
	if err := p.openAuth(); err != nil {
		return err
	}
	p.health = &resolvers.Health{Database: p.store.Ping, ConnectyCube: func() string { return p.cube.Health().State }, Log: p.log}
	handler, err := p.routes()
	if err != nil {
		return err
	}
	p.api = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		// Longer than the work may take, or its answer would be lost.
		WriteTimeout:   readTimeout + p.cfg.Password.MaxWait + 2*p.patience() + 10*p.cfg.Mongo.Timeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ConnState:      p.apiConns.Track,
		ErrorLog:       slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	return nil
}

// serve answers until ctx ends or a listener fails. Then it shuts down.
func (p *program) serve(ctx context.Context) error {
	if p.cfg.HasEmbeddedDatabase() { // one process: whatever is leased was left by one that is gone
		if err := p.store.Users().ReleaseAll(ctx); err != nil {
			p.log.WarnContext(ctx, "accounts not released", slog.Any("err", err))
		}
	}
	p.log.InfoContext(ctx, "started", slog.String("addr", p.apiAt.Addr().String()),
		slog.Bool("embedded_database", p.cfg.HasEmbeddedDatabase()), slog.Bool("sandbox", p.cfg.HasSandbox()),
		slog.Int("max_connections", p.apiConns.Max()))
	if p.callbackSecret.IsZero() {
		p.log.InfoContext(ctx, "the verify route takes no passwords, only tokens", slog.String("unset", "CONNECTYCUBE_CIDP_SECRET"))
	}
	background := p.startBackground(ctx)
	failed := make(chan error, 2)
	go func() { failed <- p.api.Serve(p.apiAt) }()
	if p.box != nil {
		go func() { failed <- p.serveBox() }()
	}
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	err = errors.Join(err, p.shutdown(ctx, background))
	p.log.InfoContext(ctx, "stopped")
	return err
}

// banner tells a person what runs here and what stands in for what.
func (p *program) banner(w io.Writer) {
	at := p.local(p.apiAt)
	if p.cfg.Host == "" {
		at = "http://localhost:" + strconv.Itoa(p.apiAt.Addr().(*net.TCPAddr).Port)
	}
	fmt.Fprintf(w, "\ncubegate is ready.\n\n  GraphQL and playground  %s/api\n  REST, described         %s/docs\n  ConnectyCube verifies   %s%s\n", at, at, or(p.cfg.PublicURL, at), verifyPath)
	if p.cfg.HasEmbeddedDatabase() {
		fmt.Fprintf(w, "\n  Database      embedded, in %s. For development and small installations:\n                set MONGO_URI to use MongoDB.\n", p.databaseFile())
	}
	if p.cfg.HasSandbox() {
		fmt.Fprintf(w, "\n  ConnectyCube  sandbox at %s, application %d, key %s.\n                Nothing leaves this machine: set APP_ID and AUTH_KEY to use ConnectyCube.\n", p.local(p.boxAt), sandboxAppID, sandboxAuthKey)
	}
	if p.madeSecret {
		fmt.Fprintf(w, "\n  JWT secret    made for you and kept in %s: set JWT_SECRET to use your own.\n", p.cfg.DataDir)
	}
	fmt.Fprintln(w, "\nStop with Ctrl-C.")
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
