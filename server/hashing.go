package server

import (
	"context"
	"log/slog"
	"time"

	"cubegate/server/config"
	"cubegate/store"
	"cubegate/tokens"
)

// openHasher returns the hasher. Beside a process for the hashes it logs, soon after the
// start, how many logins the machine can serve.
func (s *setup) openHasher() (*tokens.Hasher, error) {
	params := hashParams(s.cfg, s.log)
	params.Command, params.Observe = s.hashCommand, s.metrics.hashWait
	hasher, err := tokens.NewHasher(params)
	if err != nil {
		return nil, err
	}
	s.onClose(func(ctx context.Context) error { hasher.Close(ctx); return nil })
	leaveMemory(hasher.ProcessMemory())
	if len(params.Command) > 0 {
		s.background.add(func(ctx context.Context) { logLogins(ctx, hasher, s.log) })
	}
	return hasher, nil
}

// logLogins measures and logs how many logins a second the machine can serve. It waits for
// a moment, because the first requests come before.
func logLogins(ctx context.Context, hasher *tokens.Hasher, log *slog.Logger) {
	select {
	case <-time.After(startPause):
	case <-ctx.Done():
		return
	}
	_, perSecond, err := hasher.Measure(ctx)
	switch {
	case err == nil:
		log.LogAttrs(ctx, slog.LevelInfo, "password hashing measured",
			slog.Int("at_once", hasher.State().Slots), slog.Int("logins_per_second", int(perSecond)))
	case ctx.Err() == nil:
		log.LogAttrs(ctx, slog.LevelWarn, "measuring the logins a second failed", slog.Any("err", err))
	}
}

// hashParams returns the parameters of the settings.
func hashParams(cfg config.Config, log *slog.Logger) tokens.Params {
	return tokens.Params{
		Memory:      uint32(cfg.Password.Memory),
		Iterations:  uint32(cfg.Password.Iterations),
		Parallelism: uint8(cfg.Password.Parallelism),
		Bcrypt:      hashesAsOriginal(cfg),
		Concurrent:  cfg.Password.Concurrent,
		Cores:       atLeastTwoThreads(),
		MemoryLimit: memoryLimit(),
		MaxWait:     cfg.Password.MaxWait,
		Warn: func(err error) {
			log.LogAttrs(context.Background(), slog.LevelWarn, "hashing in another process failed", slog.Any("err", err))
		},
	}
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
		switch {
		case err == nil:
			hasher.SetDecoys(key, share)
		case ctx.Err() == nil:
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
