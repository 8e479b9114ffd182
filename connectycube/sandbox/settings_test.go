package sandbox_test

import (
	"fmt"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

func TestSettingsChangeWhileTheSandboxRuns(t *testing.T) {
	s := sandbox.New(sandbox.Options{V1Users: true})
	ann := people(t, s, "ann")[0]
	c := ann.caller
	c.base = "http://localhost"
	settings := func(method, body, want string) {
		t.Helper()
		if g := c.send(method, "/_sandbox/settings", body); g.status != 200 || g.text != want+"\n" {
			t.Errorf("%s: %d %s, want %s", method, g.status, g.text, want)
		}
	}
	behaves := func(login string, deny, v1 bool, extensions string) {
		t.Helper()
		if g := c.send("POST", "/session", application+`,"user":{"login":"`+login+`","password":"11111111"}}`); (g.status == 404) != deny {
			t.Errorf("login of an unknown user: %d %s", g.status, g.text)
		}
		if g := c.send("GET", "/users/by_login?login=ann", "", "CB-Token", ann.token); (g.status == 200) != v1 {
			t.Errorf("the first users API: %d %s", g.status, g.text)
		}
		g := ann.call(201, "POST /chat/Dialog", `{"type":4,"name":"n","extensions":{"a":"1","b":"2"}}`)
		if !strings.Contains(g.text, `"extensions":`+extensions) {
			t.Errorf("dialog = %s, want extensions %s", g.text, extensions)
		}
	}
	settings("GET", "", `{"deny_auto_create":false,"v1_users":true,"dialog_extensions":null}`)
	behaves("nobody1", false, true, `{"a":"1","b":"2"}`)

	changed := `{"deny_auto_create":true,"v1_users":false,"dialog_extensions":["b"]}`
	settings("PUT", changed, changed)
	behaves("nobody2", true, false, `{"b":"2"}`)

	s.Reset()
	settings("GET", "", changed)
	settings("PUT", `{}`, `{"deny_auto_create":false,"v1_users":false,"dialog_extensions":null}`)
	if g := c.send("POST", "/session", application+`,"user":{"login":"ann","password":"11111111"}}`); g.status != 201 {
		t.Errorf("login after the change: %d %s", g.status, g.text)
	}
}

func TestSettingsAreOnesOwn(t *testing.T) {
	s := sandbox.New(sandbox.Options{DialogExtensions: []string{"a"}})
	keys := []string{"b"}
	if err := s.SetSettings(sandbox.Settings{DialogExtensions: keys}); err != nil {
		t.Fatal(err)
	}
	keys[0] = "c"
	s.Settings().DialogExtensions[0] = "d"
	if err := s.SetSettings(sandbox.Settings{DialogExtensions: make([]string, 51)}); err == nil {
		t.Error("51 keys were accepted")
	}
	if got := fmt.Sprint(s.Settings()); got != "{false false [b]}" {
		t.Errorf("settings = %s", got)
	}
}
