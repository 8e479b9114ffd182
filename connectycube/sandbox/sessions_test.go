package sandbox_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube/sandbox"
)

const jane = `{"login":"jane","password":"11111111"}`

func TestTokenLivesTwoHoursAfterItsLastUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sandbox.New(sandbox.Options{})
		c := in(t, s)
		token := c.open(jane)
		for range 3 {
			time.Sleep(2*time.Hour - time.Second)
			g := c.send("GET", "/session", "", "CB-Token", token)
			if g.status != 200 {
				t.Fatalf("a token used in time: %d %s", g.status, g.text)
			}
			want := time.Now().Add(2 * time.Hour).UTC().Format("2006-01-02 15:04:05 UTC")
			if at := g.header.Get("CB-Token-ExpirationDate"); at != want {
				t.Errorf("expiration = %q, want %q", at, want)
			}
		}
		time.Sleep(2 * time.Hour)
		if g := c.send("GET", "/session", "", "CB-Token", token); g.status != 401 || !strings.Contains(g.text, "Required session does not exist") {
			t.Errorf("a token unused for two hours: %d %s", g.status, g.text)
		}
		if n := s.State().Sessions; n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

func TestARefusedCallProlongsTheSessionToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := in(t, sandbox.New(sandbox.Options{}))
		token := c.open("")
		for range 2 {
			time.Sleep(90 * time.Minute)
			if g := c.send("PUT", "/users", "{}", "CB-Token", token); g.status != 403 {
				t.Fatalf("status %d %s", g.status, g.text)
			}
		}
	})
}

func TestGuestsLiveForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sandbox.New(sandbox.Options{})
		c := in(t, s)
		token := c.open(`{"guest":"1","full_name":"Visitor"}`)
		c.open(jane)
		time.Sleep(24*time.Hour - time.Second)
		g := c.send("GET", "/session", "", "CB-Token", token)
		if g.status != 200 {
			t.Fatalf("within the day: %d %s", g.status, g.text)
		}
		login := g.str("session.user.login")
		if g := c.send("POST", "/session", application+`,"user":{"login":"`+login+`","password":"11111111"}}`); g.status != 401 {
			t.Errorf("a guest logs in by password: %d %s", g.status, g.text)
		}
		time.Sleep(time.Second) // use does not extend it
		if g := c.send("GET", "/session", "", "CB-Token", token); g.status != 401 {
			t.Errorf("after a day: %d %s", g.status, g.text)
		}
		if users := s.State().Users; len(users) != 1 || *users[0].Login != "jane" {
			t.Errorf("users = %+v, want jane alone", users)
		}
	})
}

func TestAGuestSessionThatIsNoLongerAGuestsSlides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sandbox.New(sandbox.Options{})
		c := in(t, s)
		c.signUp(jane)
		token := c.open(`{"guest":true}`)
		if g := c.send("POST", "/login", jane, "CB-Token", token); g.status != 202 {
			t.Fatalf("login: %d %s", g.status, g.text)
		}
		time.Sleep(2 * time.Hour)
		if n := s.State().Sessions; n != 0 {
			t.Errorf("%d sessions are left after two hours", n)
		}
	})
}

func TestLoginKeepsTheTokenAndLogoutTheSession(t *testing.T) {
	c := in(t, sandbox.New(sandbox.Options{}))
	id := c.signUp(jane)
	token := c.open("")
	if g := c.send("POST", "/login", jane, "CB-Token", token); g.str("user.id") != id {
		t.Fatalf("login: %d %s", g.status, g.text)
	}
	if g := c.send("GET", "/session", "", "CB-Token", token); g.str("session.user_id") != id {
		t.Errorf("session after login: %s", g.text)
	}
	c.send("DELETE", "/login", "", "CB-Token", token)
	if g := c.send("GET", "/session", "", "CB-Token", token); g.status != 200 || g.str("session.user_id") != "" {
		t.Errorf("session after logout: %d %s", g.status, g.text)
	}
}

func TestWhatEndsASession(t *testing.T) {
	tests := []struct {
		name, method, path string
		other              int // status of the user's other session afterward
	}{
		{"its deletion", "DELETE", "/session", 200},
		{"its user's deletion", "DELETE", "/users/{id}", 401},
		{"its user's deletion by external id", "DELETE", "/users/external/ext-1", 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := in(t, sandbox.New(sandbox.Options{}))
			id := c.signUp(`{"login":"jane","password":"11111111","external_id":"ext-1"}`)
			one, other := c.open(jane), c.open(jane)
			if g := c.send(tt.method, strings.ReplaceAll(tt.path, "{id}", id), "", "CB-Token", one); g.status != 200 {
				t.Fatalf("%d %s", g.status, g.text)
			}
			if g := c.send("GET", "/session", "", "CB-Token", one); g.status != 401 {
				t.Errorf("the session itself: %d", g.status)
			}
			if g := c.send("GET", "/session", "", "CB-Token", other); g.status != tt.other {
				t.Errorf("the other session: %d, want %d", g.status, tt.other)
			}
		})
	}
}

