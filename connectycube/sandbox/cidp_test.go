package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube/sandbox"
)

// provider is a callback URL within the process.
type provider func(*http.Request) (status int, body string)

func (p provider) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := p(r)
	if status == 0 {
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func byProvider(t *testing.T, p provider, c sandbox.CIdP) (*sandbox.Sandbox, caller) {
	t.Helper()
	c.Enabled = true
	if c.URL == "" {
		c.URL = "https://backend.example/verify"
	}
	if c.ResponseParams == nil {
		c.ResponseParams = map[string]string{"uid": "#{user.id}"}
	}
	s := sandbox.New(sandbox.Options{HTTP: &http.Client{Transport: p}})
	if err := s.SetCIdP(c); err != nil {
		t.Fatal(err)
	}
	return s, in(t, s)
}

const withTicket = application + `,"user":{"login":"the-ticket","password":"any"}}`

func TestCallBackByGET(t *testing.T) {
	_, c := byProvider(t, func(r *http.Request) (int, string) {
		body, err := io.ReadAll(bodyOf(r))
		if r.Method != "GET" || len(body) > 0 || err != nil {
			t.Errorf("%s with %q, %v", r.Method, body, err)
		}
		if r.URL.Path != "/verify" || r.URL.RawQuery != "app=1&mixed=the-ticket%2Fany%2F&token=the-ticket" {
			t.Errorf("URL was %s", r.URL)
		}
		if got := r.Header.Get("X-Secret"); got != "s the-ticket" {
			t.Errorf("header was %q", got)
		}
		return 200, `{"user":{"id":41}}`
	}, sandbox.CIdP{
		URL:           "https://backend.example/verify?app=1",
		Headers:       map[string]string{"X-Secret": "s #{login}"},
		RequestParams: map[string]string{"token": "#{login}", "mixed": "#{login}/#{password}/#{email}#{shoe}"},
	})
	if g := c.send("POST", "/session", withTicket); g.status != 201 || g.str("session.user.external_id") != "41" {
		t.Errorf("%d %s", g.status, g.text)
	}
}

func bodyOf(r *http.Request) io.Reader {
	if r.Body == nil {
		return strings.NewReader("")
	}
	return r.Body
}

func TestCallBackByPOST(t *testing.T) {
	_, c := byProvider(t, func(r *http.Request) (int, string) {
		var sent map[string]string
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
			t.Error(err)
		}
		// A login that looks like a template is a value, not a template.
		want := map[string]string{"token": "", "email": "a@example.com", "password": "#{email}"}
		if fmt.Sprint(sent) != fmt.Sprint(want) || r.Method != "POST" || r.Header.Get("Content-Type") != "application/json" || r.URL.RawQuery != "" {
			t.Errorf("%s %s with %v, want %v", r.Method, r.URL, sent, want)
		}
		return 200, `{"user":{"id":"u-1"}}`
	}, sandbox.CIdP{
		Method:        "post",
		RequestParams: map[string]string{"token": "#{login}", "email": "#{email}", "password": "#{password}"},
	})
	if g := c.send("POST", "/session", application+`,"user":{"email":"a@example.com","password":"#{email}"}}`); g.status != 201 {
		t.Errorf("%d %s", g.status, g.text)
	}
}

