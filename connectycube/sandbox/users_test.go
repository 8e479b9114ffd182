package sandbox_test

import (
	"net/url"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

func TestSignUpRules(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	tests := []struct {
		name, fields string
		status       int
	}{
		{"login of 2", `"login":"ab"`, 422},
		{"login of 3", `"login":"abc"`, 201},
		{"login of 70", `"login":"` + x(70) + `"`, 201},
		{"login of 71", `"login":"` + x(71) + `"`, 422},
		{"login with a plus", `"login":"+4915112345678"`, 201},
		{"login with a space", `"login":"a b"`, 422},
		{"login of another script", `"login":"имя"`, 201},
		{"login that is a number", `"login":12345`, 201},
		{"login that is a list", `"login":["abc"]`, 422},
		{"email without at", `"email":"example.com"`, 422},
		{"email without dot", `"email":"a@example"`, 201},
		{"email of a Japanese carrier", `"email":"a..b.@docomo.ne.jp"`, 201},
		{"email with a dot at its end", `"email":"a@example.org."`, 422},
		{"email with two dots in its domain", `"email":"a@example..org"`, 422},
		{"email with two ats", `"email":"a@b@example.com"`, 422},
		{"email with a space", `"email":"a b@example.com"`, 422},
		{"email with a plus", `"email":"a+b@example.com"`, 201},
		{"password of 5", `"login":"abc","password":"` + x(5) + `"`, 422},
		{"password of 6", `"login":"abc","password":"` + x(6) + `"`, 201},
		{"password of 40 characters", `"login":"abc","password":"` + strings.Repeat("ü", 40) + `"`, 201},
		{"password of 41", `"login":"abc","password":"` + x(41) + `"`, 422},
		{"full name of 200 characters", `"login":"abc","full_name":"` + strings.Repeat("名", 200) + `"`, 201},
		{"full name of 201", `"login":"abc","full_name":"` + x(201) + `"`, 422},
		{"5 tags", `"login":"abc","tag_list":"a,b,c,d,e"`, 201},
		{"6 tags", `"login":"abc","tag_list":["a","b","c","d","e","f"]`, 422},
		{"timezone of no number", `"login":"abc","timezone":"noon"`, 422},
		{"timezone null", `"login":"abc","timezone":null`, 201},
		{"external id too long", `"login":"abc","external_id":"` + x(256) + `"`, 422},
		{"unknown field", `"login":"abc","shoe_size":44`, 201},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := in(t, sandbox.New(sandbox.Options{}))
			fields := tt.fields
			if !strings.Contains(fields, "password") {
				fields += `,"password":"11111111"`
			}
			g := c.send("POST", "/users", `{"user":{`+fields+`}}`, "CB-AuthKey", "sandbox-auth-key")
			if g.status != tt.status {
				t.Errorf("status %d, want %d: %s", g.status, tt.status, g.text)
			}
		})
	}
}

func TestARefusedUpdateChangesNothing(t *testing.T) {
	c := in(t, sandbox.New(sandbox.Options{}))
	id := c.signUp(`{"login":"jane","password":"11111111","full_name":"Jane","tag_list":"a,b"}`)
	c.signUp(`{"login":"john","password":"11111111"}`)
	token := c.open(jane)
	before := c.send("GET", "/users/"+id, "", "CB-Token", token)
	for _, fields := range []string{
		`"full_name":"Other","login":"john"`,
		`"full_name":"Other","email":"nonsense"`,
		`"full_name":"Other","password":"22222222","old_password":"wrong"`,
		`"tag_list":"c","login":null`,
	} {
		if g := c.send("PUT", "/users/"+id, `{"user":{`+fields+`}}`, "CB-Token", token); g.status != 422 {
			t.Errorf("%s: %d %s", fields, g.status, g.text)
		}
		after := c.send("GET", "/users/"+id, "", "CB-Token", token)
		for _, field := range []string{"login", "full_name", "email", "user_tags", "updated_at"} {
			if a, b := after.str("user."+field), before.str("user."+field); a != b {
				t.Errorf("%s: %s became %q, was %q", fields, field, a, b)
			}
		}
	}
}

func TestAFreedNameCanBeTaken(t *testing.T) {
	c := in(t, sandbox.New(sandbox.Options{}))
	id := c.signUp(`{"login":"jane","email":"jane@example.com","external_id":"e","password":"11111111"}`)
	token := c.open(jane)
	c.send("PUT", "/users/"+id, `{"user":{"login":"joan","email":null,"external_id":null}}`, "CB-Token", token)
	c.signUp(`{"login":"jane","email":"jane@example.com","external_id":"e","password":"11111111"}`)
	c.send("DELETE", "/users/"+id, "", "CB-Token", token)
	c.signUp(`{"login":"joan","password":"11111111"}`)
}

func TestAnExternalIDMayNeedEscaping(t *testing.T) {
	for _, id := range []string{"a/b c", "имя", "x.json", "100%"} {
		c := in(t, sandbox.New(sandbox.Options{}))
		c.signUp(`{"login":"jane","password":"11111111","external_id":"` + id + `"}`)
		if g := c.send("DELETE", "/users/external/"+url.PathEscape(id)+".json", "", "CB-Token", c.open(jane)); g.status != 200 {
			t.Errorf("%q: %d %s", id, g.status, g.text)
		}
	}
}

func TestDeleteFieldsComeFromBodyOrQuery(t *testing.T) {
	// The fields of a DELETE do not matter for users, so a read error must not fail it.
	for _, form := range []struct{ query, body string }{{"", "force=1"}, {"?force=1", ""}, {"?force=1", `{"force":1}`}} {
		c := in(t, sandbox.New(sandbox.Options{}))
		id := c.signUp(jane)
		if g := c.send("DELETE", "/users/"+id+".json"+form.query, form.body, "CB-Token", c.open(jane)); g.status != 200 {
			t.Errorf("%+v: %d %s", form, g.status, g.text)
		}
	}
}
