package sandbox_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube/sandbox"
)

const newJane = `{"user":` + jane + `}`

// bothWays runs a test in the process and over a socket: a fault must look the same to a
// client.
func bothWays(t *testing.T, run func(*testing.T, *sandbox.Sandbox, caller)) {
	t.Run("in process", func(t *testing.T) {
		s := sandbox.New(sandbox.Options{})
		run(t, s, in(t, s))
	})
	t.Run("over a socket", func(t *testing.T) {
		s := sandbox.New(sandbox.Options{})
		srv := httptest.NewServer(s)
		t.Cleanup(srv.Close)
		run(t, s, caller{t, srv.URL, srv.Client()})
	})
}

func arm(t *testing.T, s *sandbox.Sandbox, faults ...sandbox.Fault) {
	t.Helper()
	for _, f := range faults {
		if err := s.AddFault(f); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFaultsThatAnswer(t *testing.T) {
	tests := []struct {
		fault  sandbox.Fault
		status int
		ctype  string
		text   string // whole
	}{
		{sandbox.Fault{Kind: "status", Status: 429}, 429, "application/json; charset=utf-8", `{"errors":["Too Many Requests"]}` + "\n"},
		{sandbox.Fault{Kind: "status", Status: 503}, 503, "application/json; charset=utf-8", `{"errors":["Service Unavailable"]}` + "\n"},
		{sandbox.Fault{Kind: "empty"}, 200, "", ""},
		{sandbox.Fault{Kind: "empty", Status: 201}, 201, "", ""},
		{sandbox.Fault{Kind: "html"}, 502, "text/html; charset=utf-8", "<html><head><title>502</title></head><body><h1>Bad Gateway</h1></body></html>\n"},
		{sandbox.Fault{Kind: "html", Status: 200}, 200, "text/html; charset=utf-8", "<html><head><title>200</title></head><body><h1>OK</h1></body></html>\n"},
		{sandbox.Fault{Kind: "status", Status: 500, Delay: time.Millisecond}, 500, "application/json; charset=utf-8", `{"errors":["Internal Server Error"]}` + "\n"},
	}
	bothWays(t, func(t *testing.T, s *sandbox.Sandbox, c caller) {
		for _, tt := range tests {
			tt.fault.Times = 1
			arm(t, s, tt.fault)
			g := c.send("POST", "/users", newJane, "CB-AuthKey", "sandbox-auth-key")
			if ct := g.header.Get("Content-Type"); g.status != tt.status || ct != tt.ctype || g.text != tt.text {
				t.Errorf("%+v: %d %q %q", tt.fault, g.status, ct, g.text)
			}
			if g.header.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%+v: a browser would not see the answer", tt.fault)
			}
			if n := len(s.State().Users); n != 0 {
				t.Errorf("%+v: the request had an effect", tt.fault)
			}
		}
	})
}

func TestFaultsThatCut(t *testing.T) {
	for kind, users := range map[string]int{"reset": 0, "lost-answer": 1} {
		t.Run(kind, func(t *testing.T) {
			bothWays(t, func(t *testing.T, s *sandbox.Sandbox, c caller) {
				arm(t, s, sandbox.Fault{Kind: kind, Times: 1})
				_, err := c.try("POST", "/users", newJane, "CB-AuthKey", "sandbox-auth-key")
				if !errors.Is(err, syscall.ECONNRESET) { // an end of file would not look like a crash
					t.Errorf("error = %v, want a reset connection", err)
				}
				if n := len(s.State().Users); n != users {
					t.Errorf("%d users, want %d", n, users)
				}
				c.open(`{"login":"john","password":"11111111"}`) // the next one succeeds
			})
		})
	}
}

func TestHangEndsWithTheCaller(t *testing.T) {
	bothWays(t, func(t *testing.T, s *sandbox.Sandbox, c caller) {
		arm(t, s, sandbox.Fault{Kind: "hang", Times: 1})
		c.http.Timeout = 50 * time.Millisecond
		_, err := c.try("POST", "/users", newJane, "CB-AuthKey", "sandbox-auth-key")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error = %v, want a timeout", err)
		}
		if n := len(s.State().Users); n != 0 {
			t.Errorf("%d users, want none", n)
		}
		// Over a socket, closing the server waits for the handler. That it returns proves
		// that the handler ended.
	})
}

func TestHangEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sandbox.New(sandbox.Options{})
		arm(t, s, sandbox.Fault{Kind: "hang"})
		start := time.Now()
		if _, err := in(t, s).try("GET", "/session", ""); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("error = %v, want a cut connection", err)
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("took %v, want a minute", took)
		}
	})
}

func TestSlowIsNormalButLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sandbox.New(sandbox.Options{})
		c := in(t, s)
		arm(t, s, sandbox.Fault{Kind: "slow", Delay: 3 * time.Second})
		start := time.Now()
		c.signUp(jane)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %v, want 3s", took)
		}
		// A caller that gives up finds later that the request had its effect.
		c.http.Timeout = time.Second
		if _, err := c.try("POST", "/users", `{"user":{"login":"john","password":"11111111"}}`, "CB-AuthKey", "sandbox-auth-key"); err == nil {
			t.Error("the client got an answer")
		}
		synctest.Wait()
		if n := len(s.State().Users); n != 2 {
			t.Errorf("%d users, want 2", n)
		}
	})
}

func TestWhichRequestsAFaultMeets(t *testing.T) {
	tests := []struct {
		fault        sandbox.Fault
		method, path string
		met          bool
	}{
		{sandbox.Fault{}, "GET", "/session.json", true},
		{sandbox.Fault{Method: "*", Path: "*"}, "GET", "/session.json", true},
		{sandbox.Fault{Method: "get"}, "GET", "/session", true},
		{sandbox.Fault{Method: "POST"}, "GET", "/session", false},
		{sandbox.Fault{Path: "/session"}, "GET", "/session.json", true},
		{sandbox.Fault{Path: "/Session.json"}, "GET", "/session", true},
		{sandbox.Fault{Path: "/session"}, "GET", "/SESSION.JSON", true},
		{sandbox.Fault{Path: "/session"}, "GET", "/sessions", false},
		{sandbox.Fault{Path: "/users/*"}, "GET", "/users/v2.json?login=x", true},
		{sandbox.Fault{Path: "/users*"}, "GET", "/users.json", true},
		{sandbox.Fault{Path: "/users/*"}, "GET", "/users.json", false},
		{sandbox.Fault{Path: "/*"}, "GET", "/anything", true},
		{sandbox.Fault{}, "OPTIONS", "/session.json", false}, // a preflight is not the request
		{sandbox.Fault{}, "GET", "/_sandbox/faults", false},
	}
	for _, tt := range tests {
		s := sandbox.New(sandbox.Options{})
		tt.fault.Kind, tt.fault.Status = "status", 418
		arm(t, s, tt.fault)
		c := in(t, s)
		c.base = "http://127.0.0.1"
		if g := c.send(tt.method, tt.path, ""); (g.status == 418) != tt.met {
			t.Errorf("%+v and %s %s: %d", tt.fault, tt.method, tt.path, g.status)
		}
	}
}

func TestFaultsComeInTurnAndEnd(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	c := in(t, s)
	arm(t, s,
		sandbox.Fault{Kind: "status", Status: 500, Times: 2},
		sandbox.Fault{Path: "/session", Kind: "status", Status: 501},
	)
	for i, want := range []int{500, 500, 501, 501} {
		if g := c.send("GET", "/session", ""); g.status != want {
			t.Errorf("request %d: %d, want %d", i, g.status, want)
		}
		if i == 0 && s.Faults()[0].Times != 1 {
			t.Errorf("faults = %+v, want one more time", s.Faults())
		}
	}
	s.ClearFaults()
	if g := c.send("GET", "/session", ""); g.status != 401 || len(s.Faults()) != 0 {
		t.Errorf("after clearing: %d, %+v", g.status, s.Faults())
	}
}