func TestWhatTheProviderAnswers(t *testing.T) {
	tests := []struct {
		name     string
		status   int
		answer   string
		mapping  string // of uid
		want     int
		wantText string // part of the answer
	}{
		{"number", 200, `{"user":{"id":12345678901234567890}}`, "#{user.id}", 201, `"external_id":"12345678901234567890"`},
		{"login by default", 200, `{"uid":"u-1"}`, "#{uid}", 201, `"login":"custom_u-1"`},
		{"created", 201, `{"uid":"u-1"}`, "#{uid}", 201, `"external_id":"u-1"`},
		{"in a list", 200, `{"users":[{"id":"u-1"}]}`, "#{users.0.id}", 201, `"external_id":"u-1"`},
		{"joined", 200, `{"a":"x","b":7}`, "#{a}-#{b}", 201, `"external_id":"x-7"`},
		// The usual mistake: the answer has uid, the mapping says user.id.
		{"another path", 200, `{"uid":1}`, "#{user.id}", 422, `{"errors":{"base":["Custom Identity Provider uid is required"]}}`},
		{"null", 200, `{"uid":null}`, "#{uid}", 422, "uid is required"},
		{"blank", 200, `{"uid":"  "}`, "#{uid}", 422, "uid is required"},
		{"an object", 200, `{"uid":{"id":1}}`, "#{uid}", 422, "uid is required"},
		{"beyond a list", 200, `{"users":[]}`, "#{users.0.id}", 422, "uid is required"},
		{"no JSON", 200, `welcome`, "#{uid}", 422, "uid is required"},
		{"nothing", 204, ``, "#{uid}", 422, "uid is required"},
		{"refusal with an error field", 404, `{"error":"Token invalid","uid":"u-1"}`, "#{uid}", 422,
			`{"errors":{"base":["Custom Identity Provider responded with an error = \"Token invalid\". Status code = 404"]}}`},
		{"refusal in other words", 401, `go away`, "#{uid}", 422, `= \"go away\". Status code = 401`},
		{"its own trouble", 500, ``, "#{uid}", 422, `= \"\". Status code = 500`},
		{"redirect", 302, ``, "#{uid}", 422, `Status code = 302`},
		{"uid too long for a login", 200, `{"uid":"` + strings.Repeat("u", 64) + `"}`, "#{uid}", 422, "login is too long"},
		{"no answer", 0, ``, "#{uid}", 500, "Custom Identity Provider did not answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked atomic.Int32
			s, c := byProvider(t, func(*http.Request) (int, string) {
				asked.Add(1)
				return tt.status, tt.answer
			}, sandbox.CIdP{ResponseParams: map[string]string{"uid": tt.mapping}})
			g := c.send("POST", "/session", withTicket)
			if g.status != tt.want || !strings.Contains(g.text, tt.wantText) {
				t.Errorf("%d %s, want %d with %s", g.status, g.text, tt.want, tt.wantText)
			}
			if asked.Load() != 1 {
				t.Errorf("asked %d times, want once", asked.Load())
			}
			if exists := len(s.State().Users) == 1; exists != (tt.want == 201) {
				t.Errorf("user exists: %v", exists)
			}
		})
	}
}

func TestProfileIsMappedOnce(t *testing.T) {
	answer := `{"id":"u-1","l":"annie","e":"Ann@Example.com","n":"Ann","x":5}`
	_, c := byProvider(t, func(*http.Request) (int, string) { return 200, answer }, sandbox.CIdP{
		ResponseParams: map[string]string{"uid": "#{id}", "login": "#{l}", "email": "#{e}", "full_name": "#{n}", "external_user_id": "#{x}"},
	})
	first := c.send("POST", "/session", withTicket)
	for path, want := range map[string]string{"login": "annie", "email": "ann@example.com", "full_name": "Ann", "external_user_id": "5", "external_id": "u-1"} {
		if got := first.str("session.user." + path); got != want {
			t.Errorf("%s = %q, want %q", path, got, want)
		}
	}
	answer = `{"id":"u-1","l":"other","e":"other@example.com","n":"Other"}`
	again := c.send("POST", "/session", withTicket)
	if again.str("session.user_id") != first.str("session.user_id") || again.str("session.user.login") != "annie" {
		t.Errorf("second login: %s", again.text)
	}
}

// TestSignUpAndProviderMeetInOneUser: in the original they were two users, because its
// sign-up set no external ID.
func TestSignUpAndProviderMeetInOneUser(t *testing.T) {
	s, c := byProvider(t, func(*http.Request) (int, string) { return 200, `{"user":{"id":"u-1","email":"a@example.com"}}` }, sandbox.CIdP{})
	with := c.signUp(`{"email":"a@example.com","password":"11111111","external_id":"u-1"}`)
	without := c.signUp(`{"email":"b@example.com","password":"11111111"}`)
	if id := c.send("POST", "/session", withTicket).str("session.user_id"); id != with || id == without {
		t.Errorf("session of %s, want %s", id, with)
	}
	if n := len(s.State().Users); n != 2 {
		t.Errorf("%d users, want 2", n)
	}
}

func TestAMappedEmailOfAnotherUserIsRefused(t *testing.T) {
	_, c := byProvider(t, func(*http.Request) (int, string) { return 200, `{"id":"u-1","email":"a@example.com"}` },
		sandbox.CIdP{ResponseParams: map[string]string{"uid": "#{id}", "email": "#{email}"}})
	c.signUp(`{"email":"a@example.com","password":"11111111"}`)
	if g := c.send("POST", "/session", withTicket); g.status != 422 || !strings.Contains(g.text, "email must be unique") {
		t.Errorf("%d %s", g.status, g.text)
	}
}

