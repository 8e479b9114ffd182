package core

import "testing"

func TestBodiesAreMaskedByTheNamesOfFields(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"nothing", ``, ``},
		{"no secret", ` {"a" : [1, {"b":null}]} `, ` {"a" : [1, {"b":null}]} `},
		{"a text", `{"user":{"password" : "x\"y","login":"ann"}}`, `{"user":{"password" : "•••","login":"ann"}}`},
		{"a number", `{"password":123, "b":1}`, `{"password":"•••", "b":1}`},
		{"a list", `{"password":["x","y"],"b":1}`, `{"password":"•••","b":1}`},
		{"an object", `{"token":{"x":["y"]},"b":1}`, `{"token":"•••","b":1}`},
		{"in a list", `[{"password":"x"},{"password":"y"}]`, `[{"password":"•••"},{"password":"•••"}]`},
		{"another case", `{"Password":"x"}`, `{"Password":"•••"}`},
		{"an escaped name", `{"p\u0061ssword":"x"}`, `{"p\u0061ssword":"•••"}`},
		{"an escaped name, cut", `{"p\u0061ssword":"x`, `{"p\u0061ssword":"•••"`},
		{"cut before the secret", `{"password":`, `{"password":`},
		{"cut after the secret", `{"password":"x","p\u0061ssword":"y","b":"z`, `{"password":"•••","p\u0061ssword":"•••","b":"z`},
		{"one after another", `{}{"p\u0061ssword":"x"}`, `{}{"p\u0061ssword":"•••"}`},
		{"no JSON", `{a,"password":"x","token":["y","z"],"secret":7,"b":1}`, `{a,"password":"•••","token":"•••","secret":"•••","b":1}`},
		{"errors of a caller", `{"errors":{"password":["x"]}}`, `{"errors":{"password":"•••"}}`},
		{"devices", `{"push_token":{"client_identification_sequence":"x","web_auth":"y","web_p256dh":"z","environment":"e"}}`,
			`{"push_token":{"client_identification_sequence":"•••","web_auth":"•••","web_p256dh":"•••","environment":"e"}}`},
		{"a link", `{"url":"https://h/p?a=1\u0026X-Amz-Signature=x\u0026b=2"}`, `{"url":"https://h/p?a=1\u0026X-Amz-Signature=•••\u0026b=2"}`},

		{"a form", `login=ann&password=x+y&b=1`, `login=ann&password=•••&b=1`},
		{"a form with objects", `user[login]=ann&user[password]=x&user%5Bpassword%5D=y&password[]=z`,
			`user[login]=ann&user[password]=•••&user%5Bpassword%5D=•••&password[]=•••`},
		{"an encoded name", `p%61ssword=x&b=1`, `p%61ssword=•••&b=1`},
		{"a name that is not encoded well", `p%6=x&token=y`, `p%6=x&token=•••`},
		{"a space before", "\npassword=x", "\npassword=•••"},
		{"a form in parts", "--b\r\nContent-Disposition: form-data; name=\"X-Amz-Signature\"\r\n\r\nx\r\n--b", "--b\r\nContent-Disposition: form-data; name=\"X-Amz-Signature\"\r\n\r\n•••\r\n--b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := maskBody(tt.body, false); got != tt.want {
				t.Errorf("%s\nshown as %s\nwant     %s", tt.body, got, tt.want)
			}
		})
	}
	for path, want := range map[string]string{
		"/users/token=x":                      "/users/token=x",
		"/session?p%61ssword=x&a=1":           "/session?p%61ssword=•••&a=1",
		"/users/v2?user[token]=x?y&login=ann": "/users/v2?user[token]=•••&login=ann",
	} {
		if got := maskPath(path); got != want {
			t.Errorf("%s is shown as %s, want %s", path, got, want)
		}
	}
}

func TestRefusalsAreShownWhole(t *testing.T) {
	for body, want := range map[string]string{
		`{"errors":{"password":["cannot be blank"]}}`:                         `{"errors":{"password":["cannot be blank"]}}`,
		`{"errors":{"base":["eyJhbGciOiJIUzI1NiJ9.x.y"]},"token":"x"}` + "\n": `{"errors":{"base":["•••"]},"token":"•••"}` + "\n",
	} {
		if got := maskBody(body, true); got != want {
			t.Errorf("%s is shown as %s, want %s", body, got, want)
		}
	}
	s := New(Options{})
	s.journal.add(Entry{Status: 422, Response: `{"errors":{"password":["cannot be blank"]}}`})
	s.journal.add(Entry{Status: 201, Response: `{"errors":{"password":["x"]}}`})
	if got := s.Journal(0); got[0].Response != `{"errors":{"password":["cannot be blank"]}}` || got[1].Response != `{"errors":{"password":"•••"}}` {
		t.Errorf("journal = %+v", got)
	}
}
