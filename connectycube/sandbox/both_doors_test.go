package sandbox_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"cubegate/connectycube/sandbox"
	"cubegate/connectycube/xmpp"
)

// TestAMessageOfTheChatIsInREST, and its receipts, its edit and its deletion.
func TestAMessageOfTheChatIsInREST(t *testing.T) {
	all := chatters(t, sandbox.New(sandbox.Options{}), "anna", "boris")
	anna, boris := all[0], all[1]
	const id = "5c094e30e588ce59fff87431"
	anna.stanza(boris.id+jids, "chat", id, `<body>hi &lt;b&gt;</body><extraParams xmlns="jabber:client"><save_to_history>1</save_to_history>`+
		`<attachment uid="abc" type="photo" size="12"/><mission>intel</mission><nested><k>v</k></nested></extraParams>`)
	e := boris.next()
	dialog := extra(e, "dialog_id")
	look := func() got {
		t.Helper()
		return anna.call(200, "GET /chat/Message?mark_as_read=0&chat_dialog_id="+dialog, "")
	}
	g := look()
	for path, want := range map[string]string{
		"items.0._id": id, "items.0.message": "hi <b>", "items.0.sender_id": anna.id, "items.0.recipient_id": boris.id, "items.0.mission": "intel",
		"items.0.nested.k": "v", "items.0.attachments": "[map[size:12 type:photo uid:abc]]", "items.0.read_ids": "[" + anna.id + "]",
		"items.0.save_to_history": "", "items.0.date_sent": extra(e, "date_sent"),
	} {
		if v := g.str(path); v != want {
			t.Errorf("%s = %q, want %q", path, v, want)
		}
	}
	if g := boris.call(200, "GET /chat/Dialog", ""); g.str("items.0._id") != dialog || g.str("items.0.type") != "3" || g.str("items.0.unread_messages_count") != "1" {
		t.Errorf("dialog = %s", g.text)
	}

	for _, step := range []struct{ inside, path, want string }{
		{`<received xmlns="urn:xmpp:chat-markers:0" id="` + id + `"/>`, "items.0.delivered_ids", "[" + anna.id + " " + boris.id + "]"},
		{`<displayed xmlns="urn:xmpp:chat-markers:0" id="` + id + `"/>`, "items.0.read_ids", "[" + anna.id + " " + boris.id + "]"},
	} {
		boris.stanza(anna.id+jids, "chat", "m", step.inside)
		anna.next()
		if v := look().str(step.path); v != step.want {
			t.Errorf("%s = %s, want %s", step.path, v, step.want)
		}
	}
	if g := boris.call(200, "GET /chat/Message/unread", ""); g.str("total") != "0" {
		t.Errorf("unread = %s", g.text)
	}

	anna.stanza(boris.id+jids, "chat", "e", `<body>changed</body><replace xmlns="urn:xmpp:message-correct:0" id="`+id+`" last="true"/>`)
	boris.next()
	if v := look().str("items.0.message"); v != "changed" {
		t.Errorf("edited message = %q", v)
	}
	anna.stanza(boris.id+jids, "chat", "d", `<remove xmlns="urn:xmpp:message-delete:0" id="`+id+`"/>`)
	boris.next()
	if g := look(); g.str("items") != "[]" {
		t.Errorf("after the deletion: %s", g.text)
	}
}

