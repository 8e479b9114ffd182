package sandbox_test

import (
	"path/filepath"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

// A message of any XMPP library can be marked, edited and deleted by the ID of its stanza,
// also after a restart of the sandbox.
func TestStanzaIDsOfAnyFormNameTheMessage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sandbox.json")
	s := open(t, file)
	all := chatters(t, s, "anna", "boris", "clara")
	anna, boris, clara := all[0], all[1], all[2]
	const uuid = "0e0a1b8a-3a0f-4c3e-9e62-1a3f0a6f2b7c"
	anna.stanza(boris.id+jids, "chat", uuid, `<body>one</body>`+history)
	e := boris.next()
	if e.Attr("id") != uuid {
		t.Fatalf("boris got %s", e)
	}
	dialog := extra(e, "dialog_id")
	group := anna.group(boris.person)
	room := "1001_" + group + "@muc.chat.connectycube.com"
	anna.stanza(room, "groupchat", uuid, `<body>two</body>`+history) // the same ID in another dialog
	if echo := anna.next(); echo.Attr("id") != uuid {
		t.Errorf("the echo is %s", echo)
	}
	boris.next()
	anna.stanza(room, "groupchat", "another-id", `<body>three</body>`+history)
	anna.next()
	boris.next()
	look := func(dialog, path string) string {
		t.Helper()
		return anna.call(200, "GET /chat/Message?mark_as_read=0&chat_dialog_id="+dialog, "").str("items.0." + path)
	}
	if id := look(dialog, "_id"); len(id) != 24 || id != extra(e, "message_id") {
		t.Errorf("the history has ID %q, the stanza %q", id, extra(e, "message_id"))
	}

	clara.stanza(anna.id+jids, "chat", "m", `<displayed xmlns="urn:xmpp:chat-markers:0" id="`+uuid+`"/>`) // of no dialog with her
	anna.next()
	boris.stanza(anna.id+jids, "chat", "m", `<displayed xmlns="urn:xmpp:chat-markers:0" id="`+uuid+`"/>`)
	anna.next()
	if got := look(dialog, "read_ids"); !strings.Contains(got, boris.id) || strings.Contains(got, clara.id) {
		t.Errorf("read by %s", got)
	}
	if got := look(group, "read_ids"); strings.Contains(got, boris.id) {
		t.Errorf("the group's message is read by %s", got)
	}
	boris.stanza(room, "groupchat", "m", `<displayed xmlns="urn:xmpp:chat-markers:0" id="`+uuid+`"/>`)
	anna.next()
	if got := look(group, "read_ids"); !strings.Contains(got, boris.id) {
		t.Errorf("the group's message is read by %s", got)
	}

	boris.stanza(room, "groupchat", "e", `<body>forged</body><replace xmlns="urn:xmpp:message-correct:0" id="`+uuid+`"/>`)
	for e := boris.next(); e.Attr("type") != "error"; {
		e = boris.next()
	}
	shut(t, s)
	s = open(t, file)
	anna, boris = rejoin(t, s, anna), rejoin(t, s, boris)
	anna.stanza(room, "groupchat", "e", `<body>edited</body><replace xmlns="urn:xmpp:message-correct:0" id="`+uuid+`"/>`)
	boris.next()
	if got := look(group, "message"); got != "edited" {
		t.Errorf("the group's message is %q", got)
	}
	anna.stanza(boris.id+jids, "chat", "d", `<remove xmlns="urn:xmpp:message-delete:0" id="`+uuid+`"/>`)
	boris.next()
	if got := look(dialog, "message"); got != "" {
		t.Errorf("a deleted message is %q", got)
	}
	if got := look(group, "message"); got != "edited" {
		t.Errorf("the group's message is %q", got)
	}
}

// Some clients count their IDs from 1, so two users can have the same ones.
func TestTheSameStanzaIDOfTwoUsersNamesTheRightMessage(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	all := chatters(t, s, "anna", "boris")
	anna, boris := all[0], all[1]
	group := anna.group(boris.person)
	room := "1001_" + group + "@muc.chat.connectycube.com"
	send := func(from *chatter, id, inside string) {
		t.Helper()
		from.stanza(room, "groupchat", id, inside)
		for _, d := range []*chatter{anna, boris} {
			if e := d.next(); e.Attr("type") == "error" || e.Attr("id") != id {
				t.Errorf("%s with %s became %s", id, inside, e)
			}
		}
	}
	text := func(body string) string { return `<body>` + body + `</body>` }
	look := func(at, path string) string {
		t.Helper()
		return anna.call(200, "GET /chat/Message?mark_as_read=0&sort_asc=date_sent&chat_dialog_id="+group, "").str("items." + at + "." + path)
	}
	send(anna, "1", text("of anna")+history)
	send(boris, "1", text("of boris")+history) // the newest
	send(anna, "2", text("edited by anna")+`<replace xmlns="urn:xmpp:message-correct:0" id="1"/>`)
	if a, b := look("0", "message"), look("1", "message"); a != "edited by anna" || b != "of boris" {
		t.Errorf("after an edit: %q and %q", a, b)
	}
	send(boris, "3", `<displayed xmlns="urn:xmpp:chat-markers:0" id="1"/>`)
	if got := look("0", "read_ids"); !strings.Contains(got, boris.id) {
		t.Errorf("anna's message is read by %s", got)
	}
	send(anna, "4", `<remove xmlns="urn:xmpp:message-delete:0" id="1"/>`)
	if got := look("0", "message"); got != "of boris" || look("1", "_id") != "" {
		t.Errorf("after a deletion the first one is %q", got)
	}
}

// rejoin connects a chatter to a sandbox that has read the data file of the former one.
func rejoin(t *testing.T, s *sandbox.Sandbox, d *chatter) *chatter {
	t.Helper()
	p := d.person
	p.caller = in(t, s)
	again, err := enter(t.Context(), p.base, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.conn.CloseNow() })
	return again
}
