package sandbox_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube/sandbox"
)

func TestCreateMessage(t *testing.T) {
	all := people(t, sandbox.New(sandbox.Options{}), "anna", "boris")
	anna, boris := all[0], all[1]
	private := anna.dialog(`{"type":3,"occupants_ids":"` + boris.id + `"}`)
	group := anna.group(boris)
	tests := []struct {
		name, body string
		status     int
		want       map[string]string
	}{
		{"in a private dialog", `{"chat_dialog_id":"` + private + `","message":"hello"}`, 201, map[string]string{
			"message": "hello", "sender_id": anna.id, "recipient_id": boris.id, "read_ids": "[" + anna.id + "]", "delivered_ids": "[" + anna.id + "]",
			"read": "0", "views_count": "0", "reactions": "", "attachments": "[]"}},
		{"in a group", `{"chat_dialog_id":"` + group + `","message":"hello"}`, 201, map[string]string{"recipient_id": "0", "chat_dialog_id": group}},
		{"to a user", `{"recipient_id":` + boris.id + `,"message":"hello"}`, 201, map[string]string{"chat_dialog_id": private}},
		{"to a user, as text", `{"recipient_id":"` + boris.id + `"}`, 201, map[string]string{"chat_dialog_id": private, "message": ""}},
		{"custom parameters", `{"chat_dialog_id":"` + group + `","country":"USA","n":5,"nested":{"k":["v"]},"send_to_chat":1,"markable":"1","sender_id":1,"_id":"x","read_ids":[1]}`, 201, map[string]string{
			"country": "USA", "n": "5", "nested.k.0": "v", "send_to_chat": "", "markable": "", "sender_id": anna.id, "read_ids": "[" + anna.id + "]"}},
		{"attachments in a list", `{"chat_dialog_id":"` + group + `","attachments":[{"type":"image","id":"3004"},{"type":"video","size":12,"url":null}]}`, 201, map[string]string{
			"attachments.0.id": "3004", "attachments.1.size": "12", "attachments.1": "map[size:12 type:video]"}},
		{"attachments in an object", `{"chat_dialog_id":"` + group + `","attachments":{"10":{"id":"last"},"7":{"id":"second"},"3":{"id":"first"}}}`, 201, map[string]string{
			"attachments.0.id": "first", "attachments.1.id": "second", "attachments.2.id": "last"}},
		{"attachments that are none", `{"chat_dialog_id":"` + group + `","attachments":"image"}`, 201, map[string]string{"attachments": "[]"}},
		{"to nowhere", `{"message":"hello"}`, 422, nil},
		{"to an unknown user", `{"recipient_id":7,"message":"hello"}`, 422, nil},
		{"to oneself", `{"recipient_id":` + anna.id + `,"message":"hello"}`, 422, nil},
		{"in an unknown dialog", `{"chat_dialog_id":"5c094c0ce588ce6856f87422","message":"hello"}`, 404, map[string]string{"errors.0": "The resource wasn't found"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := anna.call(tt.status, "POST /chat/Message.json", tt.body)
			for path, want := range tt.want {
				if v := g.str(path); v != want {
					t.Errorf("%s = %q, want %q", path, v, want)
				}
			}
			for path, shape := range map[string]string{"_id": "oid", "chat_dialog_id": "oid", "date_sent": "number", "created_at": "seconds", "updated_at": "seconds"} {
				if v := g.str(path); tt.status == 201 && !shapes[shape].MatchString(v) {
					t.Errorf("%s = %q, want a %s", path, v, shape)
				}
			}
		})
	}
}

func TestListMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := people(t, sandbox.New(sandbox.Options{}), "anna", "boris")
		anna, boris := all[0], all[1]
		dialog := anna.group(boris)
		at := map[string]string{}
		for _, m := range []struct {
			by   person
			body string
		}{
			{anna, `"message":"first"`},
			{boris, `"message":"second","attachments":[{"type":"image","id":"1"},{"type":"audio","id":"2"}]`},
			{anna, `"message":"third","mission":"intel"`},
			{boris, `"message":"fourth, or not","attachments":[{"type":"image","id":"1"}]`},
		} {
			time.Sleep(time.Minute)
			g := m.by.call(201, "POST /chat/Message", `{"chat_dialog_id":"`+dialog+`",`+m.body+`}`)
			word, _, _ := strings.Cut(g.str("message"), ",")
			at["{"+word+"}"], at["{id "+word+"}"] = g.str("date_sent"), g.str("_id")
		}
		fill := []string{"{anna}", anna.id, "{boris}", boris.id}
		for key, value := range at {
			fill = append(fill, key, value)
		}
		tests := []struct{ query, want string }{
			{"", "first second third fourth"},
			{"&sort_desc=date_sent", "fourth third second first"},
			{"&sort_desc=date_sent&limit=2&skip=1", "third second"},
			{"&sort_asc=_id", "first second third fourth"},
			{"&date_sent[gt]={second}", "third fourth"},
			{"&date_sent[gte]={second}&date_sent[lt]={fourth}", "second third"},
			{"&date_sent={second}", "second"},
			{"&_id={id third}", "third"},
			{"&_id[in]={id third},{id first}", "first third"},
			{"&_id[gt]={id second}", "third fourth"},
			{"&sender_id={anna}", "first third"},
			{"&sender_id[ne]={anna}", "second fourth"},
			{"&recipient_id=0", "first second third fourth"},
			{"&message=third", "third"},
			{"&message=fourth,%20or%20not", "fourth"},
			{"&message[ctn]=ir", "first third"},
			{"&attachments.type=image", "second fourth"},
			{"&attachments.type[all]=image,audio", "second"},
			{"&attachments.type[in]=audio,video", "second"},
			{"&attachments.type[nin]=audio", "first third fourth"},
			{"&mission=intel", "third"},
			{"&updated_at[lt]={second}", "first"},
			{"&limit=2000", "first second third fourth"},
			{"&sender_id[like]=1", "invalid"},
			{"&sort_asc=message", "invalid"},
			{"&sender_id=anna", "invalid"},
		}
		for _, tt := range tests {
			request := "GET /chat/Message.json?mark_as_read=0&chat_dialog_id=" + dialog + strings.NewReplacer(fill...).Replace(tt.query)
			if tt.want == "invalid" {
				anna.call(422, request, "")
				continue
			}
			g := anna.call(200, request, "")
			var found []string
			for _, text := range g.strs("items", "message") {
				word, _, _ := strings.Cut(text, ",")
				found = append(found, word)
			}
			if got := strings.Join(found, " "); got != tt.want {
				t.Errorf("%s found %q, want %q", tt.query, got, tt.want)
			}
		}
		if g := anna.call(200, "GET /chat/Message?count=1&chat_dialog_id="+dialog, ""); g.str("items.count") != "4" {
			t.Errorf("count = %s", g.text)
		}
		anna.call(422, "GET /chat/Message", "")
		anna.call(404, "GET /chat/Message?chat_dialog_id=5c093376e588ce6856f873fe", "")
	})
}

