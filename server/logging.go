package server

import (
	"io"
	"log/slog"
	"os"

	"cubegate/middleware"
	"cubegate/server/config"
)

// NewLogger writes lines for people on a terminal, and JSON elsewhere, unless
// the settings say otherwise.
func NewLogger(cfg config.Config, stderr io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Log.Level)) // checked with the other settings
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: withUnits}
	var h slog.Handler = slog.NewJSONHandler(stderr, opts)
	if cfg.Log.Format == "text" || cfg.Log.Format == "auto" && isTerminal(stderr) {
		h = slog.NewTextHandler(stderr, opts)
	}
	return slog.New(middleware.WithRequestID(h))
}

// withUnits writes durations as 1.5ms, in JSON too, where they would be bare
// nanoseconds.
func withUnits(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
