// Package server is the process: it opens what the program consists of, wires
// it, serves, and stops. It decides nothing about a request.
//
// Start reading at Main in commands.go. server.go has the order of start and
// stop, wiring.go the implementation of each interface, routes.go the routes
// that are mounted. The settings are package config.
package server

import (
	"cmp"
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

// VerifyPath is the route that ConnectyCube calls back.
const VerifyPath = "/auth/verify-connectycube"

// Time that the server gives a client, beside what the work itself may take.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 15 * time.Second
	idleTimeout    = 75 * time.Second // longer than proxies keep theirs, so that they hang up first
	maxHeaderBytes = 16 << 10
)

// Server is everything that runs. Open builds it.
type Server struct {
	cfg      config.Config
	log      *slog.Logger
	store    *store.Store
	cube     *connectycube.Client
	keys     *tokens.SigningKeys // nil: tokens are signed with the secret
	accounts *accounts.Keeper
	auth     *resolvers.Auth
	chat     resolvers.ChatAddress

	background []func(context.Context) // runs until its context ends

	secretGenerated bool // nobody has set one

	callbackSecret tokens.Secret // that ConnectyCube shows; empty: the verify route takes no passwords

	health          *resolvers.Health
	requests        middleware.Drain
	api             *http.Server
	apiListener     net.Listener
	apiConns        *middleware.Connections // of apiListener
	sandbox         *http.Server            // the sandbox's; nil without one
	sandboxListener net.Listener
	closers         []func(context.Context) error // in the order of opening; called in reverse
}

// Open starts everything but does not serve yet. What was started is closed
// again when something fails.
func Open(ctx context.Context, cfg config.Config, log *slog.Logger) (_ *Server, err error) {
	s := &Server{cfg: cfg, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.openStore(ctx); err != nil { // first: its lock says whether another process is here
		return nil, err
	}
	if err := s.openSecret(ctx); err != nil {
		return nil, err
	}
	if s.callbackSecret = s.cfg.ConnectyCube.CIDPSecret; s.callbackSecret.IsZero() && s.cfg.HasSandbox() {
		s.callbackSecret = tokens.Secret(rand.Text() + rand.Text())
	}
	if s.apiConns, err = s.newConnections(reservations()); err != nil {
		return nil, err
	}
	ln, err := s.listen(cfg.HTTP.Host, cfg.HTTP.Port, "PORT")
	if err != nil {
		return nil, err
	}
	s.apiListener = s.apiConns.Listen(ln)
	if err := s.openCube(); err != nil {
		return nil, err
	}
	return s, s.openAPI()
}

func (s *Server) listen(host string, port int, setting string) (net.Listener, error) {
	ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	s.onClose(func(context.Context) error {
		if err := ln.Close(); !errors.Is(err, net.ErrClosed) { // a server that ran has closed it
			return err
		}
		return nil
	})
	return ln, nil
}

// openStore connects to MongoDB, or starts the database that stands in for it.
func (s *Server) openStore(ctx context.Context) error {
	o := store.Options{
		URI:       s.cfg.Mongo.URI.Reveal(),
		Database:  s.cfg.Mongo.Database,
		Timeout:   s.cfg.Mongo.Timeout,
		AuditKeep: s.cfg.Audit.Keep,
		AuditMax:  s.cfg.Audit.Max,
		Log:       s.log,

		AuditMaxRefusals: s.cfg.Audit.MaxRefusals,
	}
	if s.cfg.HasEmbeddedDatabase() {
		if err := os.MkdirAll(s.cfg.DataDir, 0o700); err != nil {
			return fmt.Errorf("DATA_DIR: %w", err)
		}
		if err := s.checkLostDatabase(); err != nil {
			return fmt.Errorf("the database in DATA_DIR: %w", err)
		}
		db, err := embedded.Start(embedded.Options{
			File:   s.databaseFile(),
			Listen: s.cfg.Mongo.EmbeddedListen,
			Log:    s.log,
		})
		if err != nil {
			return fmt.Errorf("the database in DATA_DIR: %w", err)
		}
		s.onClose(func(context.Context) error { return db.Close() })
		o.URI, o.Dial = db.URI(), db.DialContext
	}
	opened, err := store.Open(ctx, o)
	if err != nil {
		return fmt.Errorf("MONGO_URI: %w", err)
	}
	s.store = opened
	s.onClose(opened.Close)
	return nil
}

// databaseFile is where the embedded database lies.
func (s *Server) databaseFile() string { return filepath.Join(s.cfg.DataDir, "cubegate.db") }

// openCube makes the client of ConnectyCube, or of the sandbox that stands in
// for it, which it starts.
func (s *Server) openCube() error {
	o := connectycube.Options{
		BaseURL: s.cfg.ConnectyCube.APIURL,
		AppID:   int64(s.cfg.ConnectyCube.AppID),
		AuthKey: s.cfg.ConnectyCube.AuthKey.Reveal(),
		Timeout: s.cfg.ConnectyCube.Timeout,

		AdminKey: s.cfg.ConnectyCube.AdminKey.Reveal(),
		Log:      s.log,
	}
	if s.cfg.HasSandbox() {
		if err := s.openSandbox(); err != nil {
			return err
		}
		o.BaseURL, o.AppID, o.AuthKey, o.AdminKey = s.localURL(s.sandboxListener), sandboxAppID, sandboxAuthKey, sandboxAdminKey
	}
	s.chat = resolvers.ChatAddress{
		AppID:  o.AppID,
		APIURL: o.BaseURL,
		Domain: s.cfg.ConnectyCube.ChatDomain,
		URL:    cmp.Or(s.cfg.ConnectyCube.ChatURL, strings.Replace(o.BaseURL, "http", "ws", 1)+"/chat"),
	}
	var err error
	if s.cube, err = connectycube.New(o); err != nil {
		return fmt.Errorf("APP_ID, AUTH_KEY: %w", err)
	}
	s.onClose(func(context.Context) error { s.cube.Close(); return nil })
	return nil
}

// localURL is the address of one of our own listeners for this machine.
func (s *Server) localURL(ln net.Listener) string {
	addr := ln.Addr().(*net.TCPAddr)
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(addr.Port))
}

