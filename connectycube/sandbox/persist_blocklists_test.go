package sandbox_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

// enters connects a person to the chat. The sandbox must know the person's token.
func enters(t *testing.T, p person) *chatter {
	t.Helper()
	d, err := enter(t.Context(), p.base, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.conn.CloseNow() })
	return d
}

// privacy sends a change of privacy lists.
func (d *chatter) privacy(change string) {
	d.t.Helper()
	if err := d.write(`<iq xmlns="jabber:client" type="set" id="p"><query xmlns="jabber:iq:privacy">` + change + `</query></iq>`); err != nil {
		d.t.Fatal(err)
	}
}

// blocking returns a data file in which boris blocks anna, and both of them.
func blocking(t *testing.T) (file string, anna, boris person) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "state.json")
	s := open(t, file)
	both := people(t, s, "anna", "boris")
	anna, boris = both[0], both[1]
	a, b := enters(t, anna), enters(t, boris)
	b.privacy(`<list name="DEFAULT"><item type="jid" value="` + anna.id + jids + `" action="deny" order="1"><message/><iq/></item></list>`)
	b.privacy(`<list name="other &quot;&lt;&quot;"><item action="allow" order="7"/></list>`)
	b.privacy(`<default name="DEFAULT"/>`)
	b.stanza(anna.id+jids, "chat", "1", `<body>the lists are set</body>`)
	if e := a.next(); body(e) != "the lists are set" {
		t.Fatalf("got %s", e.String())
	}
	shut(t, s)
	return file, anna, boris
}

func TestBlockListsAreKept(t *testing.T) {
	file, anna, boris := blocking(t)
	for range 2 {
		s := open(t, file)
		anna.caller, boris.caller = in(t, s), in(t, s)
		a, b := enters(t, anna), enters(t, boris)
		a.stanza(boris.id+jids, "chat", "2", `<body>blocked</body>`)
		if e := a.next(); e.Attr("type") != "error" || e.Attr("id") != "2" {
			t.Errorf("after a restart, a message of a blocked user gets %s", e.String())
		}
		b.privacy(`<default name="other &quot;&lt;&quot;"/>`)
		b.stanza(anna.id+jids, "chat", "3", `<body>unblocked</body>`)
		a.next()
		a.stanza(boris.id+jids, "chat", "4", `<body>let in</body>`)
		if e := b.next(); body(e) != "let in" {
			t.Errorf("got %s", e.String())
		}
		b.privacy(`<default name="DEFAULT"/>`)
		b.stanza(anna.id+jids, "chat", "5", `<body>blocked again</body>`)
		a.next()
		shut(t, s)
	}
}

func TestADeletedUserLeavesNoBlockList(t *testing.T) {
	file, _, boris := blocking(t)
	s := open(t, file)
	boris.caller = in(t, s)
	boris.call(200, "DELETE /users/"+boris.id, "")
	shut(t, s)
	left, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(left), "block_lists") {
		t.Errorf("error = %v, file = %s", err, left)
	}
}

func TestDamagedBlockListsAreRefused(t *testing.T) {
	file, anna, boris := blocking(t)
	read, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	whole := string(read)
	list := `{"user_id":` + boris.id + `,"default":true,"list":"`
	for name, damaged := range map[string]string{
		"of no user":          strings.Replace(whole, list, strings.Replace(list, boris.id, "7", 1), 1),
		"no XML":              strings.Replace(whole, list, list+"x", 1),
		"two elements":        strings.Replace(whole, list, list+`\u003ca/\u003e`, 1),
		"another namespace":   strings.Replace(whole, "jabber:iq:privacy", "jabber:iq:roster", 1),
		"an unknown action":   strings.Replace(whole, `action=\"deny\"`, `action=\"ask\"`, 1),
		"two default lists":   strings.Replace(whole, `{"user_id":`+boris.id+`,"list"`, `{"user_id":`+boris.id+`,"default":true,"list"`, 1),
		"one name twice":      strings.Replace(whole, `"block_lists":[`, `"block_lists":[`+list+`\u003clist xmlns=\"jabber:iq:privacy\" name=\"DEFAULT\"\u003e\u003citem action=\"deny\" order=\"1\"/\u003e\u003c/list\u003e"},`, 1),
		"a list of no items":  strings.Replace(whole, `"block_lists":[`, `"block_lists":[{"user_id":`+anna.id+`,"list":"\u003clist xmlns=\"jabber:iq:privacy\" name=\"l\"/\u003e"},`, 1),
		"a list without name": strings.Replace(whole, `name=\"DEFAULT\"`, `nam=\"DEFAULT\"`, 1),
	} {
		if damaged == whole {
			t.Fatalf("%s: nothing was damaged in %s", name, whole)
		}
		if err := os.WriteFile(file, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := sandbox.Open(sandbox.Options{DataFile: file}); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: error = %v", name, err)
			if s != nil {
				_ = s.Close()
			}
		}
	}
}