func TestAFaultHappensAsOftenAsItSays(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	arm(t, s, sandbox.Fault{Kind: "status", Status: 503, Times: 10})
	c := in(t, s)
	var mu sync.Mutex
	met := 0
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if g, err := c.try("GET", "/session", ""); err == nil && g.status == 503 {
				mu.Lock()
				defer mu.Unlock()
				met++
			}
		})
	}
	wg.Wait()
	if met != 10 {
		t.Errorf("it happened %d times, want 10", met)
	}
}

func TestFaultsAreChecked(t *testing.T) {
	tests := []struct {
		fault sandbox.Fault
		want  string // part of the error
	}{
		{sandbox.Fault{}, "kind"},
		{sandbox.Fault{Kind: "explode"}, "kind"},
		{sandbox.Fault{Kind: "status"}, "status"},
		{sandbox.Fault{Kind: "status", Status: 99}, "status"},
		{sandbox.Fault{Kind: "status", Status: 600}, "status"},
		{sandbox.Fault{Kind: "empty", Status: 500}, "status"},
		{sandbox.Fault{Kind: "slow"}, "delay"},
		{sandbox.Fault{Kind: "slow", Delay: 2 * time.Minute}, "delay"},
		{sandbox.Fault{Kind: "slow", Delay: -1}, "delay"},
		{sandbox.Fault{Kind: "hang", Times: -1}, "times"},
		{sandbox.Fault{Kind: "hang", Path: "users"}, "path"},
		{sandbox.Fault{Kind: "hang", Path: "/" + strings.Repeat("x", 500)}, "long"},
		{sandbox.Fault{Kind: "explode", Times: -1}, "times"}, // all errors at once
		{sandbox.Fault{Kind: "hang", On: "ftp"}, "on must"},
		{sandbox.Fault{Kind: "hang", Probability: 1.1}, "probability"},
		{sandbox.Fault{Kind: "hang", Probability: -0.1}, "probability"},
		{sandbox.Fault{Kind: "hang", Probability: math.NaN()}, "probability"},
		{sandbox.Fault{Kind: "hang", User: 1}, "for chat"},
		{sandbox.Fault{Kind: "hang", Stanza: "iq"}, "for chat"},
		{sandbox.Fault{Kind: "drop"}, "kind on rest"},
		{sandbox.Fault{Kind: "hang", On: "chat"}, "kind on chat"},
		{sandbox.Fault{Kind: "drop", On: "chat", Path: "/session"}, "for rest"},
		{sandbox.Fault{Kind: "drop", On: "chat", Status: 500}, "for rest"},
		{sandbox.Fault{Kind: "drop", On: "chat", Stanza: "open"}, "stanza"},
		{sandbox.Fault{Kind: "drop", On: "chat", User: -1}, "user"},
		{sandbox.Fault{Kind: "delay", On: "chat"}, "delay"},
	}
	s := sandbox.New(sandbox.Options{})
	for _, tt := range tests {
		if err := s.AddFault(tt.fault); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error = %v, want one about %s", tt.fault, err, tt.want)
		}
	}
	for range 100 {
		arm(t, s, sandbox.Fault{Kind: "hang"})
	}
	if err := s.AddFault(sandbox.Fault{Kind: "hang"}); err == nil {
		t.Error("the list of faults has no bound")
	}
	if err := s.SetFaults(append(s.Faults(), sandbox.Fault{Kind: "hang"})...); err == nil || len(s.Faults()) != 100 {
		t.Errorf("setting 101 faults: %v", err)
	}
}

