package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"cubegate/connectycube"
	"cubegate/middleware"
	"cubegate/resolvers"
	"cubegate/resolvers/identity"
	"cubegate/resolvers/provisioning"
	"cubegate/resolvers/transport"
	"cubegate/server/config"
	"cubegate/tokens"
)

// keyReloadInterval is the time between two reads of the folder of signing keys.
const keyReloadInterval = 5 * time.Second

// setup opens and wires the parts of a Server. It holds the parts that only the
// wiring needs, and is gone once the server runs.
type setup struct {
	*Server
	cube           *connectycube.Client
	keys           *tokens.SigningKeys // nil: tokens are signed with the secret
	chat           resolvers.ChatEndpoints
	metrics        *meters
	hashCommand    []string      // empty: this process hashes passwords
	callbackSecret tokens.Secret // ConnectyCube sends it; empty: the verify route takes no passwords
}

func newSetup(cfg config.Config, log *slog.Logger) *setup {
	return &setup{Server: &Server{cfg: cfg, log: log, health: &probes{log: log}}, metrics: newMetrics(cfg)}
}

// open starts all parts in order. If one fails, the caller must call Close.
func (s *setup) open(ctx context.Context) error {
	if err := s.openStore(ctx); err != nil { // first: its lock keeps a second process out
		return err
	}
	return s.openParts(ctx)
}

// openParts is open after the store.
func (s *setup) openParts(ctx context.Context) error {
	if err := s.openSecret(ctx); err != nil {
		return err
	}
	if s.callbackSecret = s.cfg.ConnectyCube.CIDPSecret; s.callbackSecret.IsZero() && s.cfg.HasSandbox() {
		s.callbackSecret = tokens.Secret(rand.Text() + rand.Text())
	}
	var err error
	if s.authority, err = openAuthority(s.cfg); err != nil {
		return err
	}
	if s.api, err = s.listen(listenerSetting{"HOST", "PORT", s.cfg.HTTP.Host, s.cfg.HTTP.Port}, reservations()); err != nil {
		return err
	}
	s.api.acceptHTTP2()
	if at := s.cfg.HTTP.OpsAddr; at != "" {
		if s.ops, err = openOps(at, s.metrics, s.health, s.log); err != nil {
			return fmt.Errorf("OPS_ADDR: %w", err)
		}
		s.onClose(s.ops.close)
	}
	if err := s.openCube(); err != nil {
		return err
	}
	if !s.cfg.HasSandbox() {
		check, accepted := &cubeCheck{check: s.cube.Check, log: s.log}, false
		if s.notes.refusedSetting, accepted = check.ask(ctx); !accepted {
			s.background.add(check.run)
		}
	}
	return s.openAPI()
}

// openAPI wires the parts behind the routes and gives the API's server its handler.
func (s *setup) openAPI() error {
	if err := s.wireIdentity(); err != nil {
		return err
	}
	s.health.database, s.health.connectyCube = s.store.Ping, func() string { return s.cube.Health().State }
	handler, err := s.routes()
	if err != nil {
		return err
	}
	s.api.server.Handler, s.api.server.WriteTimeout = handler, pageTimeout
	return nil
}

