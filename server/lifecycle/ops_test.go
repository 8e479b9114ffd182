package lifecycle

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cubegate/server"
	"cubegate/server/servertest"
)

// The operators' listener serves its own routes and none of the API, and the API's listener
// none of the operators', because those ask for no password.
func TestOperatorsListenerIsApart(t *testing.T) {
	r := servertest.Start(t, servertest.OpsSettings)
	for path, want := range map[string]int{
		"/metrics": 200, "/healthz": 200, "/readyz": 200, "/debug/pprof/": 200, "/debug/pprof/cmdline": 200, "/debug/pprof/goroutine?debug=1": 200,
		"/debug/pprof/heap": 200, "/debug/pprof/symbol": 200, "/debug/pprof/profile?seconds=61": 400, "/debug/pprof/trace?seconds=NaN": 400, "/debug/pprof/heap?seconds=1e9": 400,
		"/": 404, "/api": 404, "/docs": 404, "/openapi.json": 404, "/auth/me": 404, server.VerifyPath: 404, "/.well-known/jwks.json": 404, "/debug": 404, "/debug/vars": 404,
	} {
		if got := r.Request(t, http.MethodGet, r.OpsURL+path, ""); got.Status != want {
			t.Errorf("GET %s at OPS_ADDR = %d, want %d", path, got.Status, want)
		}
	}
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/goroutine", "/debug/pprof/cmdline", "/debug"} {
		if got := r.Request(t, http.MethodGet, path, ""); got.Status != http.StatusNotFound {
			t.Errorf("GET %s at PORT = %d, want 404", path, got.Status)
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodDelete, http.MethodPut} {
		if got := r.Request(t, method, r.OpsURL+"/metrics", ""); got.Status != http.StatusMethodNotAllowed {
			t.Errorf("%s /metrics = %d, want 405", method, got.Status)
		}
	}
	if got := r.Request(t, http.MethodPost, r.OpsURL+"/api", `{"query":"{hello}"}`); got.Status != http.StatusNotFound {
		t.Errorf("POST /api at OPS_ADDR = %d, want 404", got.Status)
	}
}

// By default there is no third port.
func TestNoOperatorsListenerUnlessAsked(t *testing.T) {
	if r := servertest.Start(t, nil); r.OpsListener != nil {
		t.Errorf("a listener at %v", r.OpsListener.Addr())
	}
}

// Readiness there is that of the API.
func TestReadinessAtOperatorsListener(t *testing.T) {
	t.Parallel()
	db := servertest.StartDatabase(t)
	relay := servertest.NewRelay(t, db.Addr())
	r := servertest.Start(t, servertest.Merge(servertest.OpsSettings, map[string]string{"MONGO_URI": relay.URI(), "JWT_SECRET": servertest.JWTSecret, "MONGO_TIMEOUT": "2s"}))
	servertest.Eventually(t, "the server is ready", func() bool { // a busy machine may miss the timeout
		return r.Request(t, http.MethodGet, r.OpsURL+"/readyz", "").Status == http.StatusOK
	})
	relay.Set(servertest.Cut)
	if got := r.Request(t, http.MethodGet, r.OpsURL+"/readyz", ""); got.Status != http.StatusServiceUnavailable {
		t.Errorf("without a database ready = %d %s", got.Status, got.Body)
	}
	if got := r.Request(t, http.MethodGet, r.OpsURL+"/healthz", ""); got.Status != http.StatusOK {
		t.Errorf("without a database alive = %d %s", got.Status, got.Body)
	}
	m := r.Scrape(t) // within its deadline
	if m.Series["cubegate_database_up"] != 0 {
		t.Errorf("without a database:\n%s", m.Text)
	}
}

