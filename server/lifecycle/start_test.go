package lifecycle

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cubegate/server/servertest"
)

// An error of the start is one line on stderr, with the cause and the cure, and status 1.
func TestStartErrorsNameCauseAndCure(t *testing.T) {
	t.Parallel()
	p := servertest.Spawn(t, nil).WaitReady(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	port := strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		settings map[string]string
		want     string
		args     string
	}{
		"the port is in use":           {map[string]string{"PORT": port}, "port " + port + " is in use; set PORT=", ""},
		"the sandbox's port is in use": {map[string]string{"SANDBOX_PORT": port}, "port " + port + " is in use; set SANDBOX_PORT=", ""},
		"the same, alone":              {map[string]string{"SANDBOX_PORT": port}, "port " + port + " is in use; set SANDBOX_PORT=", "sandbox"},
		"the tools' port is in use":    {map[string]string{"MONGO_EMBEDDED_LISTEN": "127.0.0.1:" + port}, "MONGO_EMBEDDED_LISTEN: port " + port + " is in use; set the port=", ""},
		"another machine's address":    {map[string]string{"HOST": "192.0.2.1"}, "HOST=192.0.2.1 is no address of this machine; set HOST to ", ""},
		"the folder is a file":         {map[string]string{"DATA_DIR": file}, "DATA_DIR=" + file + " cannot be used; make it a folder", ""},
		"the folder is below a file":   {map[string]string{"DATA_DIR": file + "/data"}, "cannot be used; make it a folder", ""},
		"the folder is in use":         {map[string]string{"DATA_DIR": p.Cmd.Dir + "/data"}, fmt.Sprintf("DATA_DIR=%s/data is in use by a cubegate that runs (process %d); stop that first, or set DATA_DIR to another folder", p.Cmd.Dir, p.Cmd.Process.Pid), ""},
		"a wrong setting":              {map[string]string{"PORT": "many"}, "1 problem with the configuration: port (PORT, set in the environment): want a whole number from 0 to 65535", ""},
		"no folder of keys":            {map[string]string{"JWT_KEYS": "nowhere"}, "JWT_KEYS: nowhere does not exist: create the first key with \"cubegate keys new --in 0s\"", ""},
		"no database":                  {map[string]string{"DATA_DIR": t.TempDir()}, "cubegate.db: DATA_DIR has no database; start the server once, or set DATA_DIR", "users"},
		"no database to check":         {map[string]string{"DATA_DIR": t.TempDir()}, "cubegate.db: DATA_DIR has no database; start the server once, or set DATA_DIR", "check"},
		"no server to ask":             {map[string]string{"PORT": port, "HOST": "127.0.0.2"}, "no server answers at http://127.0.0.2:" + port + "/healthz; start it, or give this command its HOST, PORT and --tls: ", "health"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := servertest.Merge(servertest.QuickSettings, map[string]string{"DATA_DIR": t.TempDir(), "LOG_LEVEL": "error"})
			got := servertest.Run(t.Context(), servertest.Merge(settings, tt.settings), strings.Fields(tt.args)...)
			if got.Code != 1 || got.Stdout != "" || strings.Count(got.Stderr, "\n") != 1 || !strings.HasPrefix(got.Stderr, "cubegate: ") || !strings.Contains(got.Stderr, tt.want) {
				t.Errorf("%+v, want %q", got, tt.want)
			}
		})
	}
}

// The start prints what runs, where, and what to do next.
func TestStartTellsWhatRuns(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	db := servertest.StartDatabase(t)
	for name, tt := range map[string]struct {
		settings map[string]string
		want     []string
	}{
		"both stand-ins": {nil, []string{" Dashboard (sandbox) http://127.0.0.1:", " Version development build", " Database embedded, in ", "; set MONGO_URI to use MongoDB. ", " ConnectyCube sandbox at http://", "; set APP_ID and AUTH_KEY to use ConnectyCube. ", " Application 1001, key sandbox-auth-key ", " Next open http://127.0.0.1:", " in a browser: make a first user, and find all pages. "}},
		"ConnectyCube":   {u.Settings(), []string{" Database embedded", " ConnectyCube application 4242 at " + u.URL + ", chat at wss://chat.connectycube.com:5291 ", " Next run \"cubegate doctor\""}},
		"MongoDB":        {servertest.Merge(u.Settings(), map[string]string{"MONGO_URI": db.URI(), "MONGO_DATABASE": "app"}), []string{" Database MongoDB at 127.0.0.1:", ", database app "}},
		"the network":    {map[string]string{"HOST": "0.0.0.0", "SANDBOX_HOST": "0.0.0.0"}, []string{" Network Other machines reach the server and the sandbox. ", " GraphQL and playground http://localhost:"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			banner := servertest.Spawn(t, tt.settings).WaitReady(t).Stdout.String()
			for _, text := range tt.want {
				if !strings.Contains(inOneLine(banner), text) {
					t.Errorf("the banner lacks %q:\n%s", text, banner)
				}
			}
			fitsTerminal(t, banner)
		})
	}
}

// inOneLine returns text with a blank for each run of blanks and line ends.
func inOneLine(text string) string { return strings.Join(strings.Fields(text), " ") + " " }

// fitsTerminal checks that a terminal of 80 columns breaks no line, except for a long URL,
// path or fingerprint.
func fitsTerminal(t *testing.T, banner string) {
	t.Helper()
	for line := range strings.Lines(banner) {
		isLong := func(word string) bool { return len(word) > 40 }
		if line = strings.TrimSuffix(line, "\n"); len(line) > 80 && !slices.ContainsFunc(strings.Fields(line), isLong) {
			t.Errorf("a terminal of 80 columns breaks %q", line)
		}
	}
}
