package server

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/middleware"
)

// written returns the lines that log writes as text in a wide terminal.
func written(color bool, log func(*slog.Logger)) []string {
	return writtenIn(terminalColumns, color, log)
}

// writtenIn returns the lines that log writes as text in a terminal with these columns.
func writtenIn(columns int, color bool, log func(*slog.Logger)) []string {
	var out bytes.Buffer
	log(slog.New(middleware.WithRequestID(newTerminalHandler(&out, slog.LevelDebug, color, func() int { return columns }))))
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

// request logs the line of a request with the given path.
func request(log *slog.Logger, path string, more ...slog.Attr) {
	attrs := append([]slog.Attr{
		slog.String("method", "POST"), slog.String("path", path), slog.String("route", "/api"), slog.Int("status", 200),
		slog.Int("bytes", 1234), slog.Float64("took_ms", 12.345), slog.String("client", "192.168.178.23"), slog.String("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
	}, more...)
	log.LogAttrs(context.Background(), slog.LevelInfo, middleware.RequestMessage, attrs...)
}

// requestEndOf returns what a request reports at its end: operation, code, reason and user.
func requestEndOf(values ...string) (attrs []slog.Attr) {
	for i, name := range []string{"operation", "code", "reason", "user_id"} {
		attrs = append(attrs, slog.String(name, values[i]))
	}
	return attrs
}

func TestTerminalShowsARequestOnOneLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // the clock begins at midnight UTC on 2000-01-01
		at := time.Now().Local().Format(time.TimeOnly)
		const user = "65f1c0ffee65f1c0ffee65f1"
		for name, tt := range map[string]struct {
			path string
			more []slog.Attr
			want string
		}{
			"plain": {"/api", nil, at + " INF POST /api 200 12ms client=192.168.178.23"},
			"a wrong password": {"/api", requestEndOf("login", "UNAUTHENTICATED", "wrong_password", user),
				at + " INF POST /api 200 12ms login wrong_password user_id=" + user},
			"a wrong password over REST": {"/auth/login-by-token", requestEndOf("login_By_token", "UNAUTHENTICATED", "wrong_password", user),
				at + " INF POST /auth/login-by-token 200 12ms wrong_password user_id=" + user},
			"an unknown email": {"/auth/login-by-token", requestEndOf("login_By_token", "UNAUTHENTICATED", "wrong_password", ""),
				at + " INF POST /auth/login-by-token 200 12ms login_By_token wrong_password client=192.168.178.23"},
			"a code without a reason": {"/nope", requestEndOf("", "NOT_FOUND", "", ""), at + " INF POST /nope 200 12ms NOT_FOUND client=192.168.178.23"},
			"a success":               {"/api", requestEndOf("me", "", "", user), at + " INF POST /api 200 12ms me user_id=" + user + " client=192.168.178.23"},
			"a success over REST":     {"/auth/login-by-token", requestEndOf("login_By_token", "", "", user), at + " INF POST /auth/login-by-token 200 12ms login_By_token user_id=" + user},
			"long":                    {"/" + strings.Repeat("x", 200), nil, at + " INF POST /" + strings.Repeat("x", 32) + "… 200 12ms client=192.168.178.23"},
			"controls":                {"/a\x1b[2J\r\nb", nil, at + " INF POST /a\uFFFD[2J\uFFFD\uFFFDb 200 12ms client=192.168.178.23"},
		} {
			lines := written(false, func(log *slog.Logger) { request(log, tt.path, tt.more...) })
			if len(lines) != 1 || lines[0] != tt.want {
				t.Errorf("%s:\n%q\nwant\n%q", name, lines, tt.want)
			} else if columns(lines[0]) > terminalColumns {
				t.Errorf("%s: %d columns", name, columns(lines[0]))
			}
		}
	})
}

