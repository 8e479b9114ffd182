package sandbox_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

func TestDevicesAndContactsAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	s := open(t, path)
	ann := people(t, s, "ann")[0]
	first := ann.call(201, "POST /subscriptions.json", device("gcm", "development", "phone")).str("0.subscription.id")
	ann.call(201, "POST /subscriptions.json", device("web", "production", "browser"))
	ann.call(200, "POST /address_book.json", `{"contacts":[`+contact(anns, "Ann")+`]}`)
	ann.call(200, "POST /address_book.json", `{"contacts":[`+contact(bobs, "Bob")+`],"udid":"one"}`)
	questions := []string{"GET /subscriptions.json", "GET /address_book.json", "GET /address_book.json?udid=one"}
	var before []string
	for _, question := range questions {
		before = append(before, ann.call(200, question, "").text)
	}
	shut(t, s)

	s = open(t, path)
	ann.caller = in(t, s)
	for i, question := range questions {
		if after := ann.call(200, question, "").text; after != before[i] {
			t.Errorf("%s: %s, was %s", question, after, before[i])
		}
	}
	if again := ann.call(201, "POST /subscriptions.json", device("gcm", "development", "phone")).str("0.subscription.id"); again != first {
		t.Errorf("the device has subscription %s, had %s", again, first)
	}
	other := ann.call(201, "POST /subscriptions.json", device("gcm", "production", "phone")).str("0.subscription.id")
	if list := ann.call(200, "GET /subscriptions.json", "").text; strings.Count(list, `"id":`+other+`,`) != 1 {
		t.Errorf("a new subscription has the ID of an old one: %s", list)
	}
}

func TestDevicesAndContactsOfNobodyAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	s := open(t, path)
	ann := people(t, s, "ann")[0]
	ann.call(201, "POST /subscriptions.json", device("gcm", "development", "phone"))
	ann.call(200, "POST /address_book.json", `{"contacts":[`+contact(anns, "Ann")+`]}`)
	shut(t, s)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{`"subscriptions":[{"id":1,`, `"address_books":[{`} {
		damaged := strings.Replace(string(whole), list+`"user_id":`+ann.id, list+`"user_id":7`, 1)
		if damaged == string(whole) {
			t.Fatalf("the file has no %s: %s", list, whole)
		}
		if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := sandbox.Open(sandbox.Options{DataFile: path}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s without a user: error = %v", list, err)
		}
	}
}
