package server

import (
	"context"
	"log/slog"
	"time"

	"cubegate/server/config"
	"cubegate/store"
	"cubegate/tokens"
)

// openHasher returns the hasher and logs how many logins the machine can serve.
func (s *setup) openHasher() (*tokens.Hasher, error) {
	ctx := context.Background()
	hasher, err := tokens.NewHasher(tokens.Params{
		Memory:      uint32(s.cfg.Password.Memory),
		Iterations:  uint32(s.cfg.Password.Iterations),
		Parallelism: uint8(s.cfg.Password.Parallelism),
		Bcrypt:      hashesAsOriginal(s.cfg),
		Concurrent:  s.cfg.Password.Concurrent,
		Cores:       atLeastTwoThreads(),
		MemoryLimit: memoryLimit(),
		MaxWait:     s.cfg.Password.MaxWait,
		Command:     s.hashCommand,
		Warn: func(err error) {
			s.log.LogAttrs(ctx, slog.LevelWarn, "hashing in another process failed", slog.Any("err", err))
		},
	})
	if err != nil {
		return nil, err
	}
	s.onClose(func(ctx context.Context) error { hasher.Close(ctx); return nil })
	leaveMemory(hasher.ProcessMemory())
	concurrent, perSecond := hasher.Capacity()
	s.log.LogAttrs(ctx, slog.LevelInfo, "password hashing configured",
		slog.Int("at_once", concurrent), slog.Int("logins_per_second", int(perSecond)))
	return hasher, nil
}

// hashesAsOriginal reports whether new password hashes are such as the NestJS original
// can read.
func hashesAsOriginal(cfg config.Config) bool { return cfg.Password.Hash == "bcrypt" }

// followDecoys tells the hasher the share of users whose hash has another kind than new
// ones, until ctx ends. It counts once an hour, and once a day while there is none: only
// an import, or another program on the same database, adds such users.
func followDecoys(ctx context.Context, users *store.Users, hasher *tokens.Hasher, key []byte, log *slog.Logger) {
	for {
		share, err := users.HashShare(ctx, hasher.OtherKind())
		if err == nil {
			err = hasher.SetDecoys(key, share)
		}
		if err != nil && ctx.Err() == nil {
			log.LogAttrs(ctx, slog.LevelWarn, "counting users by the kind of their hash failed; the time of a refused login may reveal them", slog.Any("err", err))
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
