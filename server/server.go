// Package server is the process: it opens the parts of the program, wires them,
// serves, and shuts down. It decides nothing about a request.
//
// Start reading at Main in commands.go. server.go has the order of start and
// stop, wiring.go the implementation of each interface, routes.go the mounted
// routes. Package config loads the settings.
package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"

	"cubegate/connectycube/sandbox/certs"
	"cubegate/middleware"
	"cubegate/resolvers"
	"cubegate/resolvers/identity"
	"cubegate/resolvers/provisioning"
	"cubegate/server/config"
	"cubegate/store"
)

// VerifyPath is the route that ConnectyCube calls back.
const VerifyPath = resolvers.VerifyPath

// Server is the running process. Open builds it.
type Server struct {
	cfg config.Config
	log *slog.Logger

	store    *store.Store
	accounts *provisioning.Provisioner
	flows    *identity.Flows

	health     *probes
	requests   middleware.Drain
	api        *endpoint        // the sandbox's, if that runs alone
	sandbox    *endpoint        // beside the API; nil without one
	authority  *certs.Authority // nil without --tls
	background background
	closers    []func(context.Context) error // in the order of opening; called in reverse

	secretGenerated bool   // no setting gives the JWT secret
	refusedSetting  string // that ConnectyCube did not accept at the start; empty: none
}

// Open starts the parts of a Server, except that it does not serve yet. If a
// part fails, Open closes those before it.
//
// hashCommand is the command line of a process that hashes passwords, see
// [tokens.Params]. Without one, this process hashes them.
func Open(ctx context.Context, cfg config.Config, log *slog.Logger, hashCommand ...string) (*Server, error) {
	s := newSetup(cfg, log)
	s.hashCommand = hashCommand
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s.Server, nil
}

// Run serves until ctx ends or a listener fails. Then it shuts down.
func (s *Server) Run(ctx context.Context) error {
	if s.cfg.HasEmbeddedDatabase() { // no other process uses it, so each lease is left over from an earlier run
		if err := s.store.AccountWork().ReleaseAll(ctx); err != nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "releasing leases of an earlier run failed", slog.Any("err", err))
		}
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "started", slog.String("addr", s.api.addr().String()),
		slog.Bool("embedded_database", s.cfg.HasEmbeddedDatabase()), slog.Bool("sandbox", s.cfg.HasSandbox()),
		slog.Int("max_connections", s.api.connections.Max()))
	if s.cfg.ConnectyCube.CIDPSecret.IsZero() && !s.cfg.HasSandbox() {
		s.log.LogAttrs(ctx, slog.LevelInfo, "the verify route takes tokens only, no passwords", slog.String("unset", "CONNECTYCUBE_CIDP_SECRET"))
	}
	err := s.serve(ctx)
	s.log.LogAttrs(ctx, slog.LevelInfo, "stopped")
	return err
}

// serve runs the background work and the listeners until ctx ends or a listener
// fails. Then it shuts down.
func (s *Server) serve(ctx context.Context) error {
	s.background.start(ctx)
	err := serveUntil(ctx, s.api, s.sandbox)
	return errors.Join(err, s.shutdown(ctx))
}

// banner prints the addresses of the server, and those of its stand-ins.
func (s *Server) banner(w io.Writer) {
	at, state := s.api.shownURL(), "is ready."
	if s.refusedSetting != "" {
		state = "runs, but is not ready: ConnectyCube does not accept " + s.refusedSetting + ". Registrations are refused."
	}
	fmt.Fprintf(w, "\ncubegate %s\n\n  GraphQL and playground  %s/api\n", state, at)
	for _, url := range s.api.networkURLs() {
		fmt.Fprintf(w, "                          %s/api\n", url)
	}
	fmt.Fprintf(w, "  REST, described         %s/docs\n  ConnectyCube verifies   %s%s\n", at, cmp.Or(s.cfg.HTTP.PublicURL, at), VerifyPath)
	if s.cfg.HasEmbeddedDatabase() {
		fmt.Fprintf(w, "\n  Database      embedded, in %s. For development and small installations:\n                set MONGO_URI to use MongoDB.\n", databaseFile(s.cfg))
	}
	if s.cfg.HasSandbox() {
		fmt.Fprintf(w, "\n  ConnectyCube  sandbox at %s, application %d, key %s.\n", s.sandbox.localURL(), sandboxAppID, sandboxAuthKey)
		for _, url := range urlsOfOthers(s.cfg, s.sandbox) {
			fmt.Fprintf(w, "                also at %s\n", url)
		}
		fmt.Fprintf(w, "                %s\n", s.reach())
	}
	if s.authority != nil {
		fmt.Fprintf(w, "\n  TLS           clients must trust %s once,\n                SHA-256 %s.\n                docs/phones.md tells how, on each kind of device.\n", s.authority.File(), s.authority.Fingerprint())
	}
	if s.secretGenerated {
		fmt.Fprintf(w, "\n  JWT secret    made for you and kept in %s: set JWT_SECRET to use your own.\n", s.cfg.DataDir)
	}
	fmt.Fprintln(w, "\nStop with Ctrl-C.")
}

// urlsOfOthers returns the URLs at which other machines reach the sandbox.
func urlsOfOthers(cfg config.Config, box *endpoint) []string {
	if cfg.Sandbox.PublicURL != "" {
		return append([]string{cfg.Sandbox.PublicURL}, box.networkURLs()...)
	}
	return box.networkURLs()
}

// reach tells how far the listeners of the server and its sandbox reach.
func (s *Server) reach() string {
	server, sandbox := !s.api.addr().IP.IsLoopback(), !s.sandbox.addr().IP.IsLoopback()
	const real, indent = "et APP_ID and AUTH_KEY to use ConnectyCube.", "\n                "
	switch {
	case server && sandbox:
		return "Other machines reach the server and the sandbox." + indent + "S" + real
	case server:
		return "Other machines reach the server, but not the sandbox: set SANDBOX_HOST, too." + indent + "S" + real
	case sandbox:
		return "Other machines reach the sandbox, but not the server: set HOST, too." + indent + "S" + real
	}
	return "Nothing leaves this machine: s" + real + indent + "Only this machine reaches the server and the sandbox: --lan lets phones and others in."
}

// Parts are the parts of a running server that tests use; see package servertest.
// Nothing else uses them.
type Parts struct {
	Handler         http.Handler // the mounted routes
	Store           *store.Store
	Flows           *identity.Flows // package identity
	Listener        net.Listener    // of the API
	SandboxListener net.Listener    // nil without a sandbox
}

// Parts returns the parts of a server that Open has opened.
func (s *Server) Parts() Parts {
	p := Parts{Handler: s.api.server.Handler, Store: s.store, Flows: s.flows, Listener: s.api.listener}
	if s.sandbox != nil {
		p.SandboxListener = s.sandbox.listener
	}
	return p
}
