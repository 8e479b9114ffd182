package sandbox_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

// mistake is a way in which people set the identity provider up wrong, by the settings of
// PUT /_sandbox/cidp, and the answer that their apps got. docs/connectycube.md has the
// threads.
type mistake struct {
	name     string
	settings string // the settings beside those that they replace
	provider provider
	request  string // "": withTicket
	status   int
	answer   string // the whole body; "*" at an end stands for the rest
	unasked  bool   // the provider gets no request
}

const (
	uidOfUser = `"response_params":{"uid":"#{user.id}"}`
)

// knownUsers is a provider that knows the ticket.
func knownUsers(r *http.Request) (int, string) {
	body, _ := io.ReadAll(bodyOf(r))
	if !strings.Contains(r.URL.RawQuery+string(body)+r.Header.Get("Authorization"), "the-ticket") {
		return 401, `{"name":"UnauthorizedError"}`
	}
	return 200, `{"user":{"id":"u-1"},"uid":"u-1"}`
}

var mistakes = []mistake{
	{
		name:     "the response params name another path than the answer has",
		settings: `"response_params":{"uid":"#{user.id}"}`,
		provider: func(*http.Request) (int, string) { return 200, `{"uid":1}` },
		status:   422, answer: `{"errors":{"base":["Custom Identity Provider uid is required"]}}`,
	},
	{
		name:     "the token is in a header, under a name that the login does not have",
		settings: `"headers":{"Authorization":"Bearer #{token}"},"request_params":{},"answers":"2020",` + uidOfUser,
		provider: knownUsers,
		status:   200, answer: `{"errors":["Bad Authentication data. Unauthorized on remote side. Status: 401.Response \"{\\\"name\\\":\\\"UnauthorizedError\\\"}\""]}`,
	},
	{
		name:     "the same, as the service answers today",
		settings: `"headers":{"Authorization":"Bearer #{token}"},"request_params":{},` + uidOfUser,
		provider: knownUsers,
		status:   422, answer: `{"errors":{"base":["Custom Identity Provider responded with an error = \"{\\\"name\\\":\\\"UnauthorizedError\\\"}\". Status code = 401"]}}`,
	},
	{
		name:     "the login comes without a password",
		settings: uidOfUser,
		provider: knownUsers,
		request:  application + `,"user":{"login":"the-ticket"}}`,
		status:   422, answer: `{"errors":{"password":["cannot be blank"]}}`, unasked: true,
	},
	{
		name:     "the provider answers 415 to the content type",
		settings: `"method":"POST","body":"form",` + uidOfUser,
		provider: func(r *http.Request) (int, string) {
			if r.Header.Get("Content-Type") != "application/json" {
				return 415, `Unsupported Media Type`
			}
			return knownUsers(r)
		},
		status: 422, answer: `{"errors":{"base":["Custom Identity Provider responded with an error = \"Unsupported Media Type\". Status code = 415"]}}`,
	},
	{
		name:     "the URL is localhost",
		settings: `"url":"http://localhost:3000/verify","outside":true,` + uidOfUser,
		provider: knownUsers,
		status:   500, answer: `{"errors":{"base":["Custom Identity Provider did not answer"]}}`, unasked: true,
	},
	{
		name:     "the URL is in a private network",
		settings: `"url":"http://192.168.1.5/verify","outside":true,` + uidOfUser,
		provider: knownUsers,
		status:   500, answer: `{"errors":{"base":["Custom Identity Provider did not answer"]}}`, unasked: true,
	},
	{
		name:     "the URL redirects",
		settings: uidOfUser,
		provider: func(r *http.Request) (int, string) { return 308, `` },
		status:   422, answer: `{"errors":{"base":["Custom Identity Provider responded with an error = \"\". Status code = 308"]}}`,
	},
	{
		name:     "the response params have no login",
		settings: uidOfUser,
		provider: knownUsers,
		status:   201, answer: `*"login":"custom_u-1"*`,
	},
	{
		name:     "the provider fails, as the service answered in 2020",
		settings: `"answers":"2020",` + uidOfUser,
		provider: func(*http.Request) (int, string) { return 503, `oh` },
		status:   500, answer: `{"error":"Internal Server Error","status":"500"}`,
	},
	{
		name:     "the provider does not answer, as the service answered in 2020",
		settings: `"answers":"2020",` + uidOfUser,
		provider: func(*http.Request) (int, string) { return 0, `` },
		status:   500, answer: `{"error":"Internal Server Error","status":"500"}`,
	},
	{
		name:     "the provider does not answer",
		settings: uidOfUser,
		provider: func(*http.Request) (int, string) { return 0, `` },
		status:   500, answer: `{"errors":{"base":["Custom Identity Provider did not answer"]}}`,
	},
}

