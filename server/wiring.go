package server

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"cubegate/middleware"
	"cubegate/resolvers"
	"cubegate/resolvers/accounts"
	"cubegate/tokens"
)

// keysEvery is how often the folder of signing keys is looked at.
const keysEvery = 5 * time.Second

// openAuth makes what registers people, logs them in and keeps their accounts
// at ConnectyCube, and what checks its tokens.
func (p *program) openAuth() error {
	hasher, err := tokens.NewHasher(tokens.Params{
		Memory:      uint32(p.cfg.Password.Memory),
		Iterations:  uint32(p.cfg.Password.Iterations),
		Parallelism: uint8(p.cfg.Password.Parallelism),
		Concurrent:  p.cfg.Password.Concurrent,
		MemoryLimit: memoryLimit(),
		MaxWait:     p.cfg.Password.MaxWait,
	})
	if err != nil {
		return fmt.Errorf("PASSWORD_*: %w", err)
	}
	ring, err := tokens.NewRing(p.cfg.JWT.Secret, p.cfg.PreviousSecrets()...)
	if err != nil {
		return fmt.Errorf("JWT_SECRET, JWT_PREVIOUS_SECRETS: %w", err)
	}
	issuer, verifier, err := p.openTokens(ring)
	if err != nil {
		return err
	}
	budgets, err := p.newBudgets()
	if err != nil {
		return fmt.Errorf("LOGIN_*: %w", err)
	}
	p.accounts = p.keeper(ring, issuer)
	p.background = append(p.background, func(ctx context.Context) { p.store.Audit().Run(ctx, p.log) })
	users := p.store.Users()
	p.auth = &resolvers.Auth{
		Users:     users,
		Registry:  users,
		People:    users,
		Directory: users,
		Members:   users,
		Sessions:  p.store.Sessions(),
		Events:    p.store.Audit(),
		Auditor:   p.startAuditor(),

		Accounts: p.accounts,
		Changes:  p.accounts,

		Tokens:    issuer,
		Verifier:  verifier,
		Refresh:   ring,
		Passwords: p.withDecoys(hasher, ring),

		Budgets:   budgets,
		Callbacks: resolvers.NewCallbacks(p.callbackSecret, ring.DerivedPasswords),
		Devices:   ring,
		Address:   middleware.ClientIPFrom,
		Networks:  func(ctx context.Context) []string { return middleware.Networks(middleware.ClientIPFrom(ctx)) },
		Network:   middleware.Network,

		Limits:            p.limits(),
		RegisterWhileAway: p.cfg.ConnectyCube.RegisterWhileAway,
		Chat:              p.chat,
		Patience:          p.patience(),
		Log:               p.log,
	}
	return nil
}

// startAuditor starts the writer of refusals. A shutdown closes it within its
// deadline; the closer here is for a start that fails.
func (p *program) startAuditor() *resolvers.Auditor {
	auditor := resolvers.StartAuditor(p.store.Audit(), p.log)
	p.onClose(func(ctx context.Context) error { auditor.Close(ctx); return nil })
	return auditor
}

// bcryptPrefix begins the password hashes that the original has made.
const bcryptPrefix = "$2"

// withDecoys lets unknown emails cost what bcrypt costs as often as users do.
func (p *program) withDecoys(hasher *tokens.Hasher, ring *tokens.Ring) *tokens.Hasher {
	p.background = append(p.background, func(ctx context.Context) { p.followDecoys(ctx, hasher, ring.DecoyKey()) })
	return hasher
}