// TestOthersMessagesAreSafeInTheChat: users can neither edit nor delete messages of others,
// and outsiders get an error.
func TestOthersMessagesAreSafeInTheChat(t *testing.T) {
	all := chatters(t, sandbox.New(sandbox.Options{}), "anna", "boris", "clara")
	anna, boris, clara := all[0], all[1], all[2]
	dialog := anna.group(boris.person)
	room := "1001_" + dialog + "@muc.chat.connectycube.com"
	id := anna.say(dialog, "mine")
	for _, inside := range []string{
		`<body>x</body>` + history,
		`<body>x</body><replace xmlns="urn:xmpp:message-correct:0" id="` + id + `"/>`,
		`<remove xmlns="urn:xmpp:message-delete:0" id="` + id + `"/>`,
	} {
		clara.stanza(room, "groupchat", "c", inside)
		if e := clara.next(); e.Attr("type") != "error" {
			t.Errorf("an outsider's %s gave %s", inside, e)
		}
		if !strings.Contains(inside, id) {
			continue
		}
		boris.stanza(room, "groupchat", "b", inside)
		if e := boris.next(); e.Attr("type") != "error" {
			t.Errorf("an occupant's %s gave %s", inside, e)
		}
	}
	if g := anna.call(200, "GET /chat/Message?chat_dialog_id="+dialog, ""); strings.Join(g.strs("items", "message"), " ") != "mine" {
		t.Errorf("messages = %s", g.text)
	}
}

// TestWhatIsNotSavedIsNotKept: such a message still creates the dialog; users cannot write
// to themselves.
func TestWhatIsNotSavedIsNotKept(t *testing.T) {
	all := chatters(t, sandbox.New(sandbox.Options{}), "anna", "boris")
	anna, boris := all[0], all[1]
	anna.stanza(boris.id+jids, "chat", "5c094e30e588ce59fff87431", `<body>psst</body>`)
	e := boris.next()
	dialog := extra(e, "dialog_id")
	if extra(e, "message_id") != "5c094e30e588ce59fff87431" {
		t.Errorf("message = %s", e)
	}
	if g := boris.call(200, "GET /chat/Message?chat_dialog_id="+dialog, ""); g.str("items") != "[]" {
		t.Errorf("messages = %s", g.text)
	}
	if g := boris.call(200, "GET /chat/Dialog", ""); g.str("items.0._id") != dialog || g.str("items.0.last_message") != "" {
		t.Errorf("dialog = %s", g.text)
	}
	anna.stanza(anna.id+jids, "chat", "self", `<body>me</body>`+history)
	if e := anna.next(); e.Attr("type") != "error" {
		t.Errorf("to oneself: %s", e)
	}
}

// TestParametersOfTheChatDoNotPoseAsTheServices: a sender cannot set the readers or the sender
// of a message. An invalid ID is replaced.
func TestParametersOfTheChatDoNotPoseAsTheServices(t *testing.T) {
	all := chatters(t, sandbox.New(sandbox.Options{}), "anna", "boris")
	anna, boris := all[0], all[1]
	var ids []string
	for _, id := range []string{"5c094e30e588ce59fff87431", "", "short"} {
		anna.stanza(boris.id+jids, "chat", id, `<body>x</body><extraParams xmlns="jabber:client"><save_to_history>1</save_to_history>`+
			`<sender_id>7</sender_id><read_ids>7</read_ids><_id>x</_id><mission>intel</mission></extraParams>`)
		e := boris.next()
		ids = append(ids, extra(e, "message_id"))
		g := boris.call(200, "GET /chat/Message?mark_as_read=0&sort_desc=_id&chat_dialog_id="+extra(e, "dialog_id")+"&_id="+ids[len(ids)-1], "")
		if g.str("items.0.sender_id") != anna.id || g.str("items.0.read_ids") != "["+anna.id+"]" || g.str("items.0.mission") != "intel" {
			t.Errorf("message = %s", g.text)
		}
	}
	if ids[0] != "5c094e30e588ce59fff87431" || ids[1] == ids[0] || !shapes["oid"].MatchString(ids[1]) || !shapes["oid"].MatchString(ids[2]) {
		t.Errorf("ids = %s", ids)
	}
}

