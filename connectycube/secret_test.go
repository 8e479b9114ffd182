package connectycube_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"cubegate/connectycube"
)

func TestNothingPrintsASecret(t *testing.T) {
	const secret = "hush-hush"
	o := connectycube.Options{AppID: 7, AuthKey: secret}
	c, err := connectycube.New(o)
	if err != nil {
		t.Fatal(err)
	}
	cred := connectycube.Credentials{Login: secret, Password: secret}
	u := connectycube.NewUser{Email: "visible@example.org", Password: secret}
	s := connectycube.Session{Token: secret, UserID: 5}
	values := []any{
		o, &o, c, cred, &cred, u, &u, s, &s,
		[]connectycube.Session{s},
		map[string]connectycube.Credentials{"x": cred},
		struct{ S connectycube.Session }{s},
	}
	var out bytes.Buffer
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
	}
	for _, v := range []any{cred, u, s} {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(raw)
	}
	text := out.String()
	if i := strings.Index(text, secret); i >= 0 {
		t.Errorf("a secret shows in …%s", text[max(0, i-80):i+len(secret)])
	}
	if hex := fmt.Sprintf("%x", secret); strings.Contains(text, hex) {
		t.Error("a secret shows in hexadecimal")
	}
	for _, want := range []string{"visible@example.org", "[hidden]", "UserID:5"} {
		if !strings.Contains(text, want) {
			t.Errorf("output lacks %q, so the test proves nothing", want)
		}
	}
}
