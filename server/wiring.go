package server

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"cubegate/middleware"
	"cubegate/resolvers"
	"cubegate/resolvers/accounts"
	"cubegate/server/config"
	"cubegate/tokens"
)

// keyReloadInterval is how often the folder of signing keys is looked at.
const keyReloadInterval = 5 * time.Second

// wireIdentity makes what registers people, logs them in and keeps their accounts
// at ConnectyCube, and what checks its tokens.
func (s *Server) wireIdentity() error {
	hasher, err := newHasher(s.cfg, atLeastTwoThreads(), s.log)
	if err != nil {
		return fmt.Errorf("PASSWORD_*: %w", err)
	}
	ring, err := tokens.NewSecretRing(s.cfg.JWT.Secret, s.cfg.PreviousSecrets()...)
	if err != nil {
		return fmt.Errorf("JWT_SECRET, JWT_PREVIOUS_SECRETS: %w", err)
	}
	issuer, verifier, err := s.openTokens(ring)
	if err != nil {
		return err
	}
	budgets, err := s.newBudgets()
	if err != nil {
		return fmt.Errorf("LOGIN_*: %w", err)
	}
	s.accounts = s.wireProvisioning(ring, issuer)
	s.background = append(s.background, func(ctx context.Context) { s.store.Audit().Run(ctx, s.log) })
	users := s.store.Users()
	s.auth = &resolvers.Auth{
		Users:     users,
		Registry:  users,
		People:    users,
		Directory: users,
		Members:   users,
		Sessions:  s.store.Sessions(),
		Events:    s.store.Audit(),
		Auditor:   s.startAuditor(),

		Accounts: s.accounts,
		Changes:  s.accounts,

		Tokens:    issuer,
		Verifier:  verifier,
		Refresh:   ring,
		Passwords: s.withDecoys(hasher, ring),

		Budgets:   budgets,
		Callbacks: resolvers.NewCallbacks(s.callbackSecret, ring.DerivedPasswords),
		Devices:   ring,
		Address:   middleware.ClientIPFrom,
		Networks:  func(ctx context.Context) []string { return middleware.Networks(middleware.ClientIPFrom(ctx)) },
		Network:   middleware.Network,

		Limits:            s.limits(),
		RegisterWhileAway: s.cfg.ConnectyCube.RegisterWhileAway,
		Chat:              s.chat,
		Patience:          s.upstreamTimeout(),
		Log:               s.log,
	}
	return nil
}

// startAuditor starts the writer of refusals. A shutdown closes it within its
// deadline; the closer here is for a start that fails.
func (s *Server) startAuditor() *resolvers.Auditor {
	auditor := resolvers.StartAuditor(s.store.Audit(), s.log)
	s.onClose(func(ctx context.Context) error { auditor.Close(ctx); return nil })
	return auditor
}

// bcryptPrefix begins the password hashes that the original has made.
const bcryptPrefix = "$2"

// withDecoys lets unknown emails cost what bcrypt costs as often as users do.
func (s *Server) withDecoys(hasher *tokens.Hasher, ring *tokens.SecretRing) *tokens.Hasher {
	s.background = append(s.background, func(ctx context.Context) { s.followDecoys(ctx, hasher, ring.DecoyKey()) })
	return hasher
}

// newHasher makes the hasher, and says how many logins the machine carries.
func newHasher(cfg config.Config, cores int, log *slog.Logger) (*tokens.Hasher, error) {
	hasher, err := tokens.NewHasher(tokens.Params{
		Memory:      uint32(cfg.Password.Memory),
		Iterations:  uint32(cfg.Password.Iterations),
		Parallelism: uint8(cfg.Password.Parallelism),
		Concurrent:  cfg.Password.Concurrent,
		Cores:       cores,
		MemoryLimit: memoryLimit(),
		MaxWait:     cfg.Password.MaxWait,
	})
	if err != nil {
		return nil, err
	}
	concurrent, perSecond := hasher.Capacity()
	log.LogAttrs(context.Background(), slog.LevelInfo, "passwords are hashed",
		slog.Int("at_once", concurrent), slog.Int("logins_per_second", int(perSecond)))
	return hasher, nil
}

