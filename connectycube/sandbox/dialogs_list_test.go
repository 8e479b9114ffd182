package sandbox_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cubegate/connectycube/sandbox"
)

// TestDialogsAreSortedByTheLastMessage: the official React hook and chat widget request
// that.
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

// TestDialogListsIgnoreUnknownPlainParameters, and refuse those with an operator.
func TestDialogListsIgnoreUnknownPlainParameters(t *testing.T) {
	all := people(t, sandbox.New(sandbox.Options{}), "owner", "anna")
	me, anna := all[0], all[1]
	wanted := me.group(anna)
	me.group(anna)
	const both = 2
	for query, want := range map[string]int{
		"?page=1&per_page=50": both,
		"?tags[]=a":           both,
		"?id=" + wanted:       1,
		"?id[in]=" + wanted:   1,
	} {
		if g := me.call(200, "GET /chat/Dialog"+query, ""); len(g.strs("items", "_id")) != want {
			t.Errorf("%s: %s, want %d dialogs", query, g.text, want)
		}
		if g := me.manage(200, "GET /admin/chat/list"+query, ""); len(g.strs("items", "_id")) != want {
			t.Errorf("administration, %s: %s, want %d dialogs", query, g.text, want)
		}
	}
	for _, query := range []string{"?page[eq]=1", "?shoe_size[gt]=44"} {
		me.call(422, "GET /chat/Dialog"+query, "")
		me.manage(422, "GET /admin/chat/list"+query, "")
	}
}

// TestAPrivateDialogHasTheOthersName: in every answer that contains one.
func TestAPrivateDialogHasTheOthersName(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	c := in(t, s)
	enter := func(user string) person { return person{c, c.signUp(user), c.open(user)} }
	ada := enter(`{"login":"ada","password":"11111111","full_name":"Ada Lovelace"}`)
	bob := enter(`{"login":"bob-the-builder","password":"11111111"}`)
	eve := enter(`{"email":"eve@example.org","password":"11111111"}`)

	body := `{"type":3,"occupants_ids":[` + bob.id + `],"name":"ignored"}`
	id := ada.dialog(body)
	withEve := ada.dialog(`{"type":3,"occupants_ids":[` + eve.id + `]}`)
	for viewer, want := range map[person]string{ada: "bob-the-builder", bob: "Ada Lovelace"} {
		opponent := map[person]person{ada: bob, bob: ada}[viewer]
		answers := map[string]got{
			"create": viewer.call(201, "POST /chat/Dialog", `{"type":3,"occupants_ids":[`+opponent.id+`]}`),
			"update": viewer.call(200, "PUT /chat/Dialog/"+id, `{"is_muted":false}`),
		}
		for name, g := range answers {
			if v := g.str("name"); v != want {
				t.Errorf("%s by %s: name %q, want %q", name, opponent.id, v, want)
			}
		}
		lists := map[string]string{
			"list": "?type=3&sort_asc=created_at", "one": "?_id=" + id, "by name": "?name=" + want, "by a part of the name": "?name[ctn]=" + want[3:9],
		}
		for name, query := range lists {
			g := viewer.call(200, "GET /chat/Dialog"+strings.ReplaceAll(query, " ", "%20"), "")
			if v := g.str("items.0.name"); v != want {
				t.Errorf("%s: name %q, want %q in %s", name, v, want, g.text)
			}
		}
		g := viewer.call(200, "GET /chat/search?search_text="+want[:6], "")
		if found := g.strs("results.dialogs", "name"); !slices.Equal(found, []string{want}) {
			t.Errorf("search: %q, want %q", found, want)
		}
	}
	if g := ada.call(200, "GET /chat/Dialog?sort_asc=name", ""); fmt.Sprint(g.strs("items", "name")) != "[bob-the-builder eve@example.org]" {
		t.Errorf("sorted by name: %s", g.text)
	}
	if g := ada.call(200, "GET /chat/search?search_text=Lovelace", ""); len(g.strs("results.dialogs", "name")) != 0 {
		t.Errorf("a search finds a dialog by the viewer's own name: %s", g.text)
	}

	bob.call(200, "PUT /users/"+bob.id, `{"user":{"full_name":"Bob"}}`)
	eve.call(200, "DELETE /users/"+eve.id, "")
	for dialog, want := range map[string]string{id: "Bob", withEve: eve.id} {
		if g := ada.call(200, "GET /chat/Dialog?_id="+dialog, ""); g.str("items.0.name") != want {
			t.Errorf("name = %q, want %q", g.str("items.0.name"), want)
		}
	}
	if g := ada.manage(200, "GET /admin/chat/list?_id="+id, ""); g.str("items.0.name") != "" {
		t.Errorf("administration: name %q, which is null in the documented sample", g.str("items.0.name"))
	}
}