// TestReceipts: lists mark their messages once; times change only with news.
func TestReceipts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := people(t, sandbox.New(sandbox.Options{}), "anna", "boris")
		anna, boris := all[0], all[1]
		dialog := anna.dialog(`{"type":3,"occupants_ids":"` + boris.id + `"}`)
		first, second := anna.say(dialog, "first"), anna.say(dialog, "second")
		look := func(id string) got {
			t.Helper()
			return anna.call(200, "GET /chat/Message?mark_as_read=0&chat_dialog_id="+dialog+"&_id="+id, "")
		}
		status := func(want string, unread string) {
			t.Helper()
			a, b := anna.call(200, "GET /chat/Dialog", ""), boris.call(200, "GET /chat/Dialog", "")
			if v := a.str("items.0.last_message_status"); v != want {
				t.Errorf("status = %q, want %q", v, want)
			}
			if v := b.str("items.0.last_message_status"); v != "" {
				t.Errorf("status for the recipient = %q, want none", v)
			}
			if v := b.str("items.0.unread_messages_count"); v != unread {
				t.Errorf("unread = %s, want %s", v, unread)
			}
		}
		status("sent", "2")
		made := look(first).str("items.0.updated_at")

		time.Sleep(time.Minute)
		boris.call(200, "PUT /chat/Message/"+second+".json", `{"delivered":1,"chat_dialog_id":"`+dialog+`"}`)
		status("delivered", "2")
		time.Sleep(time.Minute)
		list := boris.call(200, "GET /chat/Message.json?limit=1&chat_dialog_id="+dialog, "")
		if list.str("items.0.read_ids") != "["+anna.id+"]" || list.str("items.0.read") != "0" {
			t.Errorf("the list that marks a message shows it marked: %s", list.text)
		}
		status("delivered", "1")
		g := look(first)
		both := "[" + anna.id + " " + boris.id + "]"
		if g.str("items.0.read_ids") != both || g.str("items.0.delivered_ids") != both || g.str("items.0.read") != "1" {
			t.Errorf("read message = %s", g.text)
		}
		moved := g.str("items.0.updated_at")
		if moved == made || g.str("items.0.created_at") != made {
			t.Errorf("updated_at = %s, want it later than %s", moved, made)
		}

		time.Sleep(time.Minute)
		boris.call(200, "GET /chat/Message.json?chat_dialog_id="+dialog, "")
		status("read", "0")
		if v := look(first).str("items.0.updated_at"); v != moved {
			t.Errorf("updated_at = %s without news, want %s", v, moved)
		}
	})
}

func TestMarkAllOfADialog(t *testing.T) {
	all := people(t, sandbox.New(sandbox.Options{}), "anna", "boris", "clara")
	anna, boris, clara := all[0], all[1], all[2]
	dialog := anna.group(boris, clara)
	for range 3 {
		anna.say(dialog, "x")
	}
	for _, path := range []string{"PUT /chat/Message.json", "PUT /chat/Message/.json"} {
		boris.call(200, path, `{"read":"1","chat_dialog_id":"`+dialog+`"}`)
	}
	for p, want := range map[person]string{boris: "0", clara: "3"} {
		if g := p.call(200, "GET /chat/Message/unread.json", ""); g.str("total") != want {
			t.Errorf("unread = %s, want %s", g.text, want)
		}
	}
	boris.call(422, "PUT /chat/Message.json", `{"read":"1"}`)
	boris.call(404, "PUT /chat/Message/5c094e30e588ce59fff87431.json", `{"read":"1"}`)
}

func TestUnreadCount(t *testing.T) {
	all := people(t, sandbox.New(sandbox.Options{}), "anna", "boris")
	anna, boris := all[0], all[1]
	group, private := anna.group(boris), anna.dialog(`{"type":3,"occupants_ids":"`+boris.id+`"}`)
	public := anna.dialog(`{"type":4,"name":"p","admins_ids":"` + boris.id + `"}`)
	foreign := anna.dialog(`{"type":4,"name":"p"}`)
	for dialog, n := range map[string]int{group: 3, private: 2, public: 5} {
		for range n {
			anna.say(dialog, "x")
		}
	}
	tests := []struct {
		query string
		want  map[string]string
	}{
		{"", map[string]string{"total": "5", group: ""}},
		{"?chat_dialog_ids=" + group + "%2C%20" + private, map[string]string{"total": "5", group: "3", private: "2"}},
		{"?chat_dialog_ids=" + private, map[string]string{"total": "2", private: "2", group: ""}},
		{"?chat_dialog_ids[]=" + group + "&chat_dialog_ids[]=" + public, map[string]string{"total": "3", group: "3", public: ""}},
		{"?chat_dialog_ids=" + foreign + ",76ok0l3e989c12a0e45432a7", map[string]string{"total": "0", foreign: ""}},
		{"?dialogs_ids[]=" + group + "&dialogs_ids[]=" + private, map[string]string{"total": "5", group: ""}}, // the guide's mistake
	}
	for _, tt := range tests {
		g := boris.call(200, "GET /chat/Message/unread.json"+tt.query, "")
		for key, want := range tt.want {
			if v := g.str(key); v != want {
				t.Errorf("%s: %s = %q, want %q: %s", tt.query, key, v, want, g.text)
			}
		}
	}
	if g := anna.call(200, "GET /chat/Message/unread", ""); g.str("total") != "0" {
		t.Errorf("own messages are unread: %s", g.text)
	}
}

