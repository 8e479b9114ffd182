package server

import (
	"context"
	"log/slog"
	"time"

	"cubegate/server/config"
	"cubegate/store"
	"cubegate/tokens"
)

// bcryptPrefix begins the password hashes that the NestJS original made.
const bcryptPrefix = "$2"

// newHasher returns the hasher and logs how many logins the machine can serve.
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
	log.LogAttrs(context.Background(), slog.LevelInfo, "password hashing configured",
		slog.Int("at_once", concurrent), slog.Int("logins_per_second", int(perSecond)))
	return hasher, nil
}

// followDecoys tells the hasher the share of users with bcrypt, until ctx ends. It
// counts once an hour, and once a day while no user has bcrypt: only an import, or
// the original on the same database, adds such users.
func followDecoys(ctx context.Context, users *store.Users, hasher *tokens.Hasher, key []byte, log *slog.Logger) {
	for {
		share, err := users.HashShare(ctx, bcryptPrefix)
		if err == nil {
			err = hasher.SetDecoys(key, share)
		}
		if err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "counting users with bcrypt failed; the time of a refused login may reveal them", slog.Any("err", err))
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
