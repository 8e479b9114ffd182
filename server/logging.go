package server

import (
	"io"
	"log/slog"
	"os"

	"cubegate/middleware"
	"cubegate/server/config"
)

// NewLogger returns a logger that writes text to a terminal and JSON elsewhere, unless
// the settings choose one.
func NewLogger(cfg config.Config, stderr io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Log.Level)) // config.Load has checked it
	opts := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewJSONHandler(stderr, opts)
	if cfg.Log.Format == "text" || cfg.Log.Format == "auto" && isTerminal(stderr) {
		h = slog.NewTextHandler(stderr, opts)
	}
	return slog.New(middleware.WithRequestID(h))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