// wireIdentity builds the parts that register users, log them in and check their
// tokens.
func (s *setup) wireIdentity() error {
	hasher, err := s.openHasher()
	if err != nil {
		return fmt.Errorf("PASSWORD_*: %w", err)
	}
	ring, err := newRing(s.cfg)
	if err != nil {
		return err
	}
	issuer, verifier, err := s.openTokens(ring)
	if err != nil {
		return err
	}
	budgets, err := s.newBudgets()
	if err != nil {
		return fmt.Errorf("LOGIN_*: %w", err)
	}
	if s.accounts, err = s.wireProvisioning(ring, issuer); err != nil {
		return err
	}
	s.background.add(func(ctx context.Context) { s.store.Audit().Run(ctx, s.log) })
	auditor, err := s.startAuditor()
	if err != nil {
		return err
	}
	s.metrics.collectFrom(liveParts{hasher.State, auditor.State, s.cube.Health, s.store.Backlog})
	users := s.store.Users()
	s.flows, err = identity.New(identity.Options{
		Stores:   identity.Stores{Users: users, Admin: users, Active: users, Sessions: s.store.Sessions(), EvictSession: s.store.Evictions().EvictSession, LogOutEvicted: s.store.Evictions().LogOut, UpgradeHash: users.UpgradeHash},
		Accounts: identity.Accounts{Opener: s.accounts, Editor: s.accounts, DerivedPasswords: ring.DerivedPasswords},
		Tokens:   identity.Tokens{Issuer: issuer, Verifier: verifier, Refresh: ring, Devices: ring},
		Hasher:   s.withDecoys(hasher, ring),
		Budgets:  budgets,
		Auditor:  auditor,
		Limits:   s.limits(),
		Log:      s.log,

		NetworkOf:         middleware.Network,
		RegisterWhileAway: s.cfg.ConnectyCube.RegisterWhileAway,
		UpstreamTimeout:   s.upstreamTimeout(),
	})
	return err
}

// newRing returns the ring of the secrets in the settings.
func newRing(cfg config.Config) (*tokens.SecretRing, error) {
	ring, err := tokens.NewSecretRing(cfg.JWT.Secret, cfg.PreviousSecrets()...)
	if err != nil {
		return nil, fmt.Errorf("JWT_SECRET, JWT_PREVIOUS_SECRETS: %w", err)
	}
	return ring, nil
}

// clientOf returns what is known of the client of the request that ctx belongs to.
func clientOf(ctx context.Context) identity.ClientInfo {
	ip := middleware.ClientIPFrom(ctx)
	return identity.ClientInfo{IP: ip, Networks: middleware.Networks(ip), UserAgent: transport.UserAgent(ctx)}
}

// startAuditor starts the writer of refusals. Its closer writes the last of them.
func (s *setup) startAuditor() (*identity.Auditor, error) {
	auditor, err := identity.StartAuditor(identity.AuditorOptions{Events: s.store.Audit(), Outward: resolvers.Outward, NoteUser: middleware.NoteUser, Log: s.log})
	if err == nil {
		s.onClose(func(ctx context.Context) error { auditor.Close(ctx); return nil })
	}
	return auditor, err
}

// withDecoys makes the time of a login not tell whether the email exists: the share of
// unknown emails that costs a hash of the kind of earlier ones follows that of users.
func (s *setup) withDecoys(hasher *tokens.Hasher, ring *tokens.SecretRing) *tokens.Hasher {
	s.background.add(func(ctx context.Context) { followDecoys(ctx, s.store.Users(), hasher, ring.DecoyKey(), s.log) })
	return hasher
}

// derivesPasswords reports whether the server derives the passwords of accounts at
// ConnectyCube. If not, an account has its user's password.
func derivesPasswords(cfg config.Config) bool { return cfg.ConnectyCube.Password == "derived" }

// limits returns the bounds of login sessions and passwords. ConnectyCube's bound
// of a password counts only if ConnectyCube gets the user's password.
func (s *setup) limits() identity.Limits {
	l := identity.Limits{
		Idle: s.cfg.Sessions.Idle, Absolute: s.cfg.Sessions.Absolute, Reuse: s.cfg.Sessions.Reuse, PerUser: s.cfg.Sessions.PerUser,
		MaxPasswordChars: identity.SharedPasswordChars, BcryptPasswords: hashesAsOriginal(s.cfg),
	}
	if derivesPasswords(s.cfg) {
		l.MaxPasswordChars = identity.DerivedPasswordChars
	}
	return l
}

