package sandbox_test

import (
	"fmt"
	"testing"

	"cubegate/connectycube/sandbox"
)

// A client that lost its connection before it knew the result of a message sends the message
// again.
func TestAMessageThatIsSentAgainIsTheSameMessage(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	all := chatters(t, s, "anna", "boris")
	a, b := all[0], all[1]
	group := a.dialog(`{"type":2,"name":"g","occupants_ids":[` + b.id + `]}`)
	for i, tt := range []struct {
		name, to, kind string
		echoes         int
	}{
		{"1:1", b.id + jids, "chat", 0},
		{"group", "1001_" + group + "@muc.chat.connectycube.com", "groupchat", 2},
	} {
		id := fmt.Sprintf("5c091060e588ce59fdf873a%d", i)
		for range 2 {
			a.stanza(tt.to, tt.kind, id, `<body>once</body>`+history)
		}
		a.stanza(tt.to, tt.kind, "", `<body>later</body>`+history)
		first := b.next()
		if first == nil || extra(first, "message_id") != id {
			t.Fatalf("%s: %v arrived", tt.name, first)
		}
		if second := b.next(); second == nil || body(second) != "later" {
			t.Errorf("%s: it arrived again", tt.name)
		}
		for range tt.echoes {
			if e := a.next(); e == nil || e.Attr("id") != id || e.Attr("from") != tt.to+"/"+a.id {
				t.Errorf("%s: echo %v", tt.name, e)
			}
		}
		if tt.echoes > 0 {
			a.next()
		}
		dialog := extra(first, "dialog_id")
		if g := a.call(200, "GET /chat/Message.json?mark_as_read=0&chat_dialog_id="+dialog, ""); len(g.strs("items", "_id")) != 2 {
			t.Errorf("%s: the history has %s", tt.name, g.text)
		}
	}
}

// Only the author's own message in the same dialog counts as the same.
func TestAnIDOfAnotherMessageIsNotKept(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	all := chatters(t, s, "anna", "boris", "clara")
	a, b, c := all[0], all[1], all[2]
	const id = "5c091060e588ce59fdf873a0"
	a.stanza(b.id+jids, "chat", id, `<body>one</body>`+history)
	b.next()
	a.stanza(c.id+jids, "chat", id, `<body>another dialog</body>`+history)
	if e := c.next(); e == nil || body(e) != "another dialog" || e.Attr("id") == id {
		t.Errorf("got %v", e)
	}
	b.stanza(a.id+jids, "chat", id, `<body>another sender</body>`+history)
	if e := a.next(); e == nil || body(e) != "another sender" || e.Attr("id") == id {
		t.Errorf("got %v", e)
	}
	if n := s.State().Totals.Messages; n != 3 {
		t.Errorf("%d messages are stored, want 3", n)
	}
}

// A fault also doubles a repeated message.
func TestADuplicateOfAMessageThatIsSentAgainArrives(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	all := chatters(t, s, "anna", "boris")
	a, b := all[0], all[1]
	const id = "5c091060e588ce59fdf873a0"
	a.stanza(b.id+jids, "chat", id, `<body>x</body>`+history)
	b.next()
	arm(t, s, sandbox.Fault{On: "chat", Kind: "duplicate", Times: 1})
	a.stanza(b.id+jids, "chat", id, `<body>x</body>`+history)
	for range 2 {
		if e := b.next(); e == nil || e.Attr("id") != id {
			t.Errorf("got %v", e)
		}
	}
	if n := s.State().Totals.Messages; n != 1 {
		t.Errorf("%d messages are stored, want 1", n)
	}
}
