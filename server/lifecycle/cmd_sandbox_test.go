package lifecycle

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"cubegate/connectycube/sandbox"
	"cubegate/server"
	"cubegate/server/servertest"
)

// startSandbox runs `cubegate sandbox` until the test ends or stop is called, and
// returns what it has printed once it is ready.
func startSandbox(t *testing.T, env map[string]string, args ...string) (banner string, stop func()) {
	t.Helper()
	t.Chdir(t.TempDir()) // the command reads .env here
	settings := servertest.Merge(map[string]string{"SANDBOX_PORT": "0", "DATA_DIR": t.TempDir()}, env)
	ctx, cancel := context.WithCancel(context.Background())
	stdout, stderr := &servertest.LogBuffer{}, &servertest.LogBuffer{}
	ended := make(chan int, 1)
	go func() {
		ended <- server.Main(ctx, servertest.ConfigYAML, append([]string{"sandbox"}, args...), servertest.Getenv(settings), stdout, stderr)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case code := <-ended:
			if code != 0 {
				t.Errorf("the sandbox ended with %d: %s", code, stderr)
			}
		case <-time.After(30 * time.Second):
			t.Error("the sandbox did not end")
		}
	})
	t.Cleanup(stop)
	servertest.Eventually(t, "the sandbox prints its banner", func() bool {
		if len(ended) > 0 {
			t.Fatalf("the sandbox ended: %s", stderr)
		}
		return strings.Contains(stdout.String(), "Stop with")
	})
	return stdout.String(), stop
}

// inBanner returns the first group of a pattern that the banner must match.
func inBanner(t *testing.T, banner, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(banner)
	if found == nil {
		t.Fatalf("the banner does not show %s:\n%s", pattern, banner)
	}
	return found[1]
}

const newSession = `{"application_id":1001,"auth_key":"sandbox-auth-key","user":{"login":"ada","password":"correct horse"}}`

func TestSandboxAloneKeepsItsStateWhenAsked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data", "state.json") // of a folder that the sandbox makes
	banner, stop := startSandbox(t, nil, "--data", file)
	url := inBanner(t, banner, `REST API +(http://127\.0\.0\.1:\d+)`)
	for _, part := range []string{
		"api_url: '" + url + "'", "chat: 'chat.connectycube.com'", "chat_url: '" + strings.Replace(url, "http", "ws", 1) + "/chat'",
		"React Native", "setEndpoints('" + url, `Settings.apiEndpoint = "` + url, "ServiceZone.PRODUCTION", "untried", url + "/_sandbox/",
	} {
		if !strings.Contains(banner, part) {
			t.Errorf("the banner does not show %s:\n%s", part, banner)
		}
	}
	fitsTerminal(t, banner)
	first, err := servertest.Try(http.MethodPost, url+"/session", newSession)
	if err != nil || first.Status != 201 {
		t.Fatalf("session: %d %s %v", first.Status, first.Body, err)
	}
	if page, err := servertest.Try(http.MethodGet, url+"/", ""); err != nil || !strings.Contains(page.Body, "<title>ConnectyCube sandbox") {
		t.Errorf("page: %d %v", page.Status, err)
	}
	if v1, err := servertest.Try(http.MethodPut, inBanner(t, inOneLine(banner), `PUT (\S+) with`), inBanner(t, inOneLine(banner), `with (\{.+?\}) switches`)); err != nil || !strings.Contains(v1.Body, `"v1_users":true`) {
		t.Errorf("the first users API is not switched on: %d %s %v", v1.Status, v1.Body, err)
	}
	stop()
	banner, _ = startSandbox(t, nil, "--data", file)
	state, err := servertest.Try(http.MethodGet, inBanner(t, banner, `REST API +(http:\S+)`)+"/_sandbox/state", "")
	if err != nil || !strings.Contains(state.Body, `"login":"ada"`) || !strings.Contains(state.Body, `"sessions":1`) {
		t.Errorf("state after a restart: %s %v", state.Body, err)
	}
}

