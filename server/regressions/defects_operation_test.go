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

// 34. The README named MONGO_URI and the code read MONGODB_URL. With the
// settings as documented the original tried an undefined address nine times and
// gave up after 27 s.
func TestFault34DocumentedSettingsWork(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	for _, name := range []string{"MONGO_URI", "MONGODB_URL"} {
		db := servertest.StartDatabase(t)
		p := servertest.Spawn(t, servertest.Merge(u.Settings(), map[string]string{name: db.URI()})).WaitReady(t)
		p.SandboxURL = u.URL
		u.SetCallback(t, p.URL)
		p.Register(t, strings.ToLower(name)+"@example.org")
		p.RequireOneIdentity(t, strings.ToLower(name)+"@example.org")
		if made := inFolder(t, p.Cmd.Dir); len(made) != 0 {
			t.Errorf("%s: the data went to %v here, not to the database that it names", name, made)
		}
	}
	known := map[string]bool{"DOMAIN": true} // compose.yaml's own
	for _, s := range config.Settings(servertest.ConfigYAML) {
		known[s.Env] = true
	}
	documented := 0
	for line := range strings.Lines(readFile(t, filepath.Join(servertest.ModuleRoot, ".env.example"))) {
		name, _, is := strings.Cut(strings.TrimPrefix(line, "#"), "=")
		if is && !strings.Contains(name, " ") {
			documented++
			if !known[name] {
				t.Errorf(".env.example has %s, which nothing reads", name)
			}
		}
	}
	if documented < 4 {
		t.Errorf(".env.example documents %d settings", documented)
	}
}

// realDatabase are settings for a program whose database is at uri.
func realDatabase(uri string) map[string]string {
	return map[string]string{"MONGO_URI": uri, "MONGO_TIMEOUT": "1s", "JWT_SECRET": servertest.JWTSecret}
}

// 35. With the database down at its start the original did not listen, said
// little, and gave up after 70 s. Here it waits for half a minute, says why, and
// starts when the database comes; that it gives up is a test of package store.
// A signal ends the wait.
func TestFault35DatabaseMayComeLate(t *testing.T) {
	t.Parallel()
	for name, state := range map[string]int32{"refusing": servertest.Cut, "silent": servertest.Mute} {
		t.Run(name, func(t *testing.T) {
			between := servertest.NewRelay(t, servertest.StartDatabase(t).Addr())
			between.Set(state)
			p := servertest.Spawn(t, realDatabase(between.URI()))
			servertest.Eventually(t, "it says what it waits for", func() bool {
				return strings.Contains(p.Log.String(), "database does not answer yet")
			})
			between.Set(servertest.Relaying)
			p.WaitReady(t).Register(t, "ada@example.org")
		})
	}
	t.Run("told to stop while waiting", func(t *testing.T) {
		between := servertest.NewRelay(t, servertest.StartDatabase(t).Addr())
		between.Set(servertest.Cut)
		p := servertest.Spawn(t, realDatabase(between.URI()))
		servertest.Eventually(t, "it waits", func() bool { return strings.Contains(p.Log.String(), "does not answer yet") })
		p.Signal(t, syscall.SIGTERM)
		if code := p.ExitCode(t); code != 0 {
			t.Errorf("exit %d: %s", code, p.Log)
		}
	})
}

// without checks how the program answers while its database does not: at once
// where none is needed, and with a code where one is.
func without(t *testing.T, r *servertest.Server, token, newcomer string) {
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

// recovers checks that the program comes back by itself.
func recovers(t *testing.T, r *servertest.Server, newcomer string) {
	t.Helper()
	servertest.Eventually(t, "a login succeeds", func() bool {
		return r.GraphQL(t, servertest.LoginDocument, servertest.Credentials("ada@example.org")).Code() == ""
	})
	if got := r.Request(t, http.MethodGet, "/readyz", ""); got.Status != 200 {
		t.Errorf("/readyz: %d %s", got.Status, got.Body)
	}
	servertest.Eventually(t, "who could not register can", func() bool {
		return r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser(newcomer)).Code() == ""
	})
}

// 36. With the database gone a login failed after 5 s and a registration after
// 10, as «Internal server error», and nothing told a balancer.
func TestFault36DatabaseMayGoAndComeBack(t *testing.T) {
	t.Parallel()
	between := servertest.NewRelay(t, servertest.StartDatabase(t).Addr())
	r := servertest.Start(t, realDatabase(between.URI()))
	r.Register(t, "ada@example.org")
	token := r.Login(t, servertest.LoginDocument, "ada@example.org").Token
	for _, newcomer := range []string{"bob@example.org", "eve@example.org"} {
		between.Set(servertest.Cut)
		without(t, r, token, newcomer)
		between.Set(servertest.Relaying)
		recovers(t, r, newcomer)
	}
}