// TestAChangeIsForTheDialogItWasSentTo: an edit in one dialog does not change a message of
// another.
func TestAChangeIsForTheDialogItWasSentTo(t *testing.T) {
	all := chatters(t, sandbox.New(sandbox.Options{}), "anna", "boris")
	anna, boris := all[0], all[1]
	group := anna.group(boris.person)
	id := anna.say(group, "mine")
	anna.stanza(boris.id+jids, "chat", "e", `<body>changed</body><replace xmlns="urn:xmpp:message-correct:0" id="`+id+`"/>`)
	boris.next()
	if g := boris.call(200, "GET /chat/Dialog", ""); g.str("items.0.last_message") != "mine" {
		t.Errorf("last message = %s", g.text)
	}
	anna.stanza("1001_"+group+"@muc.chat.connectycube.com", "groupchat", "e", `<body>changed</body><replace xmlns="urn:xmpp:message-correct:0" id="`+id+`"/>`)
	boris.next()
	if g := boris.call(200, "GET /chat/Dialog", ""); g.str("items.0.last_message") != "changed" {
		t.Errorf("last message = %s", g.text)
	}
}

func TestOnlyOwnSecretsOpenTheChat(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	t.Cleanup(func() { _ = s.Close() })
	all := people(t, s, "anna", "boris")
	for secret, want := range map[string]bool{all[0].token: true, "11111111": true, all[1].token: false, "": false, strings.Repeat("A1", 18): false} {
		d, err := enter(t.Context(), all[0].base, person{all[0].caller, all[0].id, secret})
		if (err == nil) != want {
			t.Errorf("with %q: %v, want it open: %v", secret, err, want)
		}
		if err == nil {
			d.conn.CloseNow()
		}
	}
}

func TestAResetForgivesWrongSecrets(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	t.Cleanup(func() { _ = s.Close() })
	p := person{caller: in(t, s), id: "1", token: "wrong"}
	refused := func(want string) {
		t.Helper()
		if _, err := enter(t.Context(), p.base, p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want %s", err, want)
		}
	}
	for range 10 {
		refused("not-authorized")
	}
	refused("temporary-auth-failure")
	s.Reset()
	refused("not-authorized")
}

// TestRESTReachesTheChat: only with the parameter for it.
func TestRESTReachesTheChat(t *testing.T) {
	all := chatters(t, sandbox.New(sandbox.Options{}), "anna", "boris")
	anna, boris := all[0], all[1]
	group, private := anna.group(boris.person), anna.dialog(`{"type":3,"occupants_ids":"`+boris.id+`"}`)
	for dialog, want := range map[string]string{
		group:   "1001_" + group + "@muc.chat.connectycube.com/" + anna.id,
		private: anna.id + jids,
	} {
		anna.say(dialog, "quiet")
		g := anna.call(201, "POST /chat/Message", `{"chat_dialog_id":"`+dialog+`","message":"loud <&>","send_to_chat":1,"mission":"intel","a b":"no name in XML","nested":{"k":"v"},"list":["a",["b"]],"attachments":[{"type":"image","id":"3004"}]}`)
		id := g.str("_id")
		e := boris.next()
		if body(e) != "loud <&>" || e.Attr("from") != want || extra(e, "dialog_id") != dialog || extra(e, "message_id") != id || extra(e, "mission") != "intel" {
			t.Errorf("message = %s", e)
		}
		params := e.Child(xmpp.NSClient, "extraParams")
		var list []string
		for _, p := range params.Children {
			if p.Name == "list" {
				list = append(list, p.Text)
			}
		}
		if strings.Join(list, " ") != `a ["b"]` {
			t.Errorf("list = %s", list)
		}
		if a := params.Child(xmpp.NSClient, "attachment"); a == nil || a.Attr("id") != "3004" || params.Child(xmpp.NSClient, "nested").ChildText(xmpp.NSClient, "k") != "v" {
			t.Errorf("message = %s", e)
		}

		boris.call(200, "PUT /chat/Message/"+id+"/reactions", `{"add":"👍"}`)
		boris.next() // gets it, too
		if dialog == group {
			anna.next() // her own message
		}
		e = anna.next()
		if r := e.Child(xmpp.NSClient, "reactions"); r == nil || r.Attr("message_id") != id || r.Attr("user_id") != boris.id {
			t.Errorf("reaction = %s", e)
		}

		anna.call(200, "DELETE /chat/Message/"+id, "force=1")
		if e := boris.next(); e.Child("urn:xmpp:message-delete:0", "remove") == nil {
			t.Errorf("removal = %s", e)
		}
		anna.next()
	}

	g := anna.call(200, "POST /chat/Message/system.json", `{"recipientId":`+boris.id+`,"a":"1","userExt":{"name":"Smith"}}`)
	if e := boris.next(); e.Attr("type") != "headline" || extra(e, "a") != "1" || e.Attr("id") != g.str("messageId") ||
		extra(e, "moduleIdentifier") != "SystemNotifications" || g.str("extensionParams.userExt.name") != "Smith" {
		t.Errorf("system message = %s, answer %s", e, g.text)
	}
	anna.call(422, "POST /chat/Message/system", `{"recipientId":7}`)
}

