// Package server is the process: it opens the parts of the program, wires them,
// serves, and shuts down. It decides nothing about a request.
//
// Start reading at Main in commands.go. server.go has the order of start and
// stop, wiring.go the implementation of each interface, routes.go the mounted
// routes. Package config loads the settings.
package server

import (
	"context"
	"errors"
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
	"cubegate/store/embedded"
)

// VerifyPath is the route that ConnectyCube calls back.
const VerifyPath = resolvers.VerifyPath

// Server is the running process. Open builds it.
type Server struct {
	cfg config.Config
	log *slog.Logger

	database *embedded.Server // nil if this process does not have it
	store    *store.Store
	accounts *provisioning.Provisioner
	flows    *identity.Flows

	health     *probes
	requests   middleware.Drain
	api        *endpoint        // the sandbox's, if that runs alone
	sandbox    *endpoint        // beside the API; nil without one
	ops        *endpoint        // of the operators; nil without OPS_ADDR
	authority  *certs.Authority // nil without --tls
	background background
	closers    []func(context.Context) error // in the order of opening; called in reverse

	notes startNotes
}

// startNotes are for the texts that a person reads at the start and at the stop.
type startNotes struct {
	secretGenerated bool      // no setting gives the JWT secret
	refusedSetting  string    // that ConnectyCube did not accept at the start; empty: none
	out             io.Writer // nil: none
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
	s.releaseLeases(ctx)
	s.shareDatabase(ctx) // after the leases, because a command may take some
	if s.notes.out != nil {
		s.banner(s.notes.out) // commands find a server that says it is ready
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "started", slog.String("addr", s.api.addr().String()),
		slog.Bool("embedded_database", s.cfg.HasEmbeddedDatabase()), slog.Bool("sandbox", s.cfg.HasSandbox()),
		slog.Int("max_connections", s.api.connections.Max()))
	if s.cfg.ConnectyCube.CIDPSecret.IsZero() && !s.cfg.HasSandbox() {
		s.log.LogAttrs(ctx, slog.LevelInfo, "the verify route takes tokens only, no passwords", slog.String("unset", "CONNECTYCUBE_CIDP_SECRET"))
	}
	if s.bansEndHere() {
		s.log.LogAttrs(ctx, slog.LevelWarn, "a disabled user can still log in at ConnectyCube itself",
			slog.String("because", "CONNECTYCUBE_PASSWORD=shared without an identity provider"), slog.String("unset", "CONNECTYCUBE_CIDP_SECRET"))
	}
	err := s.serve(ctx)
	s.log.LogAttrs(ctx, slog.LevelInfo, "stopped")
	return err
}

// releaseLeases releases all leases if this process has the embedded database, which no
// other process uses: each is left over from an earlier run.
func (s *Server) releaseLeases(ctx context.Context) {
	if s.database == nil {
		return
	}
	if err := s.store.AccountWork().ReleaseAll(ctx); err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "releasing leases of an earlier run failed", slog.Any("err", err))
	}
}

// serve runs the background work and the listeners until ctx ends or a listener
// fails. Then it shuts down.
func (s *Server) serve(ctx context.Context) error {
	s.background.start(ctx)
	err := serveUntil(ctx, s.api, s.sandbox, s.ops)
	return errors.Join(err, s.shutdown(ctx))
}

// Parts are the parts of a running server that tests use; see package servertest.
// Nothing else uses them.
type Parts struct {
	Handler         http.Handler // the mounted routes
	Store           *store.Store
	Flows           *identity.Flows // package identity
	Listener        net.Listener    // of the API
	SandboxListener net.Listener    // nil without a sandbox
	OpsListener     net.Listener    // nil without OPS_ADDR
}

// Parts returns the parts of a server that Open has opened.
func (s *Server) Parts() Parts {
	p := Parts{Handler: s.api.server.Handler, Store: s.store, Flows: s.flows, Listener: s.api.listener}
	if s.sandbox != nil {
		p.SandboxListener = s.sandbox.listener
	}
	if s.ops != nil {
		p.OpsListener = s.ops.listener
	}
	return p
}