// 37. With the database stopped but its sockets open a login waited 45 s. The
// bound here is a sign of life: many times what the settings allow, and less
// than that.
func TestFault37SilentDatabaseIsAnErrorInTime(t *testing.T) {
	t.Parallel()
	between := servertest.NewRelay(t, servertest.StartDatabase(t).Addr())
	r := servertest.Start(t, realDatabase(between.URI()))
	r.Register(t, "ada@example.org")
	token := r.Login(t, servertest.LoginDocument, "ada@example.org").Token
	between.Set(servertest.Mute)
	answered := r.Later(http.MethodPost, "/api", servertest.RequestBody(t, servertest.LoginDocument, servertest.Credentials("ada@example.org")))
	select {
	case got := <-answered:
		if servertest.CodeOf(got.Body) != "SERVICE_UNAVAILABLE" {
			t.Errorf("%s, %v", got.Body, got.Err)
		}
	case <-time.After(30 * time.Second):
		t.Error("no answer in 30 s")
	}
	without(t, r, token, "bob@example.org")
	between.Set(servertest.Relaying)
	recovers(t, r, "bob@example.org")
}

// 38. On SIGTERM and SIGINT the original was dead within 25 ms and what was
// running got a reset; and it had no route to ask for its health.
func TestFault38SignalsLetRequestsFinish(t *testing.T) {
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
			running := p.Later(http.MethodPost, "/api", servertest.RequestBody(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org")))
			servertest.Eventually(t, "the registration is under way", func() bool {
				return !strings.Contains(p.Request(t, http.MethodGet, p.SandboxURL+"/_sandbox/faults", "").Body, `"slow"`)
			})
			p.Signal(t, signal)
			if got := <-running; !strings.Contains(got.Body, "user register successfully") {
				t.Errorf("%s, %v", got.Body, got.Err)
			}
			if code := p.ExitCode(t); code != 0 {
				t.Errorf("exit %d: %s", code, p.Log)
			}
			if got, err := servertest.Try(http.MethodGet, p.At("/healthz"), ""); err == nil {
				t.Errorf("after the end: %d", got.Status)
			}
		})
	}
}

// 39. PORT=abc was «successfully started», on a UNIX socket of that name in the
// working directory.
func TestFault39PortMustBeAPort(t *testing.T) {
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
		for _, left := range inFolder(t, p.Cmd.Dir) {
			if left != "data" {
				t.Errorf("%s: left %s in the working directory", port, left)
			}
		}
	}
}

func inFolder(t *testing.T, path string) []string {
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

// 40. At each start schema.api.gql was written into the working directory, and
// where that could not be done, as in a container, there was no start.
func TestFault40WorkingDirectoryIsLeftAlone(t *testing.T) {
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
	if left := inFolder(t, p.Cmd.Dir); len(left) != 0 {
		t.Errorf("left in the working directory: %v", left)
	}
}

// 41. Without APP_ID and AUTH_KEY the original started, and every registration
// failed. Here a sandbox stands in and says so; half of the settings is a
// refusal to start.
func TestFault41MissingConnectyCubeSettingsAreNoTrap(t *testing.T) {
	t.Parallel()
	p := servertest.Spawn(t, nil).WaitReady(t)
	if said := p.Stdout.String(); !strings.Contains(said, "sandbox at "+p.SandboxURL) || !strings.Contains(said, "set APP_ID and AUTH_KEY") {
		t.Errorf("the banner does not tell of the sandbox: %s", said)
	}
	p.Register(t, "ada@example.org")
	p.RequireOneIdentity(t, "ada@example.org")
	for _, half := range []map[string]string{{"APP_ID": "1001"}, {"AUTH_KEY": "Some-Key-5521"}, {"APP_ID": "one", "AUTH_KEY": "Some-Key-5521"}} {
		code, said := ran(t, servertest.Merge(half, map[string]string{"JWT_SECRET": servertest.JWTSecret}))
		if code != 1 || !strings.Contains(said, "APP_ID") || strings.Contains(said, "Some-Key") {
			t.Errorf("%v: exit %d: %s", half, code, said)
		}
	}
}