func TestOnlineIsInTheChat(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	all := chatters(t, s, "anna", "boris")
	anna, boris := all[0], all[1]
	if g := anna.call(200, "GET /users/online.json?count=true", ""); g.str("count") != "2" {
		t.Errorf("count = %s", g.text)
	}
	if g := anna.call(200, "GET /users/online.json?limit=1&offset=1", ""); strings.Join(g.strs("users", "id"), " ") != boris.id {
		t.Errorf("online = %s", g.text)
	}
	boris.call(200, "DELETE /users/"+boris.id, "")
	if e := boris.next(); e != nil {
		t.Errorf("after the deletion %s arrived, want the end", e)
	}
	if g := anna.call(200, "GET /users/online", ""); strings.Join(g.strs("users", "id"), " ") != anna.id {
		t.Errorf("online after the deletion = %s", g.text)
	}
}

// TestBothDoorsAtOnce: under concurrent REST and chat, every message is stored once, and all
// present users have read everything in the end.
func TestBothDoorsAtOnce(t *testing.T) {
	all := chatters(t, sandbox.New(sandbox.Options{}), "anna", "boris", "clara", "doris")
	var others []person
	for _, d := range all[1:] {
		others = append(others, d.person)
	}
	dialog := all[0].group(others...)
	room := "1001_" + dialog + "@muc.chat.connectycube.com"
	const each = 25
	var wg sync.WaitGroup
	for _, d := range all {
		header := []string{"CB-Token", d.token}
		wg.Go(func() {
			for i := range each {
				if err := d.write(fmt.Sprintf(`<message xmlns="jabber:client" to="%s" type="groupchat" id="%d"><body>c</body>%s</message>`, room, i, history)); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range each {
				for _, r := range [][3]string{
					{"POST", "/chat/Message", `{"chat_dialog_id":"` + dialog + `","message":"r","send_to_chat":1}`},
					{"GET", "/chat/Message?limit=10&sort_desc=date_sent&chat_dialog_id=" + dialog, ""},
					{"PUT", "/chat/Message", `{"read":1,"chat_dialog_id":"` + dialog + `"}`},
					{"GET", "/chat/Dialog", ""},
				} {
					if g, err := d.try(r[0], r[1], r[2], header...); err != nil || g.status > 201 {
						t.Errorf("%s %s: %v %s", r[0], r[1], err, g.text)
					}
				}
			}
		})
	}
	wg.Wait()
	want := 2 * each * len(all)
	for _, d := range all {
		ids := map[string]bool{}
		for range want {
			ids[extra(d.next(), "message_id")] = true
		}
		if len(ids) != want {
			t.Errorf("%d different messages arrived, want %d", len(ids), want)
		}
		d.call(200, "PUT /chat/Message", `{"read":1,"chat_dialog_id":"`+dialog+`"}`)
		if g := d.call(200, "GET /chat/Message/unread", ""); g.str("total") != "0" {
			t.Errorf("unread = %s", g.text)
		}
	}
	if g := all[0].call(200, "GET /chat/Message?count=1&chat_dialog_id="+dialog, ""); g.str("items.count") != fmt.Sprint(want) {
		t.Errorf("history has %s messages, want %d", g.str("items.count"), want)
	}
}

// TestPushesAreForThoseWhoAreAway and want them.
func TestPushesAreForThoseWhoAreAway(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	away := people(t, s, "clara", "doris")
	all := chatters(t, s, "anna", "boris")
	anna, boris := all[0], all[1]
	dialog := anna.group(append(away, boris.person)...)
	away[1].call(200, "PUT /chat/Dialog/"+dialog+"/notifications", `{"enabled":0}`)
	anna.say(dialog, "for the history only")
	anna.call(201, "POST /chat/Message", `{"chat_dialog_id":"`+dialog+`","message":"quiet","silent":1,"send_to_chat":1}`)
	anna.call(201, "POST /chat/Message", `{"chat_dialog_id":"`+dialog+`","message":"by REST","send_to_chat":1}`)
	anna.stanza("1001_"+dialog+"@muc.chat.connectycube.com", "groupchat", "x", `<body>by chat</body>`)
	for range 3 {
		boris.next()
	}
	var pushed []string
	for _, out := range s.Outbox() {
		pushed = append(pushed, fmt.Sprint(out.Text, " ", out.Users))
	}
	want := "by REST [" + away[0].id + "], by chat [" + away[0].id + "]"
	if got := strings.Join(pushed, ", "); got != want {
		t.Errorf("pushed %s, want %s", got, want)
	}
}

// TestWhoLeavesADialogIsShownOutOfItsRoom: every way of leaving sends the status of XEP-0045.
func TestWhoLeavesADialogIsShownOutOfItsRoom(t *testing.T) {
	tests := []struct {
		name  string
		leave func(anna, boris person, dialog string)
		by    func(anna, boris person) string
	}{
		{"is removed", func(anna, boris person, dialog string) {
			anna.call(200, "PUT /chat/Dialog/"+dialog, `{"pull_all":{"occupants_ids":[`+boris.id+`]}}`)
		}, annas},
		{"leaves", func(_, boris person, dialog string) { boris.call(200, "DELETE /chat/Dialog/"+dialog, "") }, borises},
		{"removes himself", func(_, boris person, dialog string) {
			boris.call(200, "PUT /chat/Dialog/"+dialog, `{"pull_all":{"occupants_ids":[`+boris.id+`]}}`)
		}, borises},
		{"unsubscribes", func(_, boris person, dialog string) { boris.call(200, "DELETE /chat/Dialog/"+dialog+"/subscribe", "") }, borises},
		{"dialog is deleted", func(anna, _ person, dialog string) { anna.call(200, "DELETE /chat/Dialog/"+dialog, "force=1") }, annas},
		{"dialog makes room", func(anna, _ person, _ string) {
			for range 3 {
				anna.dialog(`{"type":4,"name":"another"}`)
			}
		}, borises},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := sandbox.New(sandbox.Options{MaxDialogs: 3})
			all := chatters(t, s, "anna", "boris")
			anna, boris := all[0], all[1]
			dialog := anna.dialog(`{"type":4,"name":"public"}`)
			boris.call(200, "POST /chat/Dialog/"+dialog+"/subscribe", "")
			room := "1001_" + dialog + "@muc.chat.connectycube.com"
			if err := boris.write(`<presence xmlns="jabber:client" to="` + room + "/" + boris.id + `"><x xmlns="http://jabber.org/protocol/muc"/></presence>`); err != nil {
				t.Fatal(err)
			}
			boris.stanza(room, "groupchat", "m", "<body>here</body>"+history) // its echo proves that the join was read
			boris.next()
			tt.leave(anna.person, boris.person, dialog)
			anna.stanza(boris.id+jids, "chat", "n", "<body>sorry</body>") // and this, that the earlier stanzas were written
			boris.next()
			var shown []string
			for _, e := range s.Journal(0) {
				if strings.Contains(e.Stanza, "presence") && strings.Contains(e.Stanza, `code="301"`) {
					shown = append(shown, e.Stanza)
				}
			}
			if actor := `<actor jid="` + tt.by(anna.person, boris.person) + jids; len(shown) != 1 || !strings.Contains(shown[0], actor) {
				t.Errorf("the chat said %q, want one with %s", shown, actor)
			}
		})
	}
}

func annas(anna, _ person) string    { return anna.id }
func borises(_, boris person) string { return boris.id }