func TestPasswordsGoToTheProviderToo(t *testing.T) {
	s, c := byProvider(t, func(r *http.Request) (int, string) { return 401, `{"error":"no such token"}` }, sandbox.CIdP{})
	c.signUp(jane)
	app := c.open("")
	for name, g := range map[string]got{
		"session": c.send("POST", "/session", application+`,"user":`+jane+`}`),
		"login":   c.send("POST", "/login", jane, "CB-Token", app),
	} {
		if g.status != 422 || !strings.Contains(g.text, "no such token") {
			t.Errorf("%s: %d %s", name, g.status, g.text)
		}
	}
	if err := s.SetCIdP(sandbox.CIdP{}); err != nil {
		t.Fatal(err)
	}
	c.open(jane)
}

func TestNoPasswordNoCallBack(t *testing.T) {
	_, c := byProvider(t, func(r *http.Request) (int, string) {
		t.Error("the provider was asked")
		return 200, `{"user":{"id":1}}`
	}, sandbox.CIdP{})
	app := c.open("")
	guest := c.open(`{"guest":"1"}`)
	if g := c.send("POST", "/login", `{"login":"eyJ.x.y"}`, "CB-Token", app); g.status != 422 || !strings.Contains(g.text, "cannot be blank") {
		t.Errorf("%d %s", g.status, g.text)
	}
	if app == guest {
		t.Error("two sessions with one token")
	}
}

func TestLoginByProviderOnASession(t *testing.T) {
	_, c := byProvider(t, func(*http.Request) (int, string) { return 200, `{"user":{"id":"u-1"}}` }, sandbox.CIdP{})
	app := c.open("")
	g := c.send("POST", "/login", `{"login":"the-ticket","password":"any"}`, "CB-Token", app)
	if g.status != 202 || g.str("user.external_id") != "u-1" {
		t.Fatalf("%d %s", g.status, g.text)
	}
	// No password was stored, so none can match.
	if g := c.send("GET", "/session", "", "CB-Token", app); g.str("session.user.login") != "custom_u-1" {
		t.Errorf("%s", g.text)
	}
}

func TestASessionThatEndsWhileTheProviderIsAsked(t *testing.T) {
	var token string
	var c caller
	s, c := byProvider(t, func(*http.Request) (int, string) {
		c.send("DELETE", "/session", "", "CB-Token", token)
		return 200, `{"user":{"id":"u-1"}}`
	}, sandbox.CIdP{})
	token = c.open("")
	if g := c.send("POST", "/login", `{"login":"the-ticket","password":"any"}`, "CB-Token", token); g.status != 401 {
		t.Errorf("%d %s", g.status, g.text)
	}
	if st := s.State(); st.Sessions != 0 || len(st.Users) != 0 {
		t.Errorf("state = %+v, want nothing", st)
	}
}

func TestAProvidersUserHasNoPassword(t *testing.T) {
	s, c := byProvider(t, func(*http.Request) (int, string) { return 200, `{"user":{"id":"u-1"}}` }, sandbox.CIdP{})
	c.send("POST", "/session", withTicket)
	if err := s.SetCIdP(sandbox.CIdP{}); err != nil {
		t.Fatal(err)
	}
	for _, password := range []string{"any", "", "null"} {
		g := c.send("POST", "/session", application+`,"user":{"login":"custom_u-1","password":"`+password+`"}}`)
		if g.status == 201 {
			t.Errorf("logged in with %q", password)
		}
	}
}

func TestDenyDoesNotStopTheProvider(t *testing.T) {
	s := sandbox.New(sandbox.Options{DenyAutoCreate: true, HTTP: &http.Client{Transport: provider(func(*http.Request) (int, string) {
		return 200, `{"user":{"id":"u-1"}}`
	})}, CIdP: sandbox.CIdP{Enabled: true, URL: "http://x.example", ResponseParams: map[string]string{"uid": "#{user.id}"}}})
	if g := in(t, s).send("POST", "/session", withTicket); g.status != 201 {
		t.Errorf("%d %s", g.status, g.text)
	}
}

func TestFirstLoginsAtOnceMakeOneUser(t *testing.T) {
	s, c := byProvider(t, func(*http.Request) (int, string) { return 200, `{"user":{"id":"u-1"}}` }, sandbox.CIdP{})
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if g, err := c.try("POST", "/session", withTicket); err != nil || g.status != 201 {
				t.Errorf("%d %s %v", g.status, g.text, err)
			}
		})
	}
	wg.Wait()
	if st := s.State(); len(st.Users) != 1 || st.Sessions != 32 {
		t.Errorf("%d users with %d sessions", len(st.Users), st.Sessions)
	}
}

