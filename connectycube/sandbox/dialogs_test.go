package sandbox_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

// person is a logged-in user of a sandbox.
type person struct {
	caller
	id, token string
}

// people signs users up and logs them in, by their logins.
func people(t *testing.T, s *sandbox.Sandbox, logins ...string) []person {
	t.Helper()
	c := in(t, s)
	all := make([]person, len(logins))
	for i, login := range logins {
		user := `{"login":"` + login + `","password":"11111111"}`
		all[i] = person{c, c.signUp(user), c.open(user)}
	}
	return all
}

// call sends a request in the SDK's form and fails the test for another status.
func (p person) call(status int, request, body string) got {
	p.t.Helper()
	method, path, _ := strings.Cut(request, " ")
	content := "application/json;charset=utf-8"
	if method == "GET" || method == "DELETE" {
		content = "application/x-www-form-urlencoded; charset=UTF-8"
	}
	g := p.send(method, path, body, "CB-Token", p.token, "Content-Type", content)
	if g.status != status {
		p.t.Fatalf("%s %s: %d %s, want %d", request, body, g.status, g.text, status)
	}
	return g
}

// dialog creates a dialog and returns its ID.
func (p person) dialog(body string) string {
	p.t.Helper()
	return p.call(201, "POST /chat/Dialog.json", body).str("_id")
}

func (p person) group(others ...person) string {
	p.t.Helper()
	return p.dialog(`{"type":2,"name":"group","occupants_ids":"` + idsOf(others) + `"}`)
}

func idsOf(all []person) string {
	var list []string
	for _, p := range all {
		list = append(list, p.id)
	}
	return strings.Join(list, ", ")
}

// say posts a message and returns its ID.
func (p person) say(dialogID, text string) string {
	p.t.Helper()
	return p.call(201, "POST /chat/Message.json", `{"chat_dialog_id":"`+dialogID+`","message":"`+text+`"}`).str("_id")
}

// strs returns one field of each item.
func (g got) strs(list, field string) []string {
	v, _ := g.at(list)
	items, _ := v.([]any)
	all := []string{}
	for i := range items {
		all = append(all, g.str(fmt.Sprintf("%s.%d.%s", list, i, field)))
	}
	return all
}

