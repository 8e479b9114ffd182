package lifecycle

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"cubegate/server/servertest"
)

// endpoints are the addresses of ConnectyCube that an app gets.
type endpoints struct {
	Endpoint   string `json:"endpoint"`
	WsEndpoint string `json:"wsEndpoint"`
}

// loginAnswer is what the tests read from the answer to a login.
type loginAnswer struct {
	Chat         endpoints `json:"chat"`
	RefreshToken string    `json:"refreshToken"`
}

// askAt posts a body as a client does that knows the server by another host.
func askAt(t *testing.T, host, url, body string) loginAnswer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Forwarded-Host", "evil.example")
	request.Header.Set("Forwarded", "host=evil.example")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		loginAnswer
		Data map[string]loginAnswer `json:"data"`
	}
	if err := json.Unmarshal(raw, &out); err != nil || response.StatusCode >= 300 {
		t.Fatalf("%s at %q: %d %s %v", url, host, response.StatusCode, raw, err)
	}
	if inner, ok := out.Data["answer"]; ok {
		return inner
	}
	return out.loginAnswer
}

// everyAnswer asks all operations that tell an app where ConnectyCube is, by GraphQL and by
// REST, and returns what each tells a client that uses the host.
func everyAnswer(t *testing.T, r *servertest.Server, host, email string) map[string]endpoints {
	t.Helper()
	ask := func(path, body string) loginAnswer { return askAt(t, host, r.URL+path, body) }
	document := func(text string, variables any) loginAnswer {
		raw, err := json.Marshal(map[string]any{"query": text, "variables": variables})
		if err != nil {
			t.Fatal(err)
		}
		return ask("/api", string(raw))
	}
	text := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	const fields = `{ refreshToken chat { endpoint wsEndpoint } }`
	person, login := servertest.NewUser(email), servertest.Credentials(email)
	got := map[string]endpoints{"register, REST": ask("/auth/register", text(person)).Chat}
	rest := ask("/auth/login", text(login))
	got["login, REST"] = rest.Chat
	got["login_By_token, REST"] = ask("/auth/login-by-token", text(login)).Chat
	rest = ask("/auth/refresh", text(map[string]string{"refreshToken": rest.RefreshToken}))
	got["refresh, REST"] = rest.Chat
	body := map[string]any{"body": login}
	got["login"] = document(`mutation($body: LoginUserDto!) { answer: login(body: $body) `+fields+` }`, body).Chat
	got["login_By_token"] = document(`mutation($body: LoginUserDto!) { answer: login_By_token(body: $body) `+fields+` }`, body).Chat
	got["refresh"] = document(`mutation($token: String!) { answer: refresh(refreshToken: $token) `+fields+` }`, map[string]string{"token": rest.RefreshToken}).Chat
	person["email"] = "second-" + email
	got["register"] = document(`mutation($body: UserRegisterInput!) { answer: register(body: $body) `+fields+` }`, map[string]any{"body": person}).Chat
	return got
}

// An app gets the address of the sandbox under the host that it used for the server: an
// emulator or a phone reaches this machine by no other.
func TestChatIsAtTheHostThatTheClientUsed(t *testing.T) {
	r := servertest.Start(t, nil)
	own := port(t, r.SandboxURL)
	for i, tt := range []struct{ host, want string }{
		{"10.0.2.2:3000", "10.0.2.2"}, {"192.168.1.7", "192.168.1.7"}, {"[fd12:3456::7]:3000", "[fd12:3456::7]"}, {"Ada-Mac.local:3000", "ada-mac.local"},
		{"localhost:3000", "localhost"}, {"[::1]", "[::1]"},
		{"256.1.1.1", "127.0.0.1"}, {"a..b", "127.0.0.1"}, {"a_b:99999", "127.0.0.1"}, // no host
	} {
		want := endpoints{"http://" + tt.want + ":" + own, "ws://" + tt.want + ":" + own + "/chat"}
		answers := everyAnswer(t, r, tt.host, fmt.Sprintf("ada%d@example.org", i))
		if len(answers) != 8 {
			t.Errorf("%d answers", len(answers))
		}
		for name, got := range answers {
			if got != want {
				t.Errorf("%s at %s: %+v, want %+v", name, tt.host, got, want)
			}
		}
	}
}

// The settings name the sandbox's address, or its chat's, whatever host a client used. So
// does a sandbox that listens on one address only, and ConnectyCube itself.
func TestChatIsWhereTheSettingsSay(t *testing.T) {
	const host = "192.168.1.7:3000"
	u := servertest.NewUpstream(t)
	for name, tt := range map[string]struct {
		settings map[string]string
		want     endpoints
	}{
		"SANDBOX_PUBLIC_URL":   {map[string]string{"SANDBOX_PUBLIC_URL": "https://box.example.org/"}, endpoints{"https://box.example.org", "wss://box.example.org/chat"}},
		"with a port and path": {map[string]string{"SANDBOX_PUBLIC_URL": "http://[fd12::7]:8080/box"}, endpoints{"http://[fd12::7]:8080/box", "ws://[fd12::7]:8080/box/chat"}},
		"both": {map[string]string{"SANDBOX_PUBLIC_URL": "https://box.example.org", "CONNECTYCUBE_CHAT_URL": "wss://chat.example.org:5291"},
			endpoints{"https://box.example.org", "wss://chat.example.org:5291"}},
		"ConnectyCube": {servertest.Merge(u.Settings(), map[string]string{"CONNECTYCUBE_CHAT_URL": "wss://chat.example.org:5291", "SANDBOX_PUBLIC_URL": "https://box.example.org"}),
			endpoints{u.Settings()["CONNECTYCUBE_API_URL"], "wss://chat.example.org:5291"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := servertest.Start(t, tt.settings)
			person, err := json.Marshal(servertest.NewUser("ada@example.org"))
			if err != nil {
				t.Fatal(err)
			}
			if got := askAt(t, host, r.URL+"/auth/register", string(person)).Chat; got != tt.want {
				t.Errorf("chat = %+v, want %+v", got, tt.want)
			}
		})
	}
}

// Clients reach a sandbox that listens on a single address under that address only.
func TestChatIsAtTheSandboxesOnlyAddress(t *testing.T) {
	const only = "127.0.0.2"
	ln, err := net.Listen("tcp", only+":0")
	if err != nil {
		t.Skip("this system has one loopback address:", err)
	}
	ln.Close()
	r := servertest.Start(t, map[string]string{"SANDBOX_HOST": only})
	want := endpoints{r.SandboxURL, strings.Replace(r.SandboxURL, "http", "ws", 1) + "/chat"}
	for name, got := range everyAnswer(t, r, "10.0.2.2:3000", "ada@example.org") {
		if got != want || !strings.Contains(got.Endpoint, only) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

// A tunnel on this machine asks the sandbox by the name in SANDBOX_PUBLIC_URL.
func TestSandboxAnswersToItsPublicName(t *testing.T) {
	r := servertest.Start(t, map[string]string{"SANDBOX_PUBLIC_URL": "https://box.example.org"})
	for host, want := range map[string]int{"box.example.org": http.StatusOK, "evil.example.org": http.StatusForbidden} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.SandboxURL+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %d, want %d", host, response.StatusCode, want)
		}
	}
}
