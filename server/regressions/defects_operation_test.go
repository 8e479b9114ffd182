package regressions

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cubegate/server"
	"cubegate/server/config"
	"cubegate/server/servertest"
)

// 34. The README named MONGO_URI, but the code read MONGODB_URL. With the documented
// settings, the original tried an undefined address nine times and gave up after 27 s.
func TestDefect34DocumentedSettingsWork(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	for _, name := range []string{"MONGO_URI", "MONGODB_URL"} {
		db := servertest.StartDatabase(t)
		p := servertest.Spawn(t, servertest.Merge(u.Settings(), map[string]string{name: db.URI()})).WaitReady(t)
		p.SandboxURL = u.URL
		u.SetCallback(t, p.URL)
		p.Register(t, strings.ToLower(name)+"@example.org")
		p.RequireOneIdentity(t, strings.ToLower(name)+"@example.org")
		if made := listFolder(t, p.Cmd.Dir); len(made) != 0 {
			t.Errorf("%s: the server wrote %v beside the database of that setting", name, made)
		}
	}
	known := map[string]bool{"DOMAIN": true} // only compose.yaml reads it
	for _, s := range config.Settings(servertest.ConfigYAML) {
		known[s.Env] = true
	}
	documented := 0
	for line := range strings.Lines(readFile(t, filepath.Join(servertest.ModuleRoot, ".env.example"))) {
		name, _, is := strings.Cut(strings.TrimPrefix(line, "#"), "=")
		if is && !strings.Contains(name, " ") {
			documented++
			if !known[name] {
				t.Errorf(".env.example has %s, which is no setting", name)
			}
		}
	}
	if documented < 4 {
		t.Errorf(".env.example documents %d settings", documented)
	}
}

// databaseSettings returns settings for a database at uri.
func databaseSettings(uri string) map[string]string {
	return map[string]string{"MONGO_URI": uri, "MONGO_TIMEOUT": "2s", "JWT_SECRET": servertest.JWTSecret}
}

// 35. With the database down at the start, the original did not listen, logged little,
// and gave up after 70 s. Our server waits for half a minute, logs the reason, and
// starts once the database replies. A signal ends the wait. The end of the wait is
// tested in package store.
func TestDefect35DatabaseMayStartLate(t *testing.T) {
	t.Parallel()
	for name, state := range map[string]int32{"refusing": servertest.Cut, "silent": servertest.Mute} {
		t.Run(name, func(t *testing.T) {
			relay := servertest.NewRelay(t, servertest.StartDatabase(t).Addr())
			relay.Set(state)
			p := servertest.Spawn(t, databaseSettings(relay.URI()))
			servertest.Eventually(t, "the server logs what it waits for", func() bool {
				return strings.Contains(p.Log.String(), "database does not answer yet")
			})
			relay.Set(servertest.Relaying)
			registers(t, &p.WaitReady(t).Server, "ada@example.org")
		})
	}
	t.Run("told to stop while waiting", func(t *testing.T) {
		relay := servertest.NewRelay(t, servertest.StartDatabase(t).Addr())
		relay.Set(servertest.Cut)
		p := servertest.Spawn(t, databaseSettings(relay.URI()))
		servertest.Eventually(t, "the server waits", func() bool { return strings.Contains(p.Log.String(), "does not answer yet") })
		p.Signal(t, syscall.SIGTERM)
		if code := p.ExitCode(t); code != 0 {
			t.Errorf("exit %d: %s", code, p.Log)
		}
	})
}