func TestCreateDialog(t *testing.T) {
	all := people(t, sandbox.New(sandbox.Options{}), "owner", "anna", "boris", "c01", "c02", "c03", "c04", "c05")
	me, anna, boris := all[0], all[1], all[2]
	tests := []struct {
		name, body string
		status     int
		want       map[string]string
	}{
		{"group, ids as text", `{"type":2,"name":"g","occupants_ids":"` + idsOf(all[1:3]) + `"}`, 201, map[string]string{
			"type": "2", "name": "g", "user_id": me.id, "occupants_ids": fmt.Sprintf("[%s %s %s]", me.id, anna.id, boris.id),
			"admins_ids": "[]", "last_message": "", "unread_messages_count": "0", "pinned_messages_ids": "[]", "extensions": "", "permissions": ""}},
		{"group, ids as numbers", `{"type":"2","name":"g","occupants_ids":[` + anna.id + `]}`, 201, map[string]string{"occupants_ids": fmt.Sprintf("[%s %s]", me.id, anna.id)}},
		{"group, ids as digits", `{"type":2,"name":"g","occupants_ids":["` + anna.id + `","` + boris.id + `"]}`, 201, map[string]string{"occupants_ids.2": boris.id}},
		{"group with admins", `{"type":2,"name":"g","occupants_ids":"` + anna.id + `","admins_ids":"` + boris.id + `"}`, 201, map[string]string{
			"admins_ids": "[" + boris.id + "]", "occupants_ids": fmt.Sprintf("[%s %s %s]", me.id, anna.id, boris.id)}},
		{"group with unknown users", `{"type":2,"name":"g","occupants_ids":[` + anna.id + `,7]}`, 201, map[string]string{"occupants_ids": fmt.Sprintf("[%s %s]", me.id, anna.id)}},
		{"extensions become text", `{"type":2,"name":"g","occupants_ids":"` + anna.id + `","extensions":{"a":1,"b":true,"c":null,"d":"x"}}`, 201, map[string]string{
			"extensions.a": "1", "extensions.b": "true", "extensions.c": "", "extensions.d": "x"}},
		{"permissions", `{"type":4,"name":"p","permissions":{"allow_preview":true,"fly":true}}`, 201, map[string]string{"permissions": "map[allow_preview:true]"}},
		{"public", `{"type":4,"name":"p","description":"d","photo":"x.jpg"}`, 201, map[string]string{
			"occupants_count": "1", "occupants_ids": "[]", "description": "d", "photo": "x.jpg", "unread_messages_count": ""}},
		{"broadcast", `{"type":1,"name":"b"}`, 201, map[string]string{"type": "1", "user_id": me.id}},
		{"private, name ignored", `{"type":3,"occupants_ids":"` + anna.id + `","name":"n","photo":"p"}`, 201, map[string]string{
			"name": "anna", "photo": "", "xmpp_room_jid": "", "occupants_ids": fmt.Sprintf("[%s %s]", me.id, anna.id)}},
		{"private with oneself too", `{"type":3,"occupants_ids":[` + me.id + `,` + anna.id + `]}`, 201, nil},
		{"five admins", `{"type":2,"name":"g","occupants_ids":"` + anna.id + `","admins_ids":"` + idsOf(all[3:8]) + `"}`, 201, nil},

		{"private without an opponent", `{"type":3,"occupants_ids":""}`, 422, map[string]string{"errors.base.0": "occupants_ids field must contain an opponent user id"}},
		{"private with an unknown user", `{"type":3,"occupants_ids":"7"}`, 422, map[string]string{"errors.base.0": "occupants_ids field must contain an opponent user id"}},
		{"private with oneself", `{"type":3,"occupants_ids":"` + me.id + `"}`, 422, nil},
		{"private with two", `{"type":3,"occupants_ids":"` + idsOf(all[1:3]) + `"}`, 422, nil},
		{"group without occupants", `{"type":2,"name":"g","occupants_ids":""}`, 422, nil},
		{"group without a name", `{"type":2,"occupants_ids":"` + anna.id + `"}`, 422, nil},
		{"public without a name", `{"type":4}`, 422, nil},
		{"broadcast without a name", `{"type":1,"name":""}`, 422, nil},
		{"no type", `{"name":"g"}`, 422, nil},
		{"type 5", `{"type":5,"name":"g"}`, 422, nil},
		{"an id that is none", `{"type":2,"name":"g","occupants_ids":["5c091060e588ce59fdf873dd"]}`, 422, nil},
		{"six admins", `{"type":2,"name":"g","occupants_ids":"` + anna.id + `","admins_ids":"` + idsOf(all[2:8]) + `"}`, 422, nil},
		{"four extensions", `{"type":4,"name":"g","extensions":{"a":1,"b":2,"c":3,"d":4}}`, 422, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := me.call(tt.status, "POST /chat/Dialog.json", tt.body)
			for path, want := range tt.want {
				if v := g.str(path); v != want {
					t.Errorf("%s = %q, want %q", path, v, want)
				}
			}
			if tt.status == 201 && !shapes["oid"].MatchString(g.str("_id")) {
				t.Errorf("_id = %q", g.str("_id"))
			}
			if kind := g.str("type"); tt.status == 201 && kind != "3" && g.str("xmpp_room_jid") != "1001_"+g.str("_id")+"@muc.chat.connectycube.com" {
				t.Errorf("xmpp_room_jid = %q", g.str("xmpp_room_jid"))
			}
		})
	}
}

func TestAPrivateDialogIsMadeOnce(t *testing.T) {
	all := people(t, sandbox.New(sandbox.Options{}), "anna", "boris")
	first := all[0].dialog(`{"type":3,"occupants_ids":"` + all[1].id + `"}`)
	if second := all[1].dialog(`{"type":3,"occupants_ids":"` + all[0].id + `"}`); second != first {
		t.Errorf("the opponent got %s, want %s", second, first)
	}
	g := all[0].call(201, "POST /chat/Message.json", `{"recipient_id":"`+all[1].id+`","message":"hello"}`)
	if g.str("chat_dialog_id") != first || g.str("recipient_id") != all[1].id {
		t.Errorf("message = %s, want it in %s", g.text, first)
	}
}

func TestOnlyConfiguredExtensionsAreKept(t *testing.T) {
	me := people(t, sandbox.New(sandbox.Options{DialogExtensions: []string{"location"}}), "owner")[0]
	g := me.call(201, "POST /chat/Dialog", `{"type":4,"name":"p","extensions":{"location":"Sun bar","a":1,"b":2,"c":3}}`)
	if v := g.str("extensions"); v != "map[location:Sun bar]" {
		t.Errorf("extensions = %s", v)
	}
	g = me.call(200, "PUT /chat/Dialog/"+g.str("_id"), `{"extensions":null}`)
	if v := g.str("extensions"); v != "" {
		t.Errorf("extensions after null = %s", v)
	}
}