// followDecoys tells the hasher the share of users with bcrypt. It counts once an hour, and once a day while no user has bcrypt: only an
// import, or the original beside this server, makes such users.
func (p *program) followDecoys(ctx context.Context, hasher *tokens.Hasher, key []byte) {
	for {
		share, err := p.store.Users().HashShare(ctx, bcryptPrefix)
		if err == nil {
			err = hasher.SetDecoys(key, share)
		}
		if err != nil && ctx.Err() == nil {
			p.log.WarnContext(ctx, "bcrypt users not counted; the time of a refused login may show them", slog.Any("err", err))
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

// derived reports whether accounts at ConnectyCube have passwords of the
// server's making.
func (p *program) derived() bool { return p.cfg.ConnectyCube.Password == "derived" }

// limits are what login sessions and passwords may be. ConnectyCube's bound of a
// password counts only where it gets the user's own.
func (p *program) limits() resolvers.Limits {
	l := resolvers.Limits{
		Idle: p.cfg.Sessions.Idle, Absolute: p.cfg.Sessions.Absolute, PerUser: p.cfg.Sessions.PerUser,
		Password: resolvers.SharedPassword,
	}
	if p.derived() {
		l.Password = resolvers.DerivedPassword
	}
	return l
}

// openTokens makes what signs tokens and what checks them.
func (p *program) openTokens(ring *tokens.Ring) (*tokens.Issuer, *tokens.Verifier, error) {
	signing := tokens.Config{
		Ring:       ring,
		Issuer:     p.cfg.JWT.Issuer,
		AccessTTL:  p.cfg.JWT.AccessTTL,
		SessionTTL: p.cfg.Sessions.Absolute,
		ServiceTTL: max(p.patience()+p.margin(), 2*time.Second), // a token's times are whole seconds
	}
	if p.cfg.JWT.Keys != "" {
		keys, err := tokens.OpenKeys(p.cfg.JWT.Keys)
		if err != nil {
			return nil, nil, fmt.Errorf("JWT_KEYS: %w", err)
		}
		signing.Keys, p.keys = keys, keys
		p.background = append(p.background, func(ctx context.Context) {
			keys.Run(ctx, keysEvery, func(err error) {
				p.log.WarnContext(ctx, "signing keys not read again", slog.Any("err", err))
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
func (p *program) publicKeys() []byte {
	if p.keys == nil {
		return []byte(`{"keys":[]}`)
	}
	return p.keys.JWKS()
}

// keeper makes what keeps the accounts at ConnectyCube.
func (p *program) keeper(ring *tokens.Ring, issuer *tokens.Issuer) *accounts.Keeper {
	users := p.store.Users()
	k := &accounts.Keeper{
		Directory:    p.cube,
		Cube:         p.cube,
		Self:         p.cube,
		Ledger:       users,
		People:       users,
		Queue:        users,
		Line:         users,
		Sessions:     p.store.Sessions(),
		Ended:        p.store.Sessions(),
		Keys:         ring,
		Tickets:      issuer,
		Derived:      p.derived(),
		MakeLater:    p.cfg.ConnectyCube.RegisterWhileAway,
		AdminKey:     p.cfg.HasSandbox() || !p.cfg.ConnectyCube.AdminKey.IsZero(),
		SignUps:      p.signUps(),
		CIdPPassword: p.cfg.ConnectyCube.CIDPPassword,
		Patience:     p.patience(),
		Margin:       p.margin(),
		Log:          p.log,
	}
	p.background = append(p.background, k.Run)
	return k
}

// signUpBurst is how many accounts at most are made at once before the rate counts.
const signUpBurst = 10

// signUps bounds the accounts that are made, unless the settings want no limit.
func (p *program) signUps() *accounts.SignUpBudget {
	perMinute := p.cfg.ConnectyCube.SignUpsPerMinute
	return accounts.NewSignUpBudget(perMinute, min(perMinute, signUpBurst), func(ctx context.Context) []string {
		return middleware.Networks(middleware.ClientIPFrom(ctx))
	})
}

// patience bounds what one request asks of ConnectyCube.
func (p *program) patience() time.Duration { return 3 * p.cfg.ConnectyCube.Timeout }

// margin is for clocks that differ between processes.
func (p *program) margin() time.Duration { return min(5*time.Second, p.patience()) }