// A terminal of 80 columns shows all of a request, and breaks its line between words.
func TestNarrowTerminalLosesNothingOfARequest(t *testing.T) {
	t.Parallel()
	const user = "65f1c0ffee65f1c0ffee65f1"
	lines := writtenIn(80, true, func(log *slog.Logger) {
		request(log, "/auth/login-by-token", requestEndOf("login_By_token", "UNAUTHENTICATED", "wrong_password", user)...)
	})
	for i, line := range lines {
		lines[i] = withoutColors(line)
	}
	if len(lines) != 2 || !strings.HasSuffix(lines[0], "POST /auth/login-by-token 200 12ms wrong_password") || lines[1] != terminalIndent+"user_id="+user {
		t.Errorf("%q", lines)
	}
}

// No line is wider than the terminal, and no text of a record other than a request's is lost.
func TestTerminalBreaksLongLines(t *testing.T) {
	t.Parallel()
	cause := "dial tcp 10.0.0.1:27017: " + strings.Repeat("connection refused, ", 12) + "end"
	for _, color := range []bool{false, true} {
		lines := written(color, func(log *slog.Logger) {
			log.LogAttrs(t.Context(), slog.LevelError, "the database failed", slog.Any("err", errors.New(cause)), slog.String("word", strings.Repeat("y", 300)), slog.String("wide", strings.Repeat("漢字 ", 60)))
		})
		if len(lines) < 5 {
			t.Errorf("%d lines", len(lines))
		}
		whole := ""
		for i, line := range lines {
			plain := withoutColors(line)
			if columns(plain) > terminalColumns {
				t.Errorf("%d columns: %q", columns(plain), plain)
			}
			if i > 0 && !strings.HasPrefix(plain, terminalIndent) {
				t.Errorf("not indented: %q", plain)
			}
			whole += strings.ReplaceAll(plain, " ", "")
		}
		if color != strings.Contains(strings.Join(lines, ""), "\x1b[") {
			t.Errorf("color %t: %q", color, lines[0])
		}
		for _, part := range []string{cause, strings.Repeat("y", 300), strings.Repeat("漢字", 60)} {
			if !strings.Contains(whole, strings.ReplaceAll(part, " ", "")) {
				t.Errorf("lost: %.60s", part)
			}
		}
	}
}

// withoutColors removes the escape sequences of colors.
func withoutColors(line string) string {
	for {
		before, rest, found := strings.Cut(line, "\x1b[")
		if !found {
			return line
		}
		_, after, _ := strings.Cut(rest, "m")
		line = before + after
	}
}

func TestRequestLevel(t *testing.T) {
	t.Parallel()
	level := requestLevel("/auth/verify-connectycube", "/_sandbox/*")
	for target, want := range map[string]slog.Level{
		"GET /healthz": slog.LevelDebug, "GET /readyz": slog.LevelDebug,
		"GET /api/playground/graphiql.js": slog.LevelDebug, "GET /favicon.ico": slog.LevelDebug, "GET /docs/style.css?v=1": slog.LevelDebug,
		"POST /auth/verify-connectycube": slog.LevelDebug, "GET /auth/verify-connectycube?token=x": slog.LevelDebug,
		"GET /_sandbox/state": slog.LevelDebug,
		"POST /api":           slog.LevelInfo, "GET /": slog.LevelInfo, "GET /openapi.json": slog.LevelInfo, "POST /users/ada.js": slog.LevelInfo,
		"GET /healthzz": slog.LevelInfo, "GET /_sandboxes": slog.LevelInfo,
	} {
		method, url, _ := strings.Cut(target, " ")
		if got := level(httptest.NewRequest(method, url, http.NoBody)); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}

func TestNoColor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, false}, {map[string]string{"NO_COLOR": ""}, false}, {map[string]string{"TERM": "xterm"}, false},
		{map[string]string{"NO_COLOR": "1"}, true}, {map[string]string{"TERM": "dumb"}, true},
	} {
		if got := noColor(func(name string) (string, bool) { v, ok := tt.env[name]; return v, ok }); got != tt.want {
			t.Errorf("%v: %t", tt.env, got)
		}
	}
}