// requireOutage checks the replies while the database is down: requests that need no
// database succeed, and the others get a code.
func requireOutage(t *testing.T, r *servertest.Server, token, newcomer string) {
	t.Helper()
	if got := r.GraphQL(t, "{hello}", nil); got.Data.Hello == "" {
		t.Errorf("hello: %s", got.Body)
	}
	for path, status := range map[string]int{
		"/healthz": 200, "/readyz": 503, server.VerifyPath + "?token=x": 401, server.VerifyPath + "?token=" + token: 503,
	} {
		if got := r.Request(t, http.MethodGet, path, ""); got.Status != status {
			t.Errorf("%.30s: %d %s, want %d", path, got.Status, got.Body, status)
		}
	}
	for _, document := range []string{servertest.LoginDocument, servertest.ByTokenDocument} {
		if got := r.GraphQL(t, document, servertest.Credentials("ada@example.org")); got.Code() != "SERVICE_UNAVAILABLE" {
			t.Errorf("login: %s", got.Body)
		}
	}
	if got := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser(newcomer)); got.Code() != "SERVICE_UNAVAILABLE" {
		t.Errorf("register: %s", got.Body)
	}
}

// registersAndLogsIn returns the access token of a new user, where a busy machine may miss
// the timeout of the database.
func registersAndLogsIn(t *testing.T, r *servertest.Server, email string) (token string) {
	t.Helper()
	registers(t, r, email)
	return succeeds(t, r, servertest.LoginDocument, servertest.Credentials(email)).Data.Answer.Token
}

// requireRecovery checks that the server recovers without a restart.
func requireRecovery(t *testing.T, r *servertest.Server, newcomer string) {
	t.Helper()
	succeeds(t, r, servertest.LoginDocument, servertest.Credentials("ada@example.org"))
	servertest.Eventually(t, "the server is ready", func() bool { return r.Request(t, http.MethodGet, "/readyz", "").Status == 200 })
	succeeds(t, r, servertest.RegisterDocument, servertest.NewUser(newcomer))
}

// 36. With the database down, a login failed after 5 s and a registration after 10 s,
// with "Internal server error", and no route told a load balancer.
func TestDefect36DatabaseMayFailAndRecover(t *testing.T) {
	t.Parallel()
	relay := servertest.NewRelay(t, servertest.StartDatabase(t).Addr())
	r := servertest.Start(t, databaseSettings(relay.URI()))
	token := registersAndLogsIn(t, r, "ada@example.org")
	for _, newcomer := range []string{"bob@example.org", "eve@example.org"} {
		relay.Set(servertest.Cut)
		requireOutage(t, r, token, newcomer)
		relay.Set(servertest.Relaying)
		requireRecovery(t, r, newcomer)
	}
}

// 37. With a database that hangs with open sockets, a login waited 45 s. The bound
// of this test lies between that and the time that the settings allow.
func TestDefect37SilentDatabaseIsAnErrorInTime(t *testing.T) {
	t.Parallel()
	relay := servertest.NewRelay(t, servertest.StartDatabase(t).Addr())
	r := servertest.Start(t, databaseSettings(relay.URI()))
	token := registersAndLogsIn(t, r, "ada@example.org")
	relay.Set(servertest.Mute)
	answered := r.StartRequest(http.MethodPost, "/api", servertest.RequestBody(t, servertest.LoginDocument, servertest.Credentials("ada@example.org")))
	select {
	case got := <-answered:
		if servertest.CodeOf(got.Body) != "SERVICE_UNAVAILABLE" {
			t.Errorf("%s, %v", got.Body, got.Err)
		}
	case <-time.After(30 * time.Second):
		t.Error("no reply within 30 s")
	}
	requireOutage(t, r, token, "bob@example.org")
	relay.Set(servertest.Relaying)
	requireRecovery(t, r, "bob@example.org")
}

