package sandbox_test

import (
	_ "embed"
	"encoding/json"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

// recorded are requests that the official JavaScript SDK was seen to send for
// dialogs, messages and search, as it sent them but for the ids; and the fields
// that the documented answer to each has.
//
//go:embed testdata/recorded.json
var recorded []byte

func TestRecordedRequests(t *testing.T) {
	var all []struct {
		Name, Request, Raw string
		Status             int
		Empty              bool
		Has                string // paths, with blanks between them
	}
	if err := json.Unmarshal(recorded, &all); err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		t.Run(e.Name, func(t *testing.T) {
			users := people(t, sandbox.New(sandbox.Options{}), "john", "jane", "third", "fourth")
			john, jane := users[0], users[1]
			group := john.dialog(`{"type":2,"name":"g","occupants_ids":"` + jane.id + `","extensions":{"location":"Sunbar"}}`)
			public := jane.dialog(`{"type":4,"name":"p"}`)
			message := john.say(group, "lorem")
			john.call(200, "PUT /chat/Message/"+message+"/reactions", `{"add":"👍"}`)
			fill := strings.NewReplacer("{john}", john.id, "{jane}", jane.id, "{third}", users[2].id, "{fourth}", users[3].id,
				"{group}", group, "{public}", public, "{message}", message)

			g := john.call(e.Status, fill.Replace(e.Request), fill.Replace(e.Raw))
			for path := range strings.FieldsSeq(fill.Replace(e.Has)) {
				if _, present := g.at(path); !present {
					t.Errorf("the answer has no %s: %s", path, g.text)
				}
			}
			if e.Empty != (g.text == "") {
				t.Errorf("body = %q", g.text)
			}
			if ct := g.header.Get("Content-Type"); !e.Empty && ct != "application/json; charset=utf-8" {
				t.Errorf("content type = %q", ct)
			}
			if g.header.Get("CB-Token-ExpirationDate") == "" {
				t.Error("the answer does not say when the session ends")
			}
		})
	}
}
