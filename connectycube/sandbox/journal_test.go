package sandbox_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

func TestTheJournalShowsWhatHappenedButNoSecret(t *testing.T) {
	bothWays(t, func(t *testing.T, s *sandbox.Sandbox, c caller) {
		const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
		id := c.signUp(`{"login":"jane","password":"pass \"word\" one","full_name":"Jane"}`)
		token := c.open(`{"login":"jane","password":"pass \"word\" one"}`)
		c.send("PUT", "/users/"+id, `{"user":{"old_password":"pass \"word\" one","password": "password-two","website":"`+jwt+`"}}`, "CB-Token", token)
		c.send("POST", "/login", `user[login]=jane&user[password]=form-word&password=form-word`, "CB-Token", token)
		c.send("GET", "/users/v2?login=jane&token="+token+"&password=in-query", "", "CB-Token", token, "CB-SDK", "JS 6.1.2 - Client")
		arm(t, s, sandbox.Fault{Kind: "lost-answer", Path: "/login", Times: 1})
		_, _ = c.try("DELETE", "/login", "", "CB-Token", token)

		eventually(t, func() bool { return len(s.Journal(0)) >= 6 }) // a client that was cut off returns earlier
		entries := s.Journal(0)
		if len(entries) != 6 {
			t.Fatalf("%d entries, want 6: %+v", len(entries), entries)
		}
		text := fmt.Sprintf("%+v", entries)
		for _, secret := range []string{"word", "password-two", "in-query", token, jwt, "eyJ", "sandbox-auth-key"} {
			if at := strings.Index(strings.ReplaceAll(text, "password", ""), secret); at >= 0 {
				t.Errorf("%q is shown: …%s", secret, text[at:min(at+80, len(text))])
			}
		}
		for _, wanted := range []string{`"password":"•••","full_name":"Jane"`, "login=jane", "Cb-Sdk: JS 6.1.2 - Client", "Cb-Token", "Cb-Authkey"} {
			if !strings.Contains(text, wanted) {
				t.Errorf("%q is not shown: %s", wanted, text)
			}
		}
		last := entries[5]
		if last.Status != 0 || last.Fault != "lost-answer" || last.Path != "/login" || last.Method != "DELETE" {
			t.Errorf("last = %+v", last)
		}
		if first := entries[0]; first.Status != 201 || first.ID != 1 || first.On != "rest" || fmt.Sprint(entries[2].UserID) != id || first.At.IsZero() {
			t.Errorf("first = %+v", first)
		}
	})
}

func TestTheJournalIsBounded(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	c := in(t, s)
	c.base = "http://localhost"
	for range 730 {
		c.send("GET", "/session", "")
	}
	long := strings.Repeat("name", 20_000)
	c.send("POST", "/users", `{"user":{"full_name":"`+long+`"}}`)
	ids := func(entries []sandbox.Entry) (ids []int64) {
		for _, e := range entries {
			ids = append(ids, e.ID)
		}
		return ids
	}
	all := s.Journal(0)
	got := ids(all)
	if len(got) != 500 || got[0] != 232 || got[499] != 731 || !slices.IsSorted(got) {
		t.Fatalf("ids = %v", got)
	}
	if last := all[499]; len(last.Request) > 2100 || len(last.Response) > 2100 {
		t.Errorf("a body of %d bytes is shown", len(last.Request))
	}
	if got := ids(s.Journal(729)); !slices.Equal(got, []int64{730, 731}) {
		t.Errorf("after 729: %v", got)
	}
	if g := c.send("GET", "/_sandbox/journal?after=730", ""); g.str("entries.0.id") != "731" || g.str("entries.0.method") != "POST" {
		t.Errorf("%d %.200s", g.status, g.text)
	}
	if g := c.send("DELETE", "/_sandbox/journal", ""); g.text != `{"entries":[]}`+"\n" {
		t.Errorf("%d %s", g.status, g.text)
	}
	if g := c.send("GET", "/_sandbox/journal?after=731", ""); g.text != `{"entries":[]}`+"\n" {
		t.Errorf("nothing new: %s", g.text)
	}
	for range 510 {
		c.send("GET", "/session", "")
	}
	if got := ids(s.Journal(731)); len(got) != 500 || !slices.IsSorted(got) {
		t.Errorf("after clearing and more: %v", got)
	}
}

// A text is cut before it is masked, so the cut may split a secret.
func TestMaskingSurvivesTheCut(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	c := in(t, s)
	for _, secret := range []string{"opensesame", "eyJhbGciOiJIUzI1NiJ9" + strings.Repeat("x", 40), `open\"sesame`} {
		for pad := 4060; pad < 4100; pad += 3 {
			s.ClearJournal()
			c.send("POST", "/session", `{"x":"`+strings.Repeat("x", pad)+`","password":"`+secret+`"}`)
			if text := s.Journal(0)[0].Request; strings.Contains(text, "open") || strings.Contains(text, "eyJ") || strings.Contains(text, "sesame") {
				t.Fatalf("%d: …%s", pad, text[len(text)-50:])
			}
		}
	}
}