func TestTruncatedIsHalfAnAnswerToWorkThatWasDone(t *testing.T) {
	bothWays(t, func(t *testing.T, s *sandbox.Sandbox, c caller) {
		arm(t, s, sandbox.Fault{Kind: "truncated", Times: 1})
		req, err := http.NewRequestWithContext(t.Context(), "POST", c.base+"/users", strings.NewReader(newJane))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("CB-AuthKey", "sandbox-auth-key")
		resp, err := c.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		half, err := io.ReadAll(resp.Body)
		if !errors.Is(err, io.ErrUnexpectedEOF) || resp.StatusCode != 201 || !strings.HasPrefix(string(half), `{"user":{"`) {
			t.Errorf("%d %q, %v: want the half of a 201 and then the end", resp.StatusCode, half, err)
		}
		if n := len(s.State().Users); n != 1 {
			t.Errorf("%d users, want 1", n)
		}
		c.open(`{"login":"john","password":"11111111"}`)
	})
}

func TestAnAnswerWithoutBodyIsLostWhenTruncated(t *testing.T) {
	bothWays(t, func(t *testing.T, s *sandbox.Sandbox, c caller) {
		token := c.open("")
		arm(t, s, sandbox.Fault{Kind: "truncated", Times: 1})
		if _, err := c.try("DELETE", "/session", "", "CB-Token", token); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("error = %v, want a reset connection", err)
		}
		if n := s.State().Sessions; n != 0 {
			t.Errorf("%d sessions, want none", n)
		}
	})
}

func TestDuplicateDoesTheWorkTwice(t *testing.T) {
	bothWays(t, func(t *testing.T, s *sandbox.Sandbox, c caller) {
		arm(t, s, sandbox.Fault{Kind: "duplicate", Times: 2})
		c.open(jane)
		if n := s.State().Sessions; n != 2 {
			t.Errorf("%d sessions, want 2", n)
		}
		g := c.send("POST", "/users", `{"user":{"login":"john","password":"11111111"}}`, "CB-AuthKey", "sandbox-auth-key")
		if g.status != 422 || len(s.State().Users) != 2 {
			t.Errorf("the answer is the first one's: %d %s", g.status, g.text)
		}
	})
}

func TestDiceAreThrownAsTheSeedSays(t *testing.T) {
	fare := func(seed uint64, probability float64) string {
		s := sandbox.New(sandbox.Options{})
		arm(t, s, sandbox.Fault{Kind: "status", Status: 503, Probability: probability, Seed: seed})
		c := in(t, s)
		var fared strings.Builder
		for range 200 {
			fared.WriteByte("-x"[c.send("GET", "/session", "").status/503])
		}
		return fared.String()
	}
	one := fare(1, 0.25)
	if n := strings.Count(one, "x"); n < 20 || n > 90 {
		t.Errorf("%d of 200 met it, want about 50", n)
	}
	if one != fare(1, 0.25) || one == fare(2, 0.25) {
		t.Error("a seed does not decide which requests get a fault")
	}
	if n := strings.Count(fare(1, 1), "x"); n != 200 {
		t.Errorf("%d of 200 got a certain fault", n)
	}
}

func TestFaultsOnChatSpareREST(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	arm(t, s, sandbox.Fault{On: "chat", Kind: "drop", User: 5, Stanza: "message", Probability: 0.5, Seed: 7})
	c := in(t, s)
	c.base = "http://localhost"
	if g := c.send("GET", "/session", ""); g.status != 401 {
		t.Errorf("%d", g.status)
	}
	want := `{"faults":[{"on":"chat","user":5,"stanza":"message","kind":"drop","delay_ms":0,"times":0,"probability":0.5,"seed":7,"id":1,"acted":0}],"spent":[]}`
	if g := c.send("GET", "/_sandbox/faults", ""); g.text != want+"\n" {
		t.Errorf("faults = %s, want %s", g.text, want)
	}
	if g := c.send("PUT", "/_sandbox/faults", `{"faults":[{"kind":"hang","delay_ms":0,"times":3}]}`); g.status != 200 || len(s.Faults()) != 1 || s.Faults()[0].Times != 3 {
		t.Errorf("put: %d %s", g.status, g.text)
	}
}