// The error of a start names the setting and the cause.
func TestOperatorsAddressInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for at, want := range map[string]string{
		taken.Addr().String(): "OPS_ADDR: listen tcp " + taken.Addr().String() + ": bind: address already in use",
		"192.0.2.7:9090":      "OPS_ADDR: listen tcp 192.0.2.7:9090: bind: cannot assign requested address",
	} {
		cfg := servertest.Configure(t, map[string]string{"OPS_ADDR": at})
		s, err := server.Open(t.Context(), cfg, server.NewLogger(cfg, &servertest.LogBuffer{}))
		if err == nil || err.Error() != want {
			t.Errorf("OPS_ADDR=%s: %v, want %s", at, err, want)
		}
		if s != nil {
			_ = s.Close()
		}
	}
}

// A command opens no listener for operators: its address may belong to a server.
func TestCommandsOpenNoOperatorsListener(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	folder := map[string]string{"DATA_DIR": t.TempDir()}
	_, stop := servertest.StartUntil(t, servertest.Configure(t, folder))
	stop() // the folder has a database
	for _, command := range []string{"passwords", "export"} {
		if _, err := runCommand(t, command, servertest.Merge(folder, map[string]string{"OPS_ADDR": taken.Addr().String()})); err != nil {
			t.Errorf("%s with an OPS_ADDR in use: %v", command, err)
		}
	}
}

// The shutdown ends connections that operators keep open, and not only the port.
func TestOperatorsConnectionsEndWithTheServer(t *testing.T) {
	r, stop := servertest.StartUntil(t, servertest.Configure(t, servertest.OpsSettings))
	defer stop()
	conn, err := net.Dial("tcp", r.OpsListener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute)) // less than the idle timeout
	in := bufio.NewReader(conn)
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: ops\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, got.Body); err != nil || got.Close {
		t.Fatalf("the connection ends with its first answer: %v", err)
	}
	stop()
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("after the server's end: %v, want the end of the connection", err)
	}
	if _, err := net.Dial("tcp", r.OpsListener.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a new connection: %v, want it refused", err)
	}
}

// The banner of a process shows the address, and the listener answers while the server
// stops, so that operators see it stop.
func TestOperatorsListenerClosesLast(t *testing.T) {
	u := servertest.NewUpstream(t)
	held, free := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(free) })
	t.Cleanup(release) // a handler that waits would hold the end of a failed test
	u.Override(http.MethodPost, "/users", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		close(held)
		<-free
		next.ServeHTTP(w, r)
	})
	settings := servertest.Merge(servertest.OpsSettings, map[string]string{"SHUTDOWN_TIMEOUT": "40s"})
	p := servertest.Spawn(t, servertest.Merge(u.Settings(), settings)).WaitReady(t)
	_, rest, ok := strings.Cut(p.Stdout.String(), "  Metrics ")
	if !ok {
		t.Fatalf("the banner lacks the metrics:\n%s", p.Stdout)
	}
	ops := strings.TrimSuffix(strings.Fields(rest)[0], "/metrics")
	profile := make(chan struct{})
	go func() { // a profile that would outlast the server does not hold it
		_, _ = servertest.Try(http.MethodGet, ops+"/debug/pprof/profile?seconds=50", "")
		close(profile)
	}()
	answered := make(chan error, 1)
	body := servertest.RequestBody(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org"))
	go func() {
		_, err := servertest.Try(http.MethodPost, p.URL+"/api", body)
		answered <- err
	}()
	<-held
	p.Signal(t, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for state := ""; state != "stopping"; {
		got, err := servertest.Try(http.MethodGet, ops+"/readyz", "")
		if err != nil || ctx.Err() != nil {
			t.Fatalf("while stopping: %v, %s", err, state)
		}
		var answer struct{ Status string }
		_ = json.Unmarshal([]byte(got.Body), &answer)
		state = answer.Status
	}
	if got, err := servertest.Try(http.MethodGet, ops+"/metrics", ""); err != nil || got.Status != http.StatusOK {
		t.Errorf("a scrape while stopping: %d, %v", got.Status, err)
	}
	release()
	if err := <-answered; err != nil {
		t.Errorf("the registration: %v", err)
	}
	if code := p.ExitCode(t); code != 0 {
		t.Errorf("exit status %d: %s", code, p.Log)
	}
	<-profile
}
