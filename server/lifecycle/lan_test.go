package lifecycle

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cubegate/server/servertest"
)

// reachable reports whether other machines reach a listener.
func reachable(l net.Listener) bool { return !l.Addr().(*net.TCPAddr).IP.IsLoopback() }

// While both stand-ins run, only this machine reaches them, unless the settings say
// otherwise. A real part makes the server a service for others.
func TestListenersOfStandIns(t *testing.T) {
	real := servertest.Merge(servertest.NewUpstream(t).Settings(), map[string]string{"HOST": ""})
	for name, tt := range map[string]struct {
		settings     map[string]string
		api, sandbox bool
	}{
		"defaults":       {map[string]string{"HOST": ""}, false, false},
		"HOST":           {map[string]string{"HOST": "0.0.0.0"}, true, false},
		"SANDBOX_HOST":   {map[string]string{"HOST": "", "SANDBOX_HOST": "0.0.0.0"}, false, true},
		"the Dockerfile": {dockerfileSettings(t), true, true},
		"ConnectyCube":   {real, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := servertest.Start(t, tt.settings)
			if got := reachable(r.Listener); got != tt.api {
				t.Errorf("other machines reach the API: %t, want %t", got, tt.api)
			}
			if r.SandboxListener != nil && reachable(r.SandboxListener) != tt.sandbox {
				t.Errorf("other machines reach the sandbox: %t, want %t", !tt.sandbox, tt.sandbox)
			}
		})
	}
}

// dockerfileSettings returns the variables that the image sets, without the folder.
func dockerfileSettings(t *testing.T) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(servertest.ModuleRoot, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]string{}
	for _, line := range regexp.MustCompile(`(?m)^ENV (.*)$`).FindAllStringSubmatch(string(raw), -1) {
		for word := range strings.FieldsSeq(line[1]) {
			if name, value, ok := strings.Cut(word, "="); ok && name != "DATA_DIR" {
				set[name] = value
			}
		}
	}
	return set
}

// Pages may call the stand-ins from anywhere on this machine, and from private networks
// once those reach it. Real parts and explicit settings decide otherwise.
func TestCORSFitsTheListener(t *testing.T) {
	const public, private, phone = "https://evil.example.org", "http://192.168.1.7:5173", "capacitor://localhost"
	for name, tt := range map[string]struct {
		settings map[string]string
		want     map[string]string // the allowed origin, by the page's
	}{
		"loopback": {map[string]string{"HOST": ""}, map[string]string{public: "*", private: "*", phone: "*"}},
		"network":  {map[string]string{"HOST": "0.0.0.0"}, map[string]string{public: "", private: private, phone: phone}},
		"network, set": {map[string]string{"HOST": "0.0.0.0", "CORS_ORIGINS": public},
			map[string]string{public: public, private: "", phone: ""}},
		"ConnectyCube": {servertest.NewUpstream(t).Settings(), map[string]string{public: "", private: "", phone: ""}},
	} {
		t.Run(name, func(t *testing.T) {
			r := servertest.Start(t, tt.settings)
			at := "http://127.0.0.1:" + port(t, r.URL)
			for origin, want := range tt.want {
				got := r.Request(t, http.MethodPost, at+"/api", `{"query":"{hello}"}`, "Origin", origin).Header.Get("Access-Control-Allow-Origin")
				if got != want {
					t.Errorf("%s: the allowed origin is %q, want %q", origin, got, want)
				}
			}
		})
	}
}

