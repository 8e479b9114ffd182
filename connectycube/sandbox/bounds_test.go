package sandbox_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cubegate/connectycube/sandbox"
)

// For two months, visitors come, chat and never log out.
func TestALongLifeDoesNotGrow(t *testing.T) {
	small := sandbox.Options{
		DataFile:    filepath.Join(t.TempDir(), "sandbox.json"),
		MaxMessages: 30, MaxDialogs: 8, MaxSessions: 20, MaxUsers: 20,
	}
	s := openWith(t, small)
	c := in(t, s)
	host := c.signUp(jane)
	var sizes []int64
	for day := range 60 {
		janes := c.open(jane)
		for visitor := range 4 {
			token := c.open(`{"guest":"1","full_name":"Visitor"}`)
			c.open("")
			c.send("POST", "/chat/Message", `{"recipient_id":`+host+`,"message":"`+strings.Repeat("hello ", 20)+`"}`, "CB-Token", token)
			name := fmt.Sprintf(`{"type":2,"name":"day %d, %d","occupants_ids":"%s"}`, day, visitor, host)
			if g := c.send("POST", "/chat/Dialog", name, "CB-Token", token); g.status != 201 {
				t.Fatalf("day %d: %d %s", day, g.status, g.text)
			}
			c.send("POST", "/users", `{"user":{"login":"x"}}`, "CB-Token", janes) // refused
		}
		if err := s.Advance(24 * time.Hour); err != nil {
			t.Fatal(err)
		}
		state := s.State()
		if totals := state.Totals; totals.Users > 1 || state.Sessions > 0 || totals.Dialogs > 8 || totals.Messages > 30 {
			t.Fatalf("after day %d: %d sessions, %+v", day, state.Sessions, totals)
		}
		if day%20 == 19 {
			if n := len(s.Journal(0)); n > 500 {
				t.Errorf("%d entries in the journal", n)
			}
			shut(t, s)
			info, err := os.Stat(small.DataFile)
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, info.Size())
			s = openWith(t, small)
			c = in(t, s)
		}
	}
	if sizes[2] > sizes[0]*11/10 {
		t.Errorf("the data file grew: %v bytes", sizes)
	}
}
