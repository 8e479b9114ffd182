package sandbox_test

import (
	"strings"
	"testing"
	"time"

	"cubegate/connectycube/sandbox"
)

// TestDialogsAreSortedByTheLastMessage: as the official React hook and chat
// widget ask for them.
func TestDialogsAreSortedByTheLastMessage(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	all := people(t, s, "owner", "anna", "boris")
	me, anna, boris := all[0], all[1], all[2]
	names := map[string]string{}
	later := func() {
		t.Helper()
		if err := s.Advance(time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	add := func(name, id string) string {
		t.Helper()
		names[id] = name
		later()
		return id
	}
	team := add("team", me.group(anna))
	two := add("two", me.dialog(`{"type":3,"occupants_ids":"`+anna.id+`"}`))
	add("silent", me.group(boris))
	anna.say(two, "first")
	later()
	add("new", me.group(anna, boris))
	me.say(team, "second")
	later()
	hidden := anna.say(two, "seen by anna alone")
	me.call(200, "DELETE /chat/Message/"+hidden, "")
	me.call(200, "PUT /chat/Dialog/"+two, `{"is_muted":true}`) // an update is no message

	for _, word := range []string{"date_sent", "last_message_date_sent"} {
		for _, tt := range []struct{ query, want string }{
			{"?limit=100&skip=0&sort_desc=" + word, "team new two silent"},
			{"?sort_asc=" + word, "silent two new team"},
			{"?sort_desc=" + word + "&limit=2&skip=1", "new two"},
		} {
			g := me.call(200, "GET /chat/Dialog.json"+tt.query, "")
			var found []string
			for _, id := range g.strs("items", "_id") {
				found = append(found, names[id])
			}
			if got := strings.Join(found, " "); got != tt.want {
				t.Errorf("%s: %s, want %s", tt.query, got, tt.want)
			}
		}
	}
	for _, query := range []string{"?sort_desc=date", "?sort_asc=date_sent&sort_desc=date_sent", "?date_sent[gt]=1"} {
		me.call(422, "GET /chat/Dialog.json"+query, "")
	}
}
