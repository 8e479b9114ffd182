package sandbox_test

import (
	"fmt"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

func TestDialogsAndConversationsInPages(t *testing.T) {
	c := onThisMachine(t, sandbox.New(sandbox.Options{}))
	var messages, dialogs []string
	for i := range 120 {
		messages = append(messages, fmt.Sprintf(`{"dialog":"team","from":"ann","message":"m%d","ago":"%ds","read_by":["bob"]}`, i, 500-i))
		dialogs = append(dialogs, fmt.Sprintf(`{"key":"g%d","name":"Group %d","owner":"ann"}`, i, i))
	}
	g := c.seed(`{"users":[{"login":"ann","full_name":"Ann <i>","password":"11111111"},{"login":"bob","password":"11111111"}],
		"dialogs":[` + strings.Join(dialogs, ",") + `,{"key":"two","type":3,"owner":"ann","occupants":["bob"]},{"key":"team","name":"Team","owner":"ann","occupants":["bob"]}],
		"messages":[` + strings.Join(messages, ",") + `]}`)
	team := g.str("dialogs.team")

	if g := c.send("GET", "/_sandbox/dialogs?limit=7", ""); len(g.strs("dialogs", "id")) != 7 || g.str("matched") != "122" || g.str("total") != "122" {
		t.Errorf("dialogs: %s", g.text)
	}
	if g := c.send("GET", "/_sandbox/dialogs?search=ANN%20%3C", ""); g.str("matched") != "1" || g.str("dialogs.0.title") != "Ann <i>, bob" || g.str("dialogs.0.type") != "3" {
		t.Errorf("the private one by its occupants: %s", g.text)
	}
	if g := c.send("GET", "/_sandbox/dialogs?search=team", ""); g.str("dialogs.0.last_message") != "m119" || g.str("dialogs.0.last_sender") != "Ann <i>" || g.str("dialogs.0.messages_count") != "120" {
		t.Errorf("the team: %s", g.text)
	}
	page := func(query string) got {
		t.Helper()
		g := c.send("GET", "/_sandbox/dialogs/"+team+"/messages"+query, "")
		if g.status != 200 {
			t.Fatalf("%s: %d %s", query, g.status, g.text)
		}
		return g
	}
	last := page("")
	if texts := last.strs("messages", "message"); len(texts) != 50 || texts[0] != "m70" || texts[49] != "m119" || last.str("earlier") != "true" || last.str("later") != "false" {
		t.Errorf("the last page: %v", texts)
	}
	if last.str("messages.0.status") != "read" || last.str("messages.0.read_by") != "1" || last.str("messages.0.sender") != "Ann <i>" || len(last.strs("occupants", "id")) != 2 {
		t.Errorf("the last page: %s", last.text)
	}
	first := page("?limit=100&before=" + last.str("messages.0.id"))
	if texts := first.strs("messages", "message"); len(texts) != 70 || texts[0] != "m0" || texts[69] != "m69" || first.str("earlier") != "false" || first.str("later") != "true" {
		t.Errorf("the first page: %v", texts)
	}
	if g := c.send("GET", "/_sandbox/dialogs/"+g.str("dialogs.two")+"/messages?before="+last.str("messages.0.id"), ""); g.status != 404 {
		t.Errorf("before another dialog's message: %d %s", g.status, g.text)
	}
}

// A message that a person writes in a user's name reaches the others by chat, and is a
// push for the absent ones.
func TestWritingInAUsersName(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	c := onThisMachine(t, s)
	two := chatters(t, s, "ann", "bob")
	ann, bob := two[0], two[1]
	away := c.signUp(`{"login":"cleo","password":"11111111"}`)
	outsider := c.signUp(`{"login":"dora","password":"11111111"}`)
	team := ann.call(201, "POST /chat/Dialog", `{"type":2,"name":"Team","occupants_ids":[`+bob.id+`,`+away+`]}`).str("_id")
	path := "/_sandbox/dialogs/" + team

	g := c.send("POST", path+"/messages", `{"from":`+ann.id+`,"message":"hello <b>","attachments":[{"type":"image","url":"javascript:1"}]}`)
	if g.status != 201 || g.str("status") != "sent" || g.str("sender_id") != ann.id {
		t.Fatalf("%d %s", g.status, g.text)
	}
	if e := bob.next(); body(e) != "hello <b>" || e.Attr("type") != "groupchat" || extra(e, "message_id") != g.str("id") {
		t.Errorf("bob got %s", e)
	}
	if got := c.send("GET", path+"/messages", ""); got.str("messages.0.attachments.0.url") != "javascript:1" {
		t.Errorf("the conversation: %s", got.text)
	}
	if out := s.Outbox(); len(out) != 1 || fmt.Sprint(out[0].Users) != "["+away+"]" {
		t.Errorf("outbox: %+v", out)
	}
	if g := c.send("POST", path+"/messages", `{"from":`+outsider+`,"message":"let me in"}`); g.status != 403 {
		t.Errorf("an outsider: %d %s", g.status, g.text)
	}
	if g := c.send("POST", path+"/messages", `{"from":`+ann.id+`,"message":"x","attachments":[{"a":"`+strings.Repeat("x", 2049)+`"}]}`); g.status != 400 {
		t.Errorf("a large attachment: %d %s", g.status, g.text)
	}
	if n := len(c.send("GET", path+"/messages", "").strs("messages", "id")); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
}

// Typing goes both ways: from the page to apps, and from apps to the page. A message ends
// it.
func TestTypingGoesBothWays(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	c := onThisMachine(t, s)
	two := chatters(t, s, "ann", "bob")
	ann, bob := two[0], two[1]
	private := ann.call(201, "POST /chat/Dialog", `{"type":3,"occupants_ids":[`+bob.id+`]}`).str("_id")
	group := ann.call(201, "POST /chat/Dialog", `{"type":2,"name":"Team","occupants_ids":[`+bob.id+`]}`).str("_id")
	const states = "http://jabber.org/protocol/chatstates"
	for _, dialog := range []struct{ id, to, kind string }{
		{private, ann.id + jids, "chat"},
		{group, "1001_" + group + "@muc.chat.connectycube.com", "groupchat"},
	} {
		path := "/_sandbox/dialogs/" + dialog.id
		typing := func() string { return fmt.Sprint(c.send("GET", path+"/messages", "").strs("typing", "name")) }
		if g := c.send("PUT", path+"/typing", `{"user":`+ann.id+`,"typing":true}`); g.status != 200 || typing() != "[ann]" {
			t.Errorf("%s: %d %s, typing %s", dialog.kind, g.status, g.text, typing())
		}
		if e := bob.next(); e.Child(states, "composing") == nil || extra(e, "dialog_id") != dialog.id {
			t.Errorf("bob got %s", e)
		}
		if g := c.send("GET", "/_sandbox/dialogs", ""); !strings.Contains(g.text, `"typing":true`) {
			t.Errorf("the list: %s", g.text)
		}
		if c.send("PUT", path+"/typing", `{"user":`+ann.id+`,"typing":false}`); typing() != "[]" {
			t.Errorf("%s: typing %s", dialog.kind, typing())
		}
		if e := bob.next(); e.Child(states, "paused") == nil {
			t.Errorf("bob got %s", e)
		}
		bob.stanza(dialog.to, dialog.kind, "t", `<composing xmlns="`+states+`"/>`)
		eventually(t, func() bool { return typing() == "[bob]" })
		bob.stanza(dialog.to, dialog.kind, "m", `<body>done</body>`+history)
		eventually(t, func() bool { return typing() == "[]" })
		for e := ann.next(); body(e) != "done"; e = ann.next() {
		}
		if dialog.kind == "groupchat" {
			continue
		}
		// A dialog of two has no echo for the typist's own devices.
		if len(bob.got) != 0 {
			t.Errorf("bob got %d more", len(bob.got))
		}
	}
}
