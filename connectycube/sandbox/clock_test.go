package sandbox_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube/sandbox"
)

func TestTheClockEndsSessionsAndGuests(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	c := in(t, s)
	c.base = "http://localhost"
	token := c.open(jane)
	guest := c.open(`{"guest":"1","full_name":"Visitor"}`)
	for _, step := range []struct {
		advance     string
		user, guest int // status of GET /session
	}{
		{"1h59m", 200, 200},
		{"1h59m", 200, 200}, // the use extended it
		{"2h", 401, 200},
		{"19h", 401, 401},
	} {
		if g := c.send("POST", "/_sandbox/clock", `{"advance":"`+step.advance+`"}`); g.status != 200 {
			t.Fatalf("advancing: %d %s", g.status, g.text)
		}
		user, guest := c.send("GET", "/session", "", "CB-Token", token), c.send("GET", "/session", "", "CB-Token", guest)
		if user.status != step.user || guest.status != step.guest {
			t.Errorf("after %s: %d and %d, want %d and %d", step.advance, user.status, guest.status, step.user, step.guest)
		}
	}
	if users := s.State().Users; len(users) != 1 || *users[0].Login != "jane" {
		t.Errorf("users = %+v, want jane alone", users)
	}
}

func TestTheClockIsInEveryDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no day ends in here
		s := sandbox.New(sandbox.Options{})
		if err := s.Advance(1000 * time.Hour); err != nil {
			t.Fatal(err)
		}
		c := in(t, s)
		c.base = "http://localhost"
		day := s.Now().UTC().Format("2006-01-02")
		g := c.send("GET", "/session", "", "CB-Token", c.open(jane))
		for _, path := range []string{"session.created_at", "session.user.created_at", "session.user.last_request_at"} {
			if at := g.str(path); !strings.HasPrefix(at, day) {
				t.Errorf("%s = %s, want the day %s", path, at, day)
			}
		}
		if at := g.header.Get("CB-Token-ExpirationDate"); !strings.HasPrefix(at, s.Now().Add(2*time.Hour).UTC().Format("2006-01-02")) {
			t.Errorf("expires %s", at)
		}
		if g := c.send("GET", "/_sandbox/clock", ""); g.str("ahead") != "1000h0m0s" || !strings.HasPrefix(g.str("now"), day) {
			t.Errorf("clock = %s", g.text)
		}
	})
}

func TestTheClockHasABound(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	const decade = 10 * 365 * 24 * time.Hour
	for _, d := range []time.Duration{0, -1, decade + 1, 1<<63 - 1} {
		if err := s.Advance(d); err == nil {
			t.Errorf("advancing by %s is no error", d)
		}
	}
	if err := s.Advance(decade); err != nil {
		t.Error(err)
	}
	if err := s.Advance(1); err == nil || s.Ahead() != decade {
		t.Errorf("advancing beyond the bound: %v, %s ahead", err, s.Ahead())
	}
}

func TestAResetForgetsEverythingButWhichIDsWereUsed(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	c := in(t, s)
	c.base = "http://localhost"
	first := c.signUp(jane)
	token := c.open(jane)
	arm(t, s, sandbox.Fault{Kind: "status", Status: 500, Path: "/nowhere"})
	if err := s.SetCIdP(sandbox.CIdP{Enabled: true, URL: "http://127.0.0.1:1/v", ResponseParams: map[string]string{"uid": "#{id}"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Advance(time.Hour); err != nil {
		t.Fatal(err)
	}
	if g := c.send("POST", "/_sandbox/reset", ""); g.status != 200 || !strings.HasPrefix(g.text, `{"users":[],"sessions":0,`) {
		t.Errorf("reset: %d %s", g.status, g.text)
	}
	if g := c.send("GET", "/session", "", "CB-Token", token); g.status != 401 {
		t.Errorf("an old token: %d", g.status)
	}
	if g := c.send("GET", "/_sandbox/cidp", ""); g.str("enabled") != "false" {
		t.Errorf("cidp = %s", g.text)
	}
	if s.Ahead() != 0 || len(s.Faults()) != 0 || len(s.Journal(0)) != 1 {
		t.Errorf("%s ahead, faults %v, journal %v", s.Ahead(), s.Faults(), s.Journal(0))
	}
	if second := c.signUp(jane); len(second) < len(first) || second <= first {
		t.Errorf("id %s after %s", second, first)
	}
}
