package sandbox_test

import (
	"fmt"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

// contact is one contact of an upload; name "-" destroys it.
func contact(phone, name string) string {
	if name == "-" {
		return fmt.Sprintf(`{"phone":%q,"destroy":1}`, phone)
	}
	return fmt.Sprintf(`{"phone":%q,"name":%q}`, phone, name)
}

const (
	anns  = "61412675500"
	bobs  = "61736404001"
	carls = "61338804529"
)

func TestAddressBook(t *testing.T) {
	type step struct {
		rest     string // of the body, after contacts
		contacts []string
		want     string // numbers of created, updated and deleted contacts
		udid     string // the device whose book is compared then
		book     string
	}
	for name, steps := range map[string][]step{
		"one book": {
			{"", []string{contact(anns, "Ann"), contact(bobs, "Bob")}, "2 0 0", "", anns + " Ann, " + bobs + " Bob"},
			{"", []string{contact(anns, "Anna"), contact(carls, "Carl")}, "1 1 0", "", carls + " Carl, " + anns + " Anna, " + bobs + " Bob"},
			{"", []string{contact(bobs, "-"), contact("0000000000", "-")}, "0 0 1", "", carls + " Carl, " + anns + " Anna"},
			{`,"force":1`, []string{contact(bobs, "Bob"), contact(anns, "Anna")}, "1 1 1", "", anns + " Anna, " + bobs + " Bob"},
			{`,"force":"0"`, []string{contact(carls, "Carl")}, "1 0 0", "", carls + " Carl, " + anns + " Anna, " + bobs + " Bob"},
			{`,"force":1`, nil, "0 0 3", "", ""},
		},
		"a phone twice": {
			{"", []string{contact(anns, "Ann"), contact(anns, "Anna")}, "1 1 0", "", anns + " Anna"},
		},
		"one contact on two devices": {
			{`,"udid":"one"`, []string{contact(anns, "Ann")}, "1 0 0", "one", anns + " Ann"},
			{`,"udid":"two"`, []string{contact(anns, "Ann")}, "1 0 0", "two", anns + " Ann"},
			{``, []string{contact(anns, "-")}, "0 0 1", "", ""},
		},
		"devices": {
			{`,"udid":"one"`, []string{contact(anns, "Ann")}, "1 0 0", "one", anns + " Ann"},
			{`,"udid":"two"`, []string{contact(anns, "Anna"), contact(bobs, "Bob")}, "2 0 0", "one", anns + " Ann"},
			{`,"udid":"two"`, []string{contact(bobs, "-")}, "0 0 1", "two", anns + " Anna"},
			{``, []string{contact(anns, "A."), contact(carls, "Carl")}, "1 1 0", "one", anns + " A."},
			{`,"udid":"one","force":1`, []string{contact(bobs, "Bob")}, "1 0 1", "", carls + " Carl, " + anns + " A., " + bobs + " Bob"},
			{``, []string{contact(anns, "-")}, "0 0 1", "two", ""},
			{`,"force":1`, []string{contact(bobs, "B.")}, "0 1 1", "", bobs + " B."},
		},
	} {
		t.Run(name, func(t *testing.T) {
			all := people(t, sandbox.New(sandbox.Options{}), "ann", "bob")
			for i, s := range steps {
				g := all[0].call(200, "POST /address_book.json", `{"contacts":[`+strings.Join(s.contacts, ",")+`]`+s.rest+`}`)
				if got := g.str("created") + " " + g.str("updated") + " " + g.str("deleted"); got != s.want {
					t.Errorf("step %d: created, updated, deleted = %s, want %s", i, got, s.want)
				}
				if got := bookOf(all[0], s.udid); got != s.book {
					t.Errorf("step %d: the book is %q, want %q", i, got, s.book)
				}
			}
			if got := bookOf(all[1], ""); got != "" {
				t.Errorf("the book of another user has %q", got)
			}
		})
	}
}

func bookOf(p person, udid string) string {
	g := p.call(200, "GET /address_book.json?udid="+udid, "")
	var lines []string
	for i := range g.body.([]any) {
		lines = append(lines, g.str(fmt.Sprintf("%d.phone", i))+" "+g.str(fmt.Sprintf("%d.name", i)))
	}
	return strings.Join(lines, ", ")
}

func TestAddressBookRejects(t *testing.T) {
	ann := people(t, sandbox.New(sandbox.Options{}), "ann")[0]
	g := ann.call(200, "POST /address_book.json", `{"contacts":[`+strings.Join([]string{
		contact("123456789", "nine digits"), contact("1234567890", "ten"), contact("123456789012345", "fifteen"), contact("1234567890123456", "sixteen"),
		contact(anns, ""), contact(anns, strings.Repeat("n", 256)), contact(anns, strings.Repeat("ü", 255)), contact("1", "-"), `"nothing"`, `{}`,
	}, ",")+`]}`)
	phone, name := "Length of 'phone' field should be min: 10 and max: 15.", "Length of 'name' field should be min: 1 and max: 255."
	for i, want := range map[int]string{0: phone, 1: "", 2: "", 3: phone, 4: name, 5: name, 6: "", 7: phone, 8: phone + name, 9: phone + name} {
		if got := g.str(fmt.Sprintf("rejected.%d.0", i)) + g.str(fmt.Sprintf("rejected.%d.1", i)); got != want {
			t.Errorf("contact %d: %q, want %q", i, got, want)
		}
	}
	if g.str("created") != "3" {
		t.Errorf("created = %s", g.str("created"))
	}
	for name, body := range map[string]string{
		"no list":     `{"contacts":"x"}`,
		"no contacts": `{"force":1}`,
		"long udid":   `{"contacts":[],"udid":"` + strings.Repeat("x", 65) + `"}`,
	} {
		t.Run(name, func(t *testing.T) { ann.call(422, "POST /address_book.json", body) })
	}
}

func TestAddressBookAsAForm(t *testing.T) {
	ann := people(t, sandbox.New(sandbox.Options{}), "ann")[0]
	g := ann.send("POST", "/address_book", "contacts[0][phone]="+anns+"&contacts[0][name]=Ann&contacts[1][phone]=1&udid=x",
		"CB-Token", ann.token, "Content-Type", "application/x-www-form-urlencoded")
	if g.str("created") != "1" || g.str("rejected.1.0") == "" {
		t.Errorf("answer = %s", g.text)
	}
}

func TestContactsWhoAreUsers(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	ann := people(t, s, "ann")[0]
	bob := ann.signUp(`{"login":"bob","password":"11111111","phone":"+61 736 404 001","full_name":"Robert"}`)
	ann.signUp(`{"login":"carl","password":"11111111","phone":"none"}`)
	ann.call(200, "POST /address_book.json", `{"contacts":[`+contact(bobs, "Bob")+`,`+contact(anns, "Unknown")+`,`+contact("no digits at", "X")+`],"udid":"one"}`)
	g := ann.call(200, "GET /address_book/registered_users.json?compact=1", "")
	if want := `{"items":[{"user":{"id":` + bob + `,"phone":"+61 736 404 001","address_book_name":"Bob"}}]}` + "\n"; g.text != want {
		t.Errorf("compact = %s, want %s", g.text, want)
	}
	g = ann.call(200, "GET /address_book/registered_users.json?udid=one&compact=0", "")
	if g.str("items.0.user.id") != bob || g.str("items.0.user.full_name") != "Robert" || g.str("items.0.user.address_book_name") != "Bob" {
		t.Errorf("full = %s", g.text)
	}
	if g = ann.call(200, "GET /address_book/registered_users.json?udid=two", ""); g.text != `{"items":[]}`+"\n" {
		t.Errorf("of another device = %s", g.text)
	}
}