// 38. On SIGTERM and SIGINT, the original ended within 25 ms and reset the running
// requests. It had no route for its health.
func TestDefect38SignalsLetRequestsFinish(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			p := servertest.Spawn(t, nil).WaitReady(t)
			for _, path := range []string{"/healthz", "/readyz"} {
				if got := p.Request(t, http.MethodGet, path, ""); got.Status != 200 {
					t.Errorf("%s: %d %s", path, got.Status, got.Body)
				}
			}
			p.InjectFault(t, `{"method":"POST","path":"/users","kind":"slow","delay_ms":1500,"times":1}`)
			running := p.StartRequest(http.MethodPost, "/api", servertest.RequestBody(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org")))
			servertest.WaitFaultsSpent(t, &p.Server)
			p.Signal(t, signal)
			if got := <-running; !strings.Contains(got.Body, "user register successfully") {
				t.Errorf("%s, %v", got.Body, got.Err)
			}
			if code := p.ExitCode(t); code != 0 {
				t.Errorf("exit %d: %s", code, p.Log)
			}
			if got, err := servertest.Try(http.MethodGet, p.ResolveURL("/healthz"), ""); err == nil {
				t.Errorf("after the end: %d", got.Status)
			}
		})
	}
}

// 39. With PORT=abc, the original "successfully started" on a UNIX socket of that name
// in the working directory.
func TestDefect39PortMustBeAPort(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, port := range []string{"abc", "-1", "65536", "3000abc", "3000.5", "0x50", "/tmp/socket", strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)} {
		p := servertest.Spawn(t, map[string]string{"PORT": port})
		if code := p.ExitCode(t); code != 1 || !strings.Contains(p.Log.String(), "PORT") || strings.Contains(p.Stdout.String(), "ready") {
			t.Errorf("%s: exit %d: %s%s", port, code, p.Stdout, p.Log)
		}
		for _, left := range listFolder(t, p.Cmd.Dir) {
			if left != "data" {
				t.Errorf("%s: left %s in the working directory", port, left)
			}
		}
	}
}

// listFolder returns the names of the files in a folder.
func listFolder(t *testing.T, path string) []string {
	t.Helper()
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// 40. At each start, the original wrote schema.api.gql into the working directory, and
// did not start if it could not, as in a container.
func TestDefect40WorkingDirectoryIsLeftAlone(t *testing.T) {
	t.Parallel()
	p := servertest.Spawn(t, map[string]string{"DATA_DIR": t.TempDir()})
	if err := os.Chmod(p.Cmd.Dir, 0o500); err != nil {
		t.Fatal(err)
	}
	p.WaitReady(t).Register(t, "ada@example.org")
	p.Signal(t, syscall.SIGTERM)
	if code := p.ExitCode(t); code != 0 {
		t.Errorf("exit %d: %s", code, p.Log)
	}
	if left := listFolder(t, p.Cmd.Dir); len(left) != 0 {
		t.Errorf("left in the working directory: %v", left)
	}
}

// 41. Without APP_ID and AUTH_KEY, the original started, and all registrations failed.
// Our server starts a sandbox and says so. With only one of the settings it does not
// start.
func TestDefect41MissingConnectyCubeSettingsSelectTheSandbox(t *testing.T) {
	t.Parallel()
	p := servertest.Spawn(t, nil).WaitReady(t)
	if banner := strings.Join(strings.Fields(p.Stdout.String()), " "); !strings.Contains(banner, "sandbox at "+p.SandboxURL) || !strings.Contains(banner, "set APP_ID and AUTH_KEY") {
		t.Errorf("the banner does not name the sandbox: %s", banner)
	}
	p.Register(t, "ada@example.org")
	p.RequireOneIdentity(t, "ada@example.org")
	for _, half := range []map[string]string{{"APP_ID": "1001"}, {"AUTH_KEY": "Some-Key-5521"}, {"APP_ID": "one", "AUTH_KEY": "Some-Key-5521"}} {
		got := runToEnd(t, servertest.Merge(half, map[string]string{"JWT_SECRET": servertest.JWTSecret}))
		if got.Code != 1 || !strings.Contains(got.Stderr, "APP_ID") || strings.Contains(got.Stdout+got.Stderr, "Some-Key") {
			t.Errorf("%v: %+v", half, got)
		}
	}
}