func TestListDialogs(t *testing.T) {
	all := people(t, sandbox.New(sandbox.Options{}), "owner", "anna", "boris")
	me, anna, boris := all[0], all[1], all[2]
	names := map[string]string{
		me.dialog(`{"type":2,"name":"Night party","occupants_ids":"` + anna.id + `","extensions":{"location":"Sunbar"}}`): "group",
		me.dialog(`{"type":3,"occupants_ids":"` + anna.id + `"}`):                                                         "private",
		me.dialog(`{"type":4,"name":"Blockchain trends"}`):                                                                "public",
		boris.dialog(`{"type":1,"name":"News"}`):                                                                          "broadcast",
		boris.dialog(`{"type":2,"name":"Not mine","occupants_ids":"` + anna.id + `"}`):                                    "not mine",
	}
	byName := map[string]string{}
	for id, name := range names {
		byName[name] = id
	}
	me.say(byName["group"], "hi")
	tests := []struct{ query, want string }{
		{"", "broadcast group private public"},
		{"?_id={group}", "group"},
		{"?_id[in]={group},%20{public},{not mine}", "group public"},
		{"?_id[nin]={group}", "broadcast private public"},
		{"?_id[ne]={group}", "broadcast private public"},
		{"?type[in]=2%2C3", "group private"},
		{"?type[in][]=2&type[in][]=3", "group private"},
		{"?type[]=2&type[]=3", "group private"},
		{"?type=4", "public"},
		{"?type[lt]=3", "broadcast group"},
		{"?type[gte]=3&type[lte]=3", "private"},
		{"?name=Night%20party", "group"},
		{"?name[ctn]=party", "group"},
		{"?name[ctn]=Party", ""},
		{"?name[gt]=N", "broadcast group private"}, // its name is anna, as that of the other user
		{"?extensions[location]=Sunbar", "group"},
		{"?extensions[location][ctn]=bar", "group"},
		{"?extensions[location]=Moonbar", ""},
		{"?occupants_ids[all]={me},{anna}", "group private"},
		{"?updated_at[gt]=1455098137", "broadcast group private public"},
		{"?updated_at[gt]=2016-02-10T10:00:00.000Z&created_at[lt]=2100-01-01T00:00:00Z", "broadcast group private public"},
		{"?created_at[gt]=2100-01-01T00:00:00Z", ""},
		{"?last_message_date_sent[gt]=1", "group"},
		{"?last_message_date_sent[ne]=1&type=2", "group"},
		{"?sort_desc=last_message_date_sent&limit=1", "group"},
		{"?sort_asc=name&skip=1&limit=2", "broadcast group"},
		{"?skip=10", ""},
		{"?limit=0", "invalid"},
		{"?limit=x", "invalid"},
		{"?skip=-1", "invalid"},
		{"?type[like]=2", "invalid"},
		{"?type[eq]=2", "invalid"},
		{"?type=group", "invalid"},
		{"?type[ctn]=2", "invalid"},
		{"?created_at[gt]=yesterday", "invalid"},
		{"?shoe_size[eq]=44", "invalid"},
		{"?sort_asc=shoe_size", "invalid"},
		{"?sort_asc=name&sort_desc=name", "invalid"},
	}
	fill := []string{"{me}", me.id, "{anna}", anna.id}
	for name, id := range byName {
		fill = append(fill, "{"+name+"}", id)
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			query := strings.NewReplacer(fill...).Replace(tt.query)
			if tt.want == "invalid" {
				me.call(422, "GET /chat/Dialog.json"+query, "")
				return
			}
			g := me.call(200, "GET /chat/Dialog.json"+query, "")
			var found []string
			for _, id := range g.strs("items", "_id") {
				found = append(found, names[id])
			}
			if !strings.Contains(query, "sort_") {
				slices.Sort(found)
			}
			if got := strings.Join(found, " "); got != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
	if g := me.call(200, "GET /chat/Dialog.json?count=1&type[in]=2,3", ""); g.text != `{"items":{"count":2}}`+"\n" {
		t.Errorf("count = %s", g.text)
	}
	g := me.call(200, "GET /chat/Dialog?limit=2&skip=1", "")
	if g.str("total_entries")+g.str("skip")+g.str("limit") != "412" || len(g.strs("items", "_id")) != 2 {
		t.Errorf("page = %s", g.text)
	}
}