// waiting is a provider that answers after a delay.
type waiting struct{ time.Duration }

func (w waiting) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(w.Duration):
		return provider(func(*http.Request) (int, string) { return 200, `{"user":{"id":"u-1"}}` }).RoundTrip(r)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func TestTheProviderHasFiveSeconds(t *testing.T) {
	for wait, want := range map[time.Duration]int{5*time.Second - 1: 201, 5*time.Second + 1: 500} {
		synctest.Test(t, func(t *testing.T) {
			s := sandbox.New(sandbox.Options{
				HTTP: &http.Client{Transport: waiting{wait}},
				CIdP: sandbox.CIdP{Enabled: true, URL: "http://x.example", ResponseParams: map[string]string{"uid": "#{user.id}"}},
			})
			start := time.Now()
			if g := in(t, s).send("POST", "/session", withTicket); g.status != want {
				t.Errorf("after %v: %d %s, want %d", wait, g.status, g.text, want)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestTheProviderMayCallBackIntoTheSandbox(t *testing.T) {
	// Our verify route could call the API during the callback, so no lock may be held.
	var s *sandbox.Sandbox
	s, c := byProvider(t, func(*http.Request) (int, string) {
		if n := s.State().Sessions; n != 0 {
			t.Errorf("%d sessions", n)
		}
		return 200, `{"user":{"id":"u-1"}}`
	}, sandbox.CIdP{})
	c.send("POST", "/session", withTicket)
}

func TestACallerThatLeavesDoesNotStopTheLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sandbox.New(sandbox.Options{
			HTTP: &http.Client{Transport: waiting{2 * time.Second}},
			CIdP: sandbox.CIdP{Enabled: true, URL: "http://x.example", ResponseParams: map[string]string{"uid": "#{user.id}"}},
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "POST", "http://sandbox.invalid/session", strings.NewReader(withTicket))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Client().Do(req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error = %v, want the deadline", err)
		}
		if n := len(s.State().Users); n != 0 {
			t.Errorf("%d users before the provider answered", n)
		}
		time.Sleep(2 * time.Second)
		if n := len(s.State().Users); n != 1 {
			t.Errorf("%d users, want the one whose login continued", n)
		}
	})
}

func TestRedirectsOfTheProviderAreNotFollowed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		t.Error("the redirect was followed")
	}))
	defer elsewhere.Close()
	srv := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer srv.Close()
	s := sandbox.New(sandbox.Options{CIdP: sandbox.CIdP{Enabled: true, URL: srv.URL, ResponseParams: map[string]string{"uid": "#{uid}"}}})
	if g := in(t, s).send("POST", "/session", withTicket); g.status != 422 || !strings.Contains(g.text, "Status code = 307") {
		t.Errorf("%d %s", g.status, g.text)
	}
}

func TestCIdPSettingsAreChecked(t *testing.T) {
	uid := map[string]string{"uid": "#{uid}"}
	tests := []struct {
		name string
		c    sandbox.CIdP
		want string // part of the error; "" = none
	}{
		{"off", sandbox.CIdP{}, ""},
		{"on", sandbox.CIdP{Enabled: true, URL: "http://h/p", ResponseParams: uid}, ""},
		{"no url", sandbox.CIdP{Enabled: true, ResponseParams: uid}, "url"},
		{"url of a file", sandbox.CIdP{Enabled: true, URL: "file:///x", ResponseParams: uid}, "url"},
		{"no uid", sandbox.CIdP{Enabled: true, URL: "http://h"}, "uid"},
		{"uid the same for all", sandbox.CIdP{Enabled: true, URL: "http://h", ResponseParams: map[string]string{"uid": "user.id"}}, "uid"},
		{"unknown target", sandbox.CIdP{ResponseParams: map[string]string{"password": "#{x}"}}, "password"},
		{"other method", sandbox.CIdP{Method: "PUT"}, "method"},
		{"too much", sandbox.CIdP{Headers: map[string]string{"X": strings.Repeat("x", 3000)}}, "2048"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := sandbox.New(sandbox.Options{}).SetCIdP(tt.c)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one about %q", err, tt.want)
			}
		})
	}
}
