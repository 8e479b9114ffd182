package lifecycle

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"cubegate/server/servertest"

	"github.com/coder/websocket"
)

// trustingClient returns a client that trusts the authority of a banner, as a phone does.
// It finds every host on this machine, as an emulator or a router would.
func trustingClient(t *testing.T, banner string) *http.Client {
	t.Helper()
	found := regexp.MustCompile(`clients must trust (\S+) once`).FindStringSubmatch(inOneLine(banner))
	if found == nil {
		t.Fatalf("the banner names no authority:\n%s", banner)
	}
	certificate, err := os.ReadFile(found[1])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DialContext: dial}}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// postOver posts JSON and returns the decoded answer.
func postOver(t *testing.T, client *http.Client, url string, body any) map[string]any {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Post(url, "application/json", strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil || response.StatusCode >= 300 {
		t.Fatalf("%s: %d %s %v", url, response.StatusCode, text, err)
	}
	return out
}

// With --tls one authority certifies the server and its sandbox, at each host that a phone
// or an emulator uses. The two reach each other: a login by token needs both ways.
func TestServerAndSandboxOverTLS(t *testing.T) {
	p := servertest.Spawn(t, map[string]string{"HOST": ""}, "--tls").WaitReady(t)
	client := trustingClient(t, p.Stdout.String())
	_, api, _ := net.SplitHostPort(strings.TrimPrefix(p.URL, "https://"))
	_, box, _ := net.SplitHostPort(strings.TrimPrefix(p.SandboxURL, "https://"))
	person := servertest.NewUser("ada@example.org")
	for _, host := range []string{"localhost", "10.0.2.2", "127.0.0.1", "[::1]"} {
		at := "https://" + host + ":" + api
		person["email"] = "ada-" + strings.Trim(host, "[]:") + "@example.org"
		if got := postOver(t, client, at+"/auth/register", person); got["chatStatus"] != "READY" {
			t.Errorf("%s: register: %v", host, got)
		}
		got := postOver(t, client, at+"/auth/login-by-token", servertest.Credentials(person["email"]))
		chat, _ := got["chat"].(map[string]any)
		if got["chatStatus"] != "READY" || chat["endpoint"] != "https://"+host+":"+box || chat["wsEndpoint"] != "wss://"+host+":"+box+"/chat" {
			t.Errorf("%s: login by token: %v", host, got)
			continue
		}
		conn, _, err := websocket.Dial(t.Context(), chat["wsEndpoint"].(string), &websocket.DialOptions{HTTPClient: client, Subprotocols: []string{"xmpp"}})
		if err != nil {
			t.Errorf("%s: the chat: %v", host, err)
			continue
		}
		_ = conn.CloseNow()
	}
	if _, err := http.Get(p.URL + "/healthz"); err == nil {
		t.Error("a client without the authority trusts the certificate")
	}
}

// The certificate has the name in SANDBOX_PUBLIC_URL. The authority may not certify another
// name, so the first start with a new name makes another authority, and tells so.
func TestTLSAtThePublicName(t *testing.T) {
	p := servertest.Spawn(t, map[string]string{"HOST": "", "SANDBOX_PUBLIC_URL": "https://Box.example.org:8443"}, "--tls").WaitReady(t)
	banner := p.Stdout.String()
	if !strings.Contains(banner, "also at https://Box.example.org:8443\n") {
		t.Errorf("banner:\n%s", banner)
	}
	client := trustingClient(t, banner)
	_, box, _ := net.SplitHostPort(strings.TrimPrefix(p.SandboxURL, "https://"))
	response, err := client.Get("https://box.example.org:" + box + "/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("the sandbox at its public name: %s", response.Status)
	}
	if _, err := client.Get("https://other.example.org:" + box + "/"); err == nil {
		t.Error("the certificate has a name that no setting gives")
	}
}

// `cubegate health --tls` asks a server that runs with --tls, and fails without the flag.
func TestHealthOverTLS(t *testing.T) {
	p := servertest.Spawn(t, map[string]string{"HOST": ""}, "--tls").WaitReady(t)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(p.URL, "https://"))
	ask := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), p.Cmd.Path, args...)
		cmd.Dir, cmd.Env = p.Cmd.Dir, append(append([]string{}, p.Cmd.Env...), "PORT="+port)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	servertest.Eventually(t, "the server is healthy", func() bool { // a busy machine may miss the command's deadline
		_, err := ask("health", "--tls")
		return err == nil
	})
	if out, err := ask("health"); err == nil {
		t.Errorf("health without --tls: %s", out)
	}
}