// followDecoys tells the hasher the share of users with bcrypt. It counts once an hour, and once a day while no user has bcrypt: only an
// import, or the original beside this server, makes such users.
func (s *Server) followDecoys(ctx context.Context, hasher *tokens.Hasher, key []byte) {
	for {
		share, err := s.store.Users().HashShare(ctx, bcryptPrefix)
		if err == nil {
			err = hasher.SetDecoys(key, share)
		}
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "bcrypt users not counted; the time of a refused login may show them", slog.Any("err", err))
		}
		every := time.Hour
		if err == nil && share == 0 {
			every = 24 * time.Hour
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
	}
}

// derivesPasswords reports whether accounts at ConnectyCube have passwords of the
// server's making.
func (s *Server) derivesPasswords() bool { return s.cfg.ConnectyCube.Password == "derived" }

// limits are what login sessions and passwords may be. ConnectyCube's bound of a
// password counts only where it gets the user's own.
func (s *Server) limits() resolvers.Limits {
	l := resolvers.Limits{
		Idle: s.cfg.Sessions.Idle, Absolute: s.cfg.Sessions.Absolute, PerUser: s.cfg.Sessions.PerUser,
		Password: resolvers.SharedPassword,
	}
	if s.derivesPasswords() {
		l.Password = resolvers.DerivedPassword
	}
	return l
}

// openTokens makes what signs tokens and what checks them.
func (s *Server) openTokens(ring *tokens.SecretRing) (*tokens.Issuer, *tokens.Verifier, error) {
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
		s.background = append(s.background, func(ctx context.Context) {
			keys.Run(ctx, keyReloadInterval, func(err error) {
				s.log.WarnContext(ctx, "signing keys not read again", slog.Any("err", err))
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

// publicKeys is the set of keys that verify our tokens, as JSON.
func (s *Server) publicKeys() []byte {
	if s.keys == nil {
		return []byte(`{"keys":[]}`)
	}
	return s.keys.JWKS()
}

// wireProvisioning makes what keeps the accounts at ConnectyCube.
func (s *Server) wireProvisioning(ring *tokens.SecretRing, issuer *tokens.Issuer) *accounts.Keeper {
	k := &accounts.Keeper{
		Directory:    s.cube,
		Cube:         s.cube,
		Self:         s.cube,
		Accounts:     s.store.Accounts(),
		Users:        s.store.Users(),
		Work:         accounts.Work{Accounts: s.store.AccountWork(), Sweeps: s.store.Sweeps(), Revocations: s.store.Revocations()},
		Line:         s.store.Accounts(),
		Sessions:     s.store.Sessions(),
		Ended:        s.store.Sessions(),
		Keys:         ring,
		Tickets:      issuer,
		Derived:      s.derivesPasswords(),
		MakeLater:    s.cfg.ConnectyCube.RegisterWhileAway,
		AdminKey:     s.cfg.HasSandbox() || !s.cfg.ConnectyCube.AdminKey.IsZero(),
		SignUps:      s.signUps(),
		CIdPPassword: s.cfg.ConnectyCube.CIDPPassword,
		Patience:     s.upstreamTimeout(),
		Margin:       s.clockSkew(),
		Log:          s.log,
	}
	s.background = append(s.background, k.Run)
	return k
}

// signUpBurst is how many accounts at most are made at once before the rate counts.
const signUpBurst = 10

// signUps bounds the accounts that are made, unless the settings want no limit.
func (s *Server) signUps() *accounts.SignUpBudget {
	perMinute := s.cfg.ConnectyCube.SignUpsPerMinute
	if s.cfg.Limits.Mode == "observe" {
		perMinute = 0
	}
	return accounts.NewSignUpBudget(perMinute, min(perMinute, signUpBurst), func(ctx context.Context) []string {
		return middleware.Networks(middleware.ClientIPFrom(ctx))
	})
}

// upstreamTimeout bounds what one request asks of ConnectyCube.
func (s *Server) upstreamTimeout() time.Duration { return 3 * s.cfg.ConnectyCube.Timeout }

// clockSkew is for clocks that differ between processes.
func (s *Server) clockSkew() time.Duration { return min(5*time.Second, s.upstreamTimeout()) }
