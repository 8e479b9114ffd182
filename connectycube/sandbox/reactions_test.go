package sandbox_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube/sandbox"
)

func TestReactions(t *testing.T) {
	all := people(t, sandbox.New(sandbox.Options{}), "anna", "boris")
	anna, boris := all[0], all[1]
	dialog := anna.group(boris)
	id := anna.say(dialog, "first")
	path := "/chat/Message/" + id + "/reactions.json"
	for _, body := range []string{`{"add":"👎"}`, `{"add":"👍","remove":"👎"}`, `{"add":"👍"}`, `{"remove":"🚀"}`} {
		if g := anna.call(200, "PUT "+path, body); g.text != "" {
			t.Errorf("body = %q, want none", g.text)
		}
	}
	boris.call(200, "PUT "+path, `{"add":"👍"}`)
	if g := boris.call(200, "GET "+path, ""); g.text != `{"👍":[`+anna.id+`,`+boris.id+`]}`+"\n" {
		t.Errorf("reactions = %s", g.text)
	}
	boris.call(200, "PUT "+path, `{"remove":"👍"}`)
	g := boris.call(200, "GET /chat/Message?chat_dialog_id="+dialog, "")
	if g.str("items.0.reactions.own") != "[]" || g.str("items.0.reactions.total") != "map[👍:1]" {
		t.Errorf("message = %s", g.text)
	}
	boris.call(422, "PUT "+path, `{}`)
	boris.call(422, "PUT "+path, `{"add":"`+strings.Repeat("x", 65)+`"}`)
	boris.call(404, "GET /chat/Message/5c094687e588ce59fff87425/reactions", "")
}

// TestAReactionIsAChangeOfTheMessage, once.
func TestAReactionIsAChangeOfTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := setStage(t, "group")
		id := st.owner.say(st.id, "x")
		react := func(body string) string {
			t.Helper()
			time.Sleep(time.Minute)
			st.member.call(200, "PUT /chat/Message/"+id+"/reactions", body)
			return st.member.call(200, "GET /chat/Message?mark_as_read=0&chat_dialog_id="+st.id, "").str("items.0.updated_at")
		}
		now := func() string { return time.Now().UTC().Format(time.RFC3339) }
		first := react(`{"add":"👍"}`)
		if first != now() {
			t.Errorf("updated_at = %s, want %s", first, now())
		}
		if second := react(`{"add":"👍","remove":"👎"}`); second != first {
			t.Errorf("updated_at = %s without news, want %s", second, first)
		}
		if third := react(`{"remove":"👍"}`); third != now() {
			t.Errorf("updated_at = %s, want %s", third, now())
		}
	})
}
