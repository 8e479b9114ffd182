package server

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"

	"cubegate/middleware"
	"cubegate/server/config"

	"golang.org/x/term"
)

// NewLogger returns a logger that writes text to a terminal and JSON elsewhere, unless
// the settings choose one. Text has colors on a terminal only.
func NewLogger(cfg config.Config, stderr io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Log.Level)) // config.Load has checked it
	var h slog.Handler = slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level})
	onTerminal := isTerminal(stderr)
	if cfg.Log.Format == "text" || cfg.Log.Format == "auto" && onTerminal {
		h = newTerminalHandler(stderr, level, onTerminal && !cfg.Log.NoColor, func() int { return lineColumns(stderr) })
	}
	return slog.New(middleware.WithRequestID(h))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// lineColumns returns the columns for a line of the log: those of the terminal at the
// moment, because its window can change, within bounds.
func lineColumns(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return terminalColumns
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width == 0 { // a terminal that does not know its size says 0
		return terminalColumns
	}
	return max(narrowColumns, min(width, terminalColumns))
}

// noColor reports whether the environment asks for text without colors: NO_COLOR
// (https://no-color.org), or a terminal that has none.
func noColor(getenv func(string) (string, bool)) bool {
	value, _ := getenv("NO_COLOR")
	terminal, _ := getenv("TERM")
	return value != "" || terminal == "dumb"
}

// assetTypes are the file types that pages load.
var assetTypes = []string{".js", ".mjs", ".css", ".map", ".svg", ".png", ".ico", ".woff2"}

// requestLevel returns the level of a request's line: Debug for health probes, for the
// assets of pages, and for requests that this process sends to itself, which quiet lists by
// their paths. A final * stands for any end of the path.
func requestLevel(quiet ...string) func(*http.Request) slog.Level {
	quiet = append(quiet, "/healthz", "/readyz", "/metrics")
	return func(r *http.Request) slog.Level {
		isAsset := r.Method == http.MethodGet && slices.Contains(assetTypes, path.Ext(r.URL.Path))
		isQuiet := func(pattern string) bool {
			prefix, open := strings.CutSuffix(pattern, "*")
			return r.URL.Path == pattern || open && strings.HasPrefix(r.URL.Path, prefix)
		}
		if isAsset || slices.ContainsFunc(quiet, isQuiet) {
			return slog.LevelDebug
		}
		return slog.LevelInfo
	}
}

// ownRequests lists the paths of the API that this process requests itself: the sandbox
// sends ConnectyCube's callback.
func ownRequests(cfg config.Config) []string {
	if cfg.HasSandbox() {
		return []string{VerifyPath}
	}
	return nil
}