func TestSandboxAloneOverTLS(t *testing.T) {
	data := t.TempDir()
	banner, stop := startSandbox(t, map[string]string{"DATA_DIR": data, "SANDBOX_HOST": "0.0.0.0", "SANDBOX_CONTROL_TOKEN": "a-token"}, "--tls")
	url := inBanner(t, banner, `REST API +(https://localhost:\d+)`)
	file := inBanner(t, banner, `NODE_EXTRA_CA_CERTS=(\S+)`)
	if !filepath.IsAbs(file) || !strings.Contains(banner, "chat_url: 'wss://localhost:") || !strings.Contains(banner, "made just now") || strings.Contains(banner, "a-token") {
		t.Errorf("banner:\n%s", banner)
	}
	fitsTerminal(t, banner)
	certificate, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	answer, err := client.Get(url + "/_sandbox/ca.pem")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 200 || answer.ContentLength != int64(len(certificate)) || answer.ProtoMajor != 1 {
		t.Errorf("the certificate: %s, %d bytes", answer.Status, answer.ContentLength)
	}
	if _, err := http.Get(url); err == nil {
		t.Error("a client without the authority trusts the certificate")
	}
	stop()
	banner, _ = startSandbox(t, map[string]string{"DATA_DIR": data}, "--tls")
	if again, err := os.ReadFile(inBanner(t, banner, `NODE_EXTRA_CA_CERTS=(\S+)`)); err != nil || string(again) != string(certificate) || strings.Contains(banner, "made just now") {
		t.Errorf("another authority after a restart: %v", err)
	}
}

func TestSandboxAloneAsksTheConfiguredBackend(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ Token string }
		_ = json.NewDecoder(r.Body).Decode(&asked)
		if r.Header.Get(servertest.CallbackHeader[0]) != servertest.CallbackHeader[1] {
			w.WriteHeader(http.StatusForbidden)
		}
		fmt.Fprintf(w, `{"user":{"id":"id-of-%s"}}`, asked.Token)
	}))
	defer backend.Close()
	banner, _ := startSandbox(t, servertest.Merge(servertest.CallbackSettings, map[string]string{"SANDBOX_CIDP_URL": backend.URL + "/verify"}))
	session, err := servertest.Try(http.MethodPost, inBanner(t, banner, `REST API +(http:\S+)`)+"/session", newSession)
	if err != nil || !strings.Contains(session.Body, `"external_id":"id-of-ada"`) {
		t.Errorf("session: %s %v", session.Body, err)
	}
}

func TestCommandsRefuseUnknownArguments(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{{"sandbox", "now"}, {"sandbox", "--tsl"}, {"sandbox", "--data"}, {"health", "--tsl"}, {"serve", "x"}, {"--tsl"}, {"nonsense"}} {
		if got := servertest.Run(t.Context(), nil, args...); got.Code != 2 || !strings.Contains(got.Stderr, "--help") || got.Stdout != "" {
			t.Errorf("%v: %+v", args, got)
		}
	}
	if got := servertest.Run(t.Context(), nil, "sandbox", "--help"); got.Code != 0 || !strings.Contains(got.Stdout, "sandbox [--lan] [--tls] [--data FILE]") {
		t.Errorf("help: %+v", got)
	}
}

func TestSandboxBesideTheServerOutlivesIt(t *testing.T) {
	cfg := servertest.Configure(t, nil)
	r, stop := servertest.StartUntil(t, cfg)
	r.Register(t, "ada@example.org")
	before := r.Login(t, servertest.LoginDocument, "ada@example.org")
	stop()
	r, stop = servertest.StartUntil(t, cfg)
	defer stop()
	after := r.Login(t, servertest.LoginDocument, "ada@example.org")
	if before.CcUserID == nil || after.CcUserID == nil || *after.CcUserID != *before.CcUserID {
		t.Errorf("the ConnectyCube ID was %v and is %v", before.CcUserID, after.CcUserID)
	}
	if n := len(r.CubeUsers(t, "ada@example.org")); n != 1 {
		t.Errorf("%d users at the sandbox, want 1", n)
	}
}

// A web page whose host name resolves to this machine (DNS rebinding) reaches nothing
// of the sandbox, including the administration API. The names in the settings work.
func TestSandboxAnswersOnlyToItsNames(t *testing.T) {
	banner, _ := startSandbox(t, map[string]string{"SANDBOX_NAMES": "sandbox.example", "CONNECTYCUBE_CHAT_URL": "wss://chat.example/chat"})
	at := inBanner(t, banner, `REST API +(http://127\.0\.0\.1:\d+)`)
	for host, want := range map[string]int{
		"sandbox.example": 200, "chat.example": 200, "localhost": 200, strings.TrimPrefix(at, "http://"): 200, "evil.example": 403,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at+"/admin/chat/list", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		r.Header.Set("CB-Administration-API-Key", sandbox.DefaultAdminKey)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("Host %s: %s, want %d", host, answer.Status, want)
		}
	}
}
