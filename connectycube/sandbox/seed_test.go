package sandbox_test

import (
	"fmt"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

const plot = `{
	"users": [
		{"login": "ann", "password": "11111111", "full_name": "Ann", "tags": ["a", "b"]},
		{"id": 77, "email": "Bob@example.com", "password": "22222222"},
		{"external_id": "uid-3"}
	],
	"dialogs": [
		{"key": "team", "name": "Team", "owner": "ann", "occupants": ["bob@example.com"], "admins": ["uid-3"]},
		{"key": "two", "type": 3, "owner": "77", "occupants": ["ann"]}
	],
	"messages": [
		{"dialog": "team", "from": "ann", "message": "first", "ago": "48h", "read_by": ["77"]},
		{"dialog": "team", "from": "custom_uid-3", "message": "second"},
		{"dialog": "two", "from": "ann", "message": "psst"}
	]
}`

func TestASeedMakesAWorld(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	c := in(t, s)
	c.base = "http://localhost"
	made := c.send("POST", "/_sandbox/seed", plot)
	if made.status != 201 || made.str("users.1") != "77" {
		t.Fatalf("%d %s", made.status, made.text)
	}
	ann := c.open(`{"login":"ann","password":"11111111"}`)
	bob := c.open(`{"email":"bob@example.com","password":"22222222"}`)
	if g := c.send("GET", "/users/v2?external_id=uid-3", "", "CB-Token", ann); g.str("items.0.login") != "custom_uid-3" || g.str("items.0.id") != made.str("users.2") {
		t.Errorf("the provider's user: %s", g.text)
	}
	if g := c.send("GET", "/chat/Dialog?_id="+made.str("dialogs.team"), "", "CB-Token", bob); g.str("items.0.unread_messages_count") != "1" || g.str("items.0.last_message") != "second" {
		t.Errorf("the group: %s", g.text)
	}
	g := c.send("GET", "/chat/Message?mark_as_read=0&chat_dialog_id="+made.str("dialogs.team"), "", "CB-Token", bob)
	if got := g.strs("items", "message"); fmt.Sprint(got) != "[first second]" || g.str("items.0._id") != made.str("messages.0") || g.str("items.0.read_ids.0") != "77" {
		t.Errorf("messages: %s", g.text)
	}
	if g := c.send("GET", "/chat/Message?mark_as_read=0&chat_dialog_id="+made.str("dialogs.two"), "", "CB-Token", bob); g.str("items.0.recipient_id") != "77" {
		t.Errorf("the private one: %s", g.text)
	}
	// A private dialog exists once.
	again := c.send("POST", "/_sandbox/seed", `{"dialogs":[{"key":"x","type":3,"owner":"ann","occupants":["77"]}],"messages":[{"dialog":"x","from":"77","message":"again"}]}`)
	if again.str("dialogs.x") != made.str("dialogs.two") {
		t.Errorf("another private dialog was made: %s", again.text)
	}
	if id := c.signUp(`{"login":"late","password":"11111111"}`); id == "78" || id <= made.str("users.2") {
		t.Errorf("id %s comes after %s", id, made.str("users.2"))
	}
}

func TestASeedIsAllOrNothing(t *testing.T) {
	tests := []struct{ seed, want string }{
		{`{"users":[{"login":"new","password":"11111111"},{"login":"ann","password":"11111111"}]}`, "users[1]: login must be unique"},
		{`{"users":[{"login":"new","password":"11111111"},{"login":"new","password":"11111111"}]}`, "users[1]: login must be unique"},
		{`{"users":[{"login":"a b","password":"1"}]}`, "password is too short"},
		{`{"users":[{"login":"a b","password":"1"}]}`, "login is invalid"},
		{`{"users":[{"password":"11111111"}]}`, "login or email"},
		{`{"users":[{"login":"new"}]}`, "password cannot be blank"},
		{`{"users":[{"login":"new","password":"11111111","id":77}]}`, "id must be"},
		{`{"users":[{"login":"new","password":"11111111","id":-1}]}`, "id must be"},
		{`{"users":[{"login":"new","password":"11111111","id":2147483647}]}`, "id must be"},
		{`{"users":[{"login":"new","passwort":"11111111"}]}`, "passwort"},
		{`{"dialogs":[{"key":"k","name":"n","owner":"zoe"}]}`, `dialogs[0].owner: there is no user "zoe"`},
		{`{"dialogs":[{"key":"k","name":"n","owner":"ann","occupants":["ann","zoe"]}]}`, "dialogs[0].occupants[1]"},
		{`{"dialogs":[{"key":"k","name":"n","owner":"0"}]}`, "no user"},
		{`{"dialogs":[{"key":"k","owner":"ann"}]}`, "name"},
		{`{"dialogs":[{"name":"n","owner":"ann"}]}`, "key"},
		{`{"dialogs":[{"key":"k","name":"n","owner":"ann"},{"key":"k","name":"n","owner":"ann"}]}`, "key"},
		{`{"dialogs":[{"key":"k","type":5,"name":"n","owner":"ann"}]}`, "type"},
		{`{"dialogs":[{"key":"k","type":3,"owner":"ann","occupants":["ann"]}]}`, "private"},
		{`{"messages":[{"dialog":"k","from":"ann","message":"m"}]}`, `no dialog "k"`},
		{`{"dialogs":[{"key":"k","name":"n","owner":"ann"}],"messages":[{"dialog":"k","from":"77","message":"m"}]}`, "may not send"},
		{`{"dialogs":[{"key":"k","name":"n","owner":"ann"}],"messages":[{"dialog":"k","from":"ann"}]}`, "message is required"},
		{`{"dialogs":[{"key":"k","name":"n","owner":"ann"}],"messages":[{"dialog":"k","from":"ann","message":"m","ago":"-1h"}]}`, "ago"},
		{`{"users":[` + strings.Repeat(`{},`, 100) + `{}]}`, "more"}, // not all of them
	}
	s := sandbox.New(sandbox.Options{})
	c := in(t, s)
	c.base = "http://localhost"
	c.send("POST", "/_sandbox/seed", plot)
	before := s.State().Totals
	for _, tt := range tests {
		if g := c.send("POST", "/_sandbox/seed", tt.seed); g.status != 400 || !strings.Contains(g.str("error"), tt.want) {
			t.Errorf("%.80s: %d %.300s, want 400 with %q", tt.seed, g.status, g.text, tt.want)
		}
	}
	if after := s.State().Totals; after != before {
		t.Errorf("%+v became %+v", before, after)
	}
	full := sandbox.New(sandbox.Options{MaxUsers: 1, MaxDialogs: 1})
	for _, seed := range []sandbox.Seed{
		{Users: make([]sandbox.SeedUser, 2)},
		{Dialogs: make([]sandbox.SeedDialog, 2)},
		{Messages: make([]sandbox.SeedMessage, 10_001)},
	} {
		if _, err := full.Seed(seed); err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("error = %v", err)
		}
	}
}