// tries sets the mistake up and returns the answer of a request, and how often the
// provider was asked.
func (m mistake) tries(t *testing.T, send func(c caller) got) (g got, asked int) {
	t.Helper()
	s := sandbox.New(sandbox.Options{ControlToken: "control", HTTP: &http.Client{Transport: provider(func(r *http.Request) (int, string) {
		asked++
		return m.provider(r)
	})}})
	settings := map[string]any{"enabled": true, "url": "https://backend.example/verify", "request_params": map[string]string{"token": "#{login}"}}
	if err := json.Unmarshal([]byte("{"+m.settings+"}"), &settings); err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	c := in(t, s)
	c.signUp(jane)
	if g := c.send("PUT", "/_sandbox/cidp", string(body), "X-Sandbox-Token", "control"); g.status != 200 {
		t.Fatalf("settings: %d %s", g.status, g.text)
	}
	return send(c), asked
}

func TestSetUpMistakes(t *testing.T) {
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			g, asked := m.tries(t, func(c caller) got {
				if m.request == "" {
					m.request = withTicket
				}
				return c.send("POST", "/session.json", m.request)
			})
			text := strings.TrimSpace(g.text)
			is := text == m.answer
			if part, ok := strings.CutPrefix(m.answer, "*"); ok {
				is = strings.Contains(text, strings.TrimSuffix(part, "*"))
			}
			if g.status != m.status || !is {
				t.Errorf("%d %s, want %d %s", g.status, text, m.status, m.answer)
			}
			if m.unasked != (asked == 0) {
				t.Errorf("the provider was asked %d times", asked)
			}
		})
	}
}

// The provider is on although the application has users with passwords: it gets their
// logins, too.
func TestAProviderThatIsOnByMistakeGetsPasswords(t *testing.T) {
	m := mistake{
		settings: `"answers":"2020",` + uidOfUser,
		provider: func(*http.Request) (int, string) { return 404, `` },
	}
	g, asked := m.tries(t, func(c caller) got {
		return c.send("POST", "/login.json", jane, "CB-Token", c.open(""))
	})
	const want = `{"errors":["Bad Authentication data. Unauthorized on remote side. Status: 404.With empty response"]}`
	if text := strings.TrimSpace(g.text); g.status != 422 || text != want || asked != 1 {
		t.Errorf("%d %s after %d requests, want 422 %s", g.status, text, asked, want)
	}
	m.settings = uidOfUser
	if g, _ := m.tries(t, func(c caller) got { return c.send("POST", "/session", application+`,"user":`+jane+`}`) }); g.status != 422 || !strings.Contains(g.text, "Status code = 404") {
		t.Errorf("today: %d %s", g.status, g.text)
	}
	m.settings = uidOfUser + `,"enabled":false`
	if g, asked := m.tries(t, func(c caller) got { return c.send("POST", "/session", application+`,"user":`+jane+`}`) }); g.status != 201 || asked != 0 {
		t.Errorf("turned off: %d %s", g.status, g.text)
	}
}

func TestTheSettingsOfMistakesAreChecked(t *testing.T) {
	m := mistake{provider: knownUsers, settings: `"url":"https://93.184.215.14/verify","outside":true,"method":"POST","body":"form",` + uidOfUser}
	g, asked := m.tries(t, func(c caller) got { return c.send("POST", "/session", withTicket) })
	if g.status != 201 || asked != 1 {
		t.Errorf("a public provider: %d %s after %d requests", g.status, g.text, asked)
	}
	for _, host := range []string{"127.0.0.1", "[::1]", "10.0.0.1", "172.16.0.1", "169.254.1.1", "100.100.1.1", "[fd00::1]", "[fe80::1]", "0.0.0.0", "[::ffff:127.0.0.1]", "app.localhost", "backend.invalid"} {
		m.settings = `"url":"https://` + host + `/verify","outside":true,` + uidOfUser
		if g, asked := m.tries(t, func(c caller) got { return c.send("POST", "/session", withTicket) }); g.status != 500 || asked != 0 {
			t.Errorf("%s: %d %s after %d requests", host, g.status, g.text, asked)
		}
		m.settings = `"url":"https://` + host + `/verify",` + uidOfUser
		if g, asked := m.tries(t, func(c caller) got { return c.send("POST", "/session", withTicket) }); g.status != 201 || asked != 1 {
			t.Errorf("%s from inside: %d %s", host, g.status, g.text)
		}
	}
	c := in(t, sandbox.New(sandbox.Options{ControlToken: "control"}))
	for _, settings := range []string{`{"body":"xml"}`, `{"answers":"2019"}`, `{"outside":"yes"}`, `{"inside":true}`} {
		if g := c.send("PUT", "/_sandbox/cidp", settings, "X-Sandbox-Token", "control"); g.status != 400 {
			t.Errorf("%s: %d %s", settings, g.status, g.text)
		}
	}
	if g := c.send("PUT", "/_sandbox/cidp", `{"body":"form","answers":"2020","outside":true}`, "X-Sandbox-Token", "control"); g.status != 200 || c.send("GET", "/_sandbox/cidp", "", "X-Sandbox-Token", "control").text != g.text || g.str("answers") != "2020" || g.str("body") != "form" || g.str("outside") != "true" {
		t.Errorf("read back: %s", g.text)
	}
}