func TestAPasswordChangeKeepsSessionsAndEndsThePassword(t *testing.T) {
	c := in(t, sandbox.New(sandbox.Options{}))
	id := c.signUp(jane)
	token := c.open(jane)
	g := c.send("PUT", "/users/"+id, `{"user":{"password":"22222222","old_password":"11111111"}}`, "CB-Token", token)
	if g.status != 200 {
		t.Fatalf("%d %s", g.status, g.text)
	}
	if g := c.send("GET", "/session", "", "CB-Token", token); g.status != 200 {
		t.Errorf("session after the change: %d", g.status)
	}
	if g := c.send("POST", "/session", application+`,"user":`+jane+`}`); g.status != 401 {
		t.Errorf("old password: %d", g.status)
	}
	c.open(`{"login":"jane","password":"22222222"}`)
}

func TestDenyMakesUnknownUsersAn404(t *testing.T) {
	s := sandbox.New(sandbox.Options{DenyAutoCreate: true})
	c := in(t, s)
	g := c.send("POST", "/session", application+`,"user":`+jane+`}`)
	if g.status != 404 || g.text != `{"errors":["User not found"]}`+"\n" {
		t.Errorf("%d %s", g.status, g.text)
	}
	if n := len(s.State().Users); n != 0 {
		t.Errorf("%d users exist", n)
	}
}

func TestBounds(t *testing.T) {
	s := sandbox.New(sandbox.Options{MaxUsers: 2, MaxSessions: 3})
	c := in(t, s)
	c.signUp(jane)
	guest := c.open(`{"guest":"1"}`)
	if g := c.send("POST", "/users", `{"user":{"login":"third","password":"11111111"}}`, "CB-AuthKey", "sandbox-auth-key"); g.status != 503 {
		t.Errorf("a user too many: %d %s", g.status, g.text)
	}
	oldest := c.open(jane)
	used := c.open(jane)
	c.send("GET", "/session", "", "CB-Token", oldest) // now used is the longest unused one
	c.open(jane)
	for token, want := range map[string]int{oldest: 200, used: 401, guest: 200} {
		if g := c.send("GET", "/session", "", "CB-Token", token); g.status != want {
			t.Errorf("session: %d, want %d", g.status, want)
		}
	}
	if n := s.State().Sessions; n != 3 {
		t.Errorf("%d sessions, want 3", n)
	}
}

func TestOnlyGuestsToEvict(t *testing.T) {
	s := sandbox.New(sandbox.Options{MaxSessions: 2})
	c := in(t, s)
	for range 5 {
		c.open(`{"guest":"1"}`)
	}
	if st := s.State(); st.Sessions != 2 || len(st.Users) != 2 {
		t.Errorf("%d sessions of %d users, want 2 of 2", st.Sessions, len(st.Users))
	}
}

func TestOneOfManySignUpsWins(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	c := in(t, s)
	var mu sync.Mutex
	statuses := map[int]int{}
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			body := fmt.Sprintf(`{"user":{"email":"%s@example.com","password":"11111111"}}`, []string{"same", "SAME"}[i%2])
			g, err := c.try("POST", "/users", body, "CB-AuthKey", "sandbox-auth-key")
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			statuses[g.status]++
		})
	}
	wg.Wait()
	if statuses[201] != 1 || statuses[422] != 31 || len(s.State().Users) != 1 {
		t.Errorf("answers = %v with %d users", statuses, len(s.State().Users))
	}
}

// TestIDsOfTwoRunsDiffer: a database that outlives the sandbox keeps IDs of an earlier one.
// SDKs for phones store IDs in 31 bits.
func TestIDsOfTwoRunsDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2039, 12, 31, 0, 0, 0, 0, time.UTC)))
		last := int64(0)
		for range 5 {
			c := in(t, sandbox.New(sandbox.Options{}))
			for _, login := range []string{"one", "two", "three", "four"} {
				id, err := strconv.ParseInt(c.signUp(`{"login":"`+login+`","password":"11111111"}`), 10, 64)
				if err != nil || id <= last || id >= 1<<31 {
					t.Fatalf("id %d after %d (%v), want it larger, and of 31 bits", id, last, err)
				}
				last = id
			}
			time.Sleep(time.Second)
		}
	})
}

func TestBrowsersMayCall(t *testing.T) {
	c := in(t, sandbox.New(sandbox.Options{}))
	preflight := c.send("OPTIONS", "/session.json", "", "Origin", "https://app.example", "Access-Control-Request-Method", "POST")
	answer := c.send("POST", "/session.json", application+"}", "Origin", "https://app.example")
	refusal := c.send("GET", "/session.json", "", "Origin", "https://app.example")
	for name, g := range map[string]got{"preflight": preflight, "answer": answer, "refusal": refusal} {
		for header, want := range map[string]string{
			"Access-Control-Allow-Origin":   "*",
			"Access-Control-Allow-Headers":  "CB-Token, CB-AuthKey, CB-SDK, ConnectyCube-REST-API-Version, Content-Type",
			"Access-Control-Expose-Headers": "CB-Token-ExpirationDate, Date",
		} {
			if v := g.header.Get(header); v != want {
				t.Errorf("%s: %s = %q, want %q", name, header, v, want)
			}
		}
	}
	if preflight.status != http.StatusOK || preflight.text != "" {
		t.Errorf("preflight: %d %q", preflight.status, preflight.text)
	}
}