func (s *Server) openAPI() error {
	if err := s.wireIdentity(); err != nil {
		return err
	}
	s.health = &resolvers.Health{Database: s.store.Ping, ConnectyCube: func() string { return s.cube.Health().State }, Log: s.log}
	handler, err := s.routes()
	if err != nil {
		return err
	}
	s.api = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		// Longer than the work may take, or its answer would be lost.
		WriteTimeout:   readTimeout + s.cfg.Password.MaxWait + 2*s.upstreamTimeout() + 10*s.cfg.Mongo.Timeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ConnState:      s.apiConns.Track,
		ErrorLog:       slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return nil
}

// Run answers until ctx ends or a listener fails. Then it shuts down.
func (s *Server) Run(ctx context.Context) error {
	if s.cfg.HasEmbeddedDatabase() { // one process: whatever is leased was left by one that is gone
		if err := s.store.AccountWork().ReleaseAll(ctx); err != nil {
			s.log.WarnContext(ctx, "accounts not released", slog.Any("err", err))
		}
	}
	s.log.InfoContext(ctx, "started", slog.String("addr", s.apiListener.Addr().String()),
		slog.Bool("embedded_database", s.cfg.HasEmbeddedDatabase()), slog.Bool("sandbox", s.cfg.HasSandbox()),
		slog.Int("max_connections", s.apiConns.Max()))
	if s.callbackSecret.IsZero() {
		s.log.InfoContext(ctx, "the verify route takes no passwords, only tokens", slog.String("unset", "CONNECTYCUBE_CIDP_SECRET"))
	}
	background := s.startBackground(ctx)
	failed := make(chan error, 2)
	go func() { failed <- s.api.Serve(s.apiListener) }()
	if s.sandbox != nil {
		go func() { failed <- s.serveSandbox() }()
	}
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	err = errors.Join(err, s.shutdown(ctx, background))
	s.log.InfoContext(ctx, "stopped")
	return err
}

// banner tells a person what runs here and what stands in for what.
func (s *Server) banner(w io.Writer) {
	at := s.localURL(s.apiListener)
	if s.cfg.HTTP.Host == "" {
		at = "http://localhost:" + strconv.Itoa(s.apiListener.Addr().(*net.TCPAddr).Port)
	}
	fmt.Fprintf(w, "\ncubegate is ready.\n\n  GraphQL and playground  %s/api\n  REST, described         %s/docs\n  ConnectyCube verifies   %s%s\n", at, at, cmp.Or(s.cfg.HTTP.PublicURL, at), VerifyPath)
	if s.cfg.HasEmbeddedDatabase() {
		fmt.Fprintf(w, "\n  Database      embedded, in %s. For development and small installations:\n                set MONGO_URI to use MongoDB.\n", s.databaseFile())
	}
	if s.cfg.HasSandbox() {
		fmt.Fprintf(w, "\n  ConnectyCube  sandbox at %s, application %d, key %s.\n                Nothing leaves this machine: set APP_ID and AUTH_KEY to use ConnectyCube.\n", s.localURL(s.sandboxListener), sandboxAppID, sandboxAuthKey)
	}
	if s.secretGenerated {
		fmt.Fprintf(w, "\n  JWT secret    made for you and kept in %s: set JWT_SECRET to use your own.\n", s.cfg.DataDir)
	}
	fmt.Fprintln(w, "\nStop with Ctrl-C.")
}

// Parts are what a harness touches of a running server; see package servertest.
// Nothing else uses them.
type Parts struct {
	Handler         http.Handler // the mounted routes
	Store           *store.Store
	Auth            *resolvers.Auth
	Listener        net.Listener // of the API
	SandboxListener net.Listener // nil without a sandbox
}

// Parts returns the parts of a server that Open has opened.
func (s *Server) Parts() Parts {
	return Parts{s.api.Handler, s.store, s.auth, s.apiListener, s.sandboxListener}
}