func port(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

// --lan opens both listeners, whatever HOST says, and the banner and each login tell
// where other machines find them. Without it, the banner says that nothing is open.
func TestLANFlag(t *testing.T) {
	local := servertest.Spawn(t, map[string]string{"HOST": ""}).WaitReady(t)
	if banner := inOneLine(local.Stdout.String()); !strings.Contains(banner, "Nothing leaves this machine") || !strings.Contains(banner, "--lan lets phones and others in") {
		t.Errorf("the banner without --lan:\n%s", banner)
	}
	for _, args := range [][]string{{"--lan"}, {"serve", "--lan"}} {
		p := servertest.Spawn(t, nil, args...).WaitReady(t)
		banner := inOneLine(p.Stdout.String())
		if strings.Contains(banner, "Nothing leaves") || !strings.Contains(banner, "Other machines reach the server and the sandbox.") {
			t.Errorf("%v: the banner:\n%s", args, banner)
		}
		servertest.Eventually(t, "the API listens on all interfaces", func() bool {
			return strings.Contains(p.Log.String(), `"addr":"[::]:`) || strings.Contains(p.Log.String(), `"addr":"0.0.0.0:`)
		})
		network := networkAddress(t)
		if network == "" {
			continue // this machine has no address but loopback
		}
		at := "http://" + net.JoinHostPort(network, port(t, p.URL))
		raw, err := json.Marshal(servertest.NewUser("ada@example.org"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := servertest.Try(http.MethodPost, at+"/auth/register", string(raw))
		want := "http://" + net.JoinHostPort(network, port(t, p.SandboxURL))
		if err != nil || !strings.Contains(got.Body, `"endpoint":"`+want+`"`) || !strings.Contains(got.Body, `"wsEndpoint":"ws`+strings.TrimPrefix(want, "http")+`/chat"`) {
			t.Errorf("%v: the chat of a login is not at %s: %d %s %v", args, want, got.Status, got.Body, err)
		}
		if got, err := servertest.Try(http.MethodGet, want+"/", ""); err != nil || got.Status != http.StatusOK && got.Status != http.StatusForbidden {
			t.Errorf("%v: the sandbox does not answer at %s: %d %v", args, want, got.Status, err)
		}
	}
}

// networkAddress returns the address of this machine in its network, or "".
func networkAddress(t *testing.T) string {
	t.Helper()
	conn, err := net.Dial("udp", "198.51.100.1:9") // which sends nothing
	if err != nil {
		return ""
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).IP.String()
}

// The sandbox alone listens on loopback, too, and has the same flag.
func TestLANFlagOfTheSandbox(t *testing.T) {
	local, stop := startSandbox(t, nil)
	stop()
	if !strings.Contains(local, "cannot reach it: --lan and --tls let phones in") {
		t.Errorf("the banner without --lan:\n%s", local)
	}
	if open, _ := startSandbox(t, nil, "--lan"); strings.Contains(open, "cannot reach it") || !strings.Contains(open, "http://localhost:") {
		t.Errorf("the banner with --lan:\n%s", open)
	}
}

// The log of a start names a misspelled variable and one that was taken by guess, without
// values.
func TestStartTellsOfVariables(t *testing.T) {
	p := servertest.Spawn(t, map[string]string{"APPID": "Zebra7Quartz", "CONNECTYCUBE_API_ULR": "x", "CUSTOM_SETTING": "x"}).WaitReady(t)
	p.WaitLog(t)
	for _, want := range []string{`"variable":"APPID","setting":"APP_ID"`, `"variable":"CONNECTYCUBE_API_ULR","setting":"CONNECTYCUBE_API_URL"`} {
		if !strings.Contains(p.Log.String(), want) {
			t.Errorf("the log lacks %s: %s", want, p.Log)
		}
	}
	if strings.Contains(p.Log.String(), "Zebra7Quartz") || strings.Count(p.Log.String(), "misspelled") != 2 {
		t.Errorf("the log shows a value, or more than two variables: %s", p.Log)
	}
}

// A start that fails because a setting is missing names the misspelled variable, and the
// one that was taken by guess.
func TestRefusedStartTellsOfVariables(t *testing.T) {
	p := servertest.Spawn(t, map[string]string{"APPID": "7", "AUTH_KEY": "Zebra7Quartz", "MONGO_URL": "mongodb://127.0.0.1:1/Zebra7Quartz", "CUSTOM_SETTING": "x"})
	if code := p.ExitCode(t); code != 1 {
		t.Errorf("exit status %d", code)
	}
	for _, want := range []string{
		"app_id (APP_ID): is missing",
		"\nAPPID: variable ignored: it looks like a misspelled setting: APP_ID\n",
		"\nMONGO_URL: variable taken for a setting of another name: MONGO_URI\n",
	} {
		if !strings.Contains(p.Log.String(), want) {
			t.Errorf("the output lacks %q: %s", want, p.Log)
		}
	}
	if strings.Contains(p.Log.String(), "Zebra7Quartz") || strings.Contains(p.Log.String(), "CUSTOM") {
		t.Errorf("the output shows a value, or a variable of another program: %s", p.Log)
	}
}