// openTokens builds the issuer, which signs tokens, and the verifier.
func (s *setup) openTokens(ring *tokens.SecretRing) (*tokens.Issuer, *tokens.Verifier, error) {
	signing := tokens.Config{
		Ring:       ring,
		Issuer:     s.cfg.JWT.Issuer,
		AccessTTL:  s.cfg.JWT.AccessTTL,
		SessionTTL: s.cfg.Sessions.Absolute,
		ServiceTTL: max(s.upstreamTimeout()+s.clockSkew(), 2*time.Second), // a token's times are whole seconds
	}
	if s.cfg.JWT.Keys != "" {
		keys, err := tokens.LoadSigningKeys(s.cfg.JWT.Keys)
		if err != nil {
			return nil, nil, fmt.Errorf("JWT_KEYS: %w", err)
		}
		signing.Keys, s.keys = keys, keys
		s.background.add(func(ctx context.Context) {
			keys.Run(ctx, keyReloadInterval, func(err error) {
				s.log.LogAttrs(ctx, slog.LevelWarn, "reloading signing keys failed", slog.Any("err", err))
			})
		})
	}
	issuer, err := tokens.NewIssuer(signing)
	if err != nil {
		return nil, nil, fmt.Errorf("JWT_*: %w", err)
	}
	verifier, err := tokens.NewVerifier(signing)
	if err != nil {
		return nil, nil, fmt.Errorf("JWT_*: %w", err)
	}
	return issuer, verifier, nil
}

// wireProvisioning builds the part that keeps each user's account at ConnectyCube. Its
// worker runs in the background.
func (s *setup) wireProvisioning(ring *tokens.SecretRing, issuer *tokens.Issuer) (*provisioning.Provisioner, error) {
	p, err := provisioning.New(provisioning.Options{
		Cube:      s.cube,
		CubeUsers: s.cube,
		UserAPI:   s.cube,
		Database: provisioning.Database{
			Accounts: s.store.Accounts(), Users: s.store.Users(), Sessions: s.store.Sessions(), Line: s.store.Accounts(),
			RemoveSession: s.store.Users().RemoveSession, ExpireSession: s.store.Sessions().Expire, RemoveRevoked: s.store.Sessions().RemoveRevoked,
			Evictions: s.store.Evictions(),
		},
		Queues: provisioning.Queues{Accounts: s.store.AccountWork(), Sweeps: s.store.Sweeps(), Revocations: s.store.Revocations()},
		Sealer: ring, Tickets: issuer, DerivePasswords: ring.DerivedPasswords,
		SignUps: s.signUps(),
		Settings: provisioning.Settings{
			PasswordMode:      provisioning.PasswordMode(s.cfg.ConnectyCube.Password),
			RegisterWhileAway: s.cfg.ConnectyCube.RegisterWhileAway,
			HasAdminKey:       s.cfg.HasSandbox() || !s.cfg.ConnectyCube.AdminKey.IsZero(),
			CIdPPassword:      s.cfg.ConnectyCube.CIDPPassword,
			UpstreamTimeout:   s.upstreamTimeout(),
			ClockSkew:         s.clockSkew(),
		},
		Log: s.log,
	})
	if err != nil {
		return nil, err
	}
	s.background.add(p.Run)
	return p, nil
}

// signUpBurst is the number of sign-ups that may run at once before the rate counts.
const signUpBurst = 10

// signUps returns the budget of sign-ups at ConnectyCube, without a limit if the
// settings set none.
func (s *setup) signUps() *provisioning.SignUpBudget {
	perMinute := s.cfg.ConnectyCube.SignUpsPerMinute
	if s.cfg.Limits.Mode == "observe" {
		perMinute = 0
	}
	return provisioning.NewSignUpBudget(perMinute, min(perMinute, signUpBurst), func(ctx context.Context) []string {
		return middleware.Networks(middleware.ClientIPFrom(ctx))
	})
}

// upstreamTimeout bounds the calls to ConnectyCube of one request, taken together.
func (s *setup) upstreamTimeout() time.Duration { return 3 * s.cfg.ConnectyCube.Timeout }

// clockSkew is the difference of clocks between processes that leases and service
// tickets allow for.
func (s *setup) clockSkew() time.Duration { return min(5*time.Second, s.upstreamTimeout()) }
