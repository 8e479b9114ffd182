package lifecycle

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"cubegate/server"
	"cubegate/server/servertest"

	"golang.org/x/sys/unix"
)

// openTerminal returns the two ends of a pseudo-terminal.
func openTerminal(t *testing.T) (screen, terminal *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skip(err)
	}
	number, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	return screen, terminal
}

var colorCode = regexp.MustCompile("\x1b\\[[0-9;]*m")

// On a terminal the log is text of at most 100 columns, or as many as the terminal has, in
// color unless NO_COLOR is set. The requests that the server's own probes and sandbox make are not in it.
func TestLogOnATerminal(t *testing.T) {
	t.Parallel()
	for noColor, columns := range map[string]uint16{"": 0, "1": 80} {
		screen, terminal := openTerminal(t)
		if err := unix.IoctlSetWinsize(int(screen.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns}); err != nil {
			t.Fatal(err)
		}
		most := 100
		if columns > 0 {
			most = int(columns)
		}
		p := servertest.SpawnOn(t, terminal, map[string]string{"LOG_FORMAT": "", "LOG_LEVEL": "info", "NO_COLOR": noColor})
		shown := &servertest.LogBuffer{}
		go func() { _, _ = io.Copy(shown, screen) }()
		p.WaitReady(t)
		p.Register(t, "ada@example.org")
		p.Login(t, servertest.ByTokenDocument, "ada@example.org")
		p.Request(t, http.MethodGet, "/healthz", "")
		p.Request(t, http.MethodGet, "/"+strings.Repeat("x", 300), "")
		var text string
		servertest.Eventually(t, "the log shows the last request as a whole line", func() bool {
			text = strings.ReplaceAll(shown.String(), "\r\n", "\n")
			return strings.Contains(text, "GET /") && strings.Contains(text, "404") && strings.HasSuffix(text, "\n")
		})
		if colored := strings.Contains(text, "\x1b["); colored != (noColor == "") {
			t.Errorf("NO_COLOR=%s: colored %t", noColor, colored)
		}
		text = colorCode.ReplaceAllString(text, "")
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if utf8.RuneCountInString(line) > most || !regexp.MustCompile(`^(\d\d:\d\d:\d\d (INF|WRN|ERR) |         )`).MatchString(line) {
				t.Errorf("line %q", line)
			}
		}
		if n := strings.Count(text, " POST /api 200 "); n != 2 {
			t.Errorf("%d requests to the API:\n%s", n, text)
		}
		for _, quiet := range []string{"/healthz", server.VerifyPath} {
			if strings.Contains(text, quiet) {
				t.Errorf("the log shows %s:\n%s", quiet, text)
			}
		}
	}
}

// The sandbox alone logs the requests of apps, and not those of its own page.
func TestSandboxAloneLogsRequests(t *testing.T) {
	t.Parallel()
	p := servertest.Spawn(t, map[string]string{"LOG_LEVEL": "info"}, "sandbox")
	var url string
	servertest.Eventually(t, "the banner is complete", func() bool {
		found := regexp.MustCompile(`REST API +(http:\S+)`).FindStringSubmatch(p.Stdout.String())
		if found != nil {
			url = found[1]
		}
		return strings.Contains(p.Stdout.String(), "Stop with Ctrl-C.")
	})
	for _, path := range []string{"/_sandbox/state", "/users.json?token=a-secret-token"} {
		if _, err := servertest.Try(http.MethodGet, url+path, ""); err != nil {
			t.Fatal(err)
		}
	}
	servertest.Eventually(t, "the log shows the request", func() bool { return strings.Contains(p.Log.String(), `"path":"/users.json"`) })
	if log := p.Log.String(); strings.Contains(log, "_sandbox") || strings.Contains(log, "a-secret-token") || !strings.Contains(log, `"status":401`) {
		t.Errorf("the log: %s", log)
	}
}
