package apicontract

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"cubegate/server/servertest"
)

// Names and emails pass through both APIs, the database and ConnectyCube unchanged, or
// the answer names the field.
func TestNamesAndEmailsOfAnyScript(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, map[string]string{"REGISTER_PER_NETWORK": "0"})
	for i, tt := range []struct {
		field, sent string // as JSON
		accepted    bool
	}{
		{"email", `"abc.@docomo.ne.jp"`, true},
		{"email", `"a..b@docomo.ne.jp"`, true},
		{"email", `".abc@ezweb.ne.jp"`, true},
		{"email", `"ada@localhost"`, true},
		{"email", `"ada@example.org."`, false},
		{"email", `"a\ud800@example.org"`, false},
		{"firstName", `"O'Brien"`, true},
		{"firstName", `"\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"`, true},
		{"firstName", `"\ud83d\udc69\u200d\ud83d\ude80"`, true},
		{"firstName", `"Zoe\u0308"`, true},
		{"firstName", `"\ud83d"`, false},
		{"firstName", `"Ada\ude80\ud83d"`, false},
		{"firstName", `"\u202eadA"`, false},
		{"firstName", `"Ada\uffff"`, false},
		{"firstName", `"\u3164"`, false},
		{"lastName", `"Ada\u2028Lovelace"`, false},
	} {
		body := map[string]json.RawMessage{
			"email": json.RawMessage(fmt.Sprintf(`"ada%d@example.org"`, i)), "firstName": json.RawMessage(`"Ada"`),
			"lastName": json.RawMessage(`"Lovelace"`), "password": json.RawMessage(`"correct horse"`),
		}
		body[tt.field] = json.RawMessage(tt.sent)
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		got := r.Request(t, http.MethodPost, "/auth/register", string(raw))
		var reply struct {
			ChatStatus string
			User       map[string]string
			Fields     map[string]string
		}
		if err := json.Unmarshal([]byte(got.Body), &reply); err != nil {
			t.Fatal(err)
		}
		if !tt.accepted {
			if got.Status != http.StatusBadRequest || len(reply.Fields) != 1 || reply.Fields[tt.field] == "" {
				t.Errorf("%s %s: %d %s, want only this field to be wrong", tt.field, tt.sent, got.Status, got.Body)
			}
			continue
		}
		var want string
		if err := json.Unmarshal([]byte(tt.sent), &want); err != nil {
			t.Fatal(err)
		}
		if got.Status != http.StatusCreated || reply.ChatStatus != "READY" || reply.User[tt.field] != want {
			t.Errorf("%s %s: %d %s", tt.field, tt.sent, got.Status, got.Body)
		}
	}
}