func TestDeleteMessages(t *testing.T) {
	all := people(t, sandbox.New(sandbox.Options{}), "anna", "boris", "clara")
	anna, boris, clara := all[0], all[1], all[2]
	dialog := anna.group(boris)
	first, second, third := anna.say(dialog, "first"), boris.say(dialog, "second"), anna.say(dialog, "third")
	foreign := clara.say(clara.group(anna), "x")
	see := func(p person, want string) {
		t.Helper()
		g := p.call(200, "GET /chat/Message?mark_as_read=0&chat_dialog_id="+dialog, "")
		if v := strings.Join(g.strs("items", "message"), " "); v != want {
			t.Errorf("messages = %q, want %q", v, want)
		}
	}

	g := boris.call(200, "DELETE /chat/Message/"+first+","+first+","+foreign+",5c094682e588ce59fff87424.json", "")
	if want := `{"SuccessfullyDeleted":{"ids":["` + first + `"]},"NotFound":{"ids":["5c094682e588ce59fff87424"]},"WrongPermissions":{"ids":["` + foreign + `"]}}` + "\n"; g.text != want {
		t.Errorf("report = %s, want %s", g.text, want)
	}
	see(boris, "second third")
	see(anna, "first second third")
	if g := boris.call(200, "GET /chat/Message/unread", ""); g.str("total") != "1" {
		t.Errorf("unread = %s", g.text)
	}
	if g := boris.call(200, "DELETE /chat/Message/"+first, ""); len(g.strs("NotFound", "ids")) != 0 || g.str("NotFound.ids.0") != first {
		t.Errorf("deleting it again: %s", g.text)
	}

	anna.call(200, "DELETE /chat/Message/"+third+"?force=1", "") // in the query, as Dart sends it
	see(boris, "second")
	if g := boris.call(200, "GET /chat/Dialog", ""); g.str("items.0.last_message") != "second" {
		t.Errorf("last message = %s", g.text)
	}
	anna.call(200, "DELETE /chat/Dialog/clearHistory/"+dialog+".json", "")
	see(anna, "")
	see(boris, "second")
	anna.call(200, "DELETE /chat/Dialog/clearHistory/"+dialog+".json", "force=1")
	see(boris, "")
	boris.call(404, "GET /chat/Message/"+second+"/reactions", "")
}

func TestEditMessage(t *testing.T) {
	all := people(t, sandbox.New(sandbox.Options{}), "anna", "boris")
	anna, boris := all[0], all[1]
	dialog := anna.group(boris)
	id := anna.say(dialog, "first")
	if g := anna.call(200, "PUT /chat/Message/"+id+".json", `{"message":"changed","chat_dialog_id":"`+dialog+`"}`); g.text != "" {
		t.Errorf("body = %q, want none", g.text)
	}
	if g := boris.call(200, "GET /chat/Dialog", ""); g.str("items.0.last_message") != "changed" {
		t.Errorf("last message = %s", g.text)
	}
	anna.call(404, "PUT /chat/Message/"+id, `{"message":"x","chat_dialog_id":"5c094c0ce588ce6856f87422"}`)
}

func TestPreview(t *testing.T) {
	all := people(t, sandbox.New(sandbox.Options{}), "anna", "boris")
	anna, boris := all[0], all[1]
	dialog := anna.dialog(`{"type":4,"name":"channel","permissions":{"allow_preview":true}}`)
	for range 21 {
		anna.say(dialog, "x")
	}
	request := "GET /chat/Message?preview=1&limit=1&skip=5&chat_dialog_id=" + dialog
	if n := len(boris.call(200, request, "").strs("items", "_id")); n != 20 {
		t.Errorf("%d messages, want 20", n)
	}
	boris.call(403, "GET /chat/Message?chat_dialog_id="+dialog, "")
	anna.call(200, "PUT /chat/Dialog/"+dialog, `{"permissions":{"allow_preview":false}}`)
	boris.call(403, request, "")
}

func TestViewsAreCountedInPublicDialogs(t *testing.T) {
	all := people(t, sandbox.New(sandbox.Options{}), "anna", "boris")
	anna, boris := all[0], all[1]
	for kind, want := range map[string]string{`"type":4`: "1", `"type":1`: "1", `"type":2,"occupants_ids":"` + boris.id + `"`: "0"} {
		dialog := anna.dialog(`{"name":"d",` + kind + `}`)
		if kind == `"type":4` {
			boris.call(200, "POST /chat/Dialog/"+dialog+"/subscribe", "")
		}
		anna.say(dialog, "x")
		boris.call(200, "GET /chat/Message?chat_dialog_id="+dialog, "")
		boris.call(200, "GET /chat/Message?chat_dialog_id="+dialog, "")
		if v := anna.call(200, "GET /chat/Message?chat_dialog_id="+dialog, "").str("items.0.views_count"); v != want {
			t.Errorf("%s: views = %s, want %s", kind, v, want)
		}
	}
}

func TestSearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := people(t, sandbox.New(sandbox.Options{}), "anna", "boris")
		anna, boris := all[0], all[1]
		mine := anna.dialog(`{"type":2,"name":"lorem ipsum","occupants_ids":"` + boris.id + `"}`)
		other := anna.dialog(`{"type":4,"name":"Lorem"}`)
		foreign := boris.dialog(`{"type":4,"name":"lorem too"}`)
		boris.say(foreign, "lorem foreign")
		begin := time.Now()
		boris.say(mine, "old lorem")
		time.Sleep(time.Hour)
		boris.say(mine, "new lorem")
		boris.say(mine, "new Lorem")
		anna.say(other, "public lorem")
		day := func(days int) string { return begin.AddDate(0, 0, days).UTC().Format("2006-01-02T15:04:05.000Z") }
		later := begin.Add(time.Minute).UTC().Format(time.RFC3339)
		tests := []struct{ query, dialogs, messages string }{
			{"search_text=lorem", "lorem ipsum", "public lorem|new lorem|old lorem"},
			{"search_text=Lorem", "Lorem", "new Lorem"},
			{"search_text=lorem&chat_dialog_ids=" + mine, "lorem ipsum", "new lorem|old lorem"},
			{"search_text=lorem&chat_dialog_ids=" + other + ",%20" + foreign, "", "public lorem"},
			{"search_text=lorem&start_date=" + day(0) + "&end_date=" + day(-80), "", "old lorem"},
			{"search_text=lorem&end_date=" + later, "lorem ipsum", "public lorem|new lorem"},
			{"search_text=lorem&limit=1", "lorem ipsum", "public lorem"},
			{"search_text=lorem&limit=1000", "lorem ipsum", "public lorem|new lorem|old lorem"},
			{"search_text=lore", "invalid", ""},
			{"", "invalid", ""},
			{"search_text=lorem&chat_dialog_ids=1,2,3,4,5,6,7,8,9,10,11", "invalid", ""},
			{"search_text=lorem&start_date=" + day(0), "invalid", ""},
			{"search_text=lorem&start_date=" + day(0) + "&end_date=" + day(-93), "invalid", ""},
			{"search_text=lorem&end_date=yesterday", "invalid", ""},
			{"search_text=lorem&limit=x", "invalid", ""},
		}
		for _, tt := range tests {
			if tt.dialogs == "invalid" {
				anna.call(422, "GET /chat/search.json?"+tt.query, "")
				continue
			}
			g := anna.call(200, "GET /chat/search.json?"+tt.query, "")
			dialogs, messages := strings.Join(g.strs("results.dialogs", "name"), "|"), strings.Join(g.strs("results.messages", "message"), "|")
			if dialogs != tt.dialogs || messages != tt.messages || g.str("results.users") != "[]" {
				t.Errorf("%s found %q and %q, want %q and %q", tt.query, dialogs, messages, tt.dialogs, tt.messages)
			}
		}
	})
}
