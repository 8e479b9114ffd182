package rest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"cubegate/connectycube/sandbox/core"
)

// Bounds of one request. https://developers.connectycube.com/server/address_book has
// the first; the others are our own.
const (
	maxUDID         = 64   // characters
	maxUserDevices  = 20   // books of one user
	maxRejectedText = 1000 // reasons of one answer
)

func uploadAddressBook(s *API, q *request, live *core.Session) (reply, error) {
	device := q.params.Text("udid")
	if utf8.RuneCountInString(device) > maxUDID {
		return reply{}, core.AsBase(422, "udid is too long (maximum is 64 characters)")
	}
	contacts, ok := contactList(q.params["contacts"])
	if !ok {
		return reply{}, core.AsBase(422, "contacts must be a list")
	}
	user := live.User.ID
	books := s.AddressBooks.OfUser[user]
	if _, known := books[device]; !known && device != "" && len(books) >= maxUserDevices {
		return reply{}, core.AsBase(422, "udid is one device too many")
	}
	out := core.BookReport{Rejected: map[string][]string{}}
	forced := q.params.Flag("force")
	keep := map[string]bool{} // phones; force removes all others
	for i, c := range contacts {
		phone := strings.TrimSpace(c.Text("phone"))
		reasons := s.AddressBooks.Upload(&out, user, device, phone, c)
		if len(reasons) > 0 && len(out.Rejected) < maxRejectedText {
			out.Rejected[strconv.Itoa(i)] = reasons
		}
		keep[phone] = true
	}
	if forced {
		out.Deleted += s.AddressBooks.Prune(user, device, keep)
	}
	return reply{status: http.StatusOK, body: out}, nil
}

// contactList reads a JSON list, or a form's contacts[0][phone].
func contactList(v any) (contacts []core.Params, ok bool) {
	items, isList := v.([]any)
	if form, isForm := v.(map[string]any); isForm {
		for _, key := range slices.Sorted(maps.Keys(form)) {
			items = append(items, form[key])
		}
		isList = true
	}
	for _, item := range items {
		fields, _ := item.(map[string]any) // an item that is no object is empty, and so rejected
		contacts = append(contacts, fields)
	}
	return contacts, isList
}

func getAddressBook(s *API, q *request, live *core.Session) (reply, error) {
	type contactJSON struct {
		Phone string `json:"phone"`
		Name  string `json:"name"`
	}
	contacts := s.AddressBooks.Contacts(live.User.ID, q.params.Text("udid"))
	items := make([]contactJSON, 0, len(contacts))
	for _, phone := range slices.Sorted(maps.Keys(contacts)) {
		items = append(items, contactJSON{phone, contacts[phone]})
	}
	return reply{status: http.StatusOK, body: items}, nil
}

// registeredUsers finds the contacts who are users. It compares only the digits of
// the phones (assumed), because a number can be written in many ways.
func registeredUsers(s *API, q *request, live *core.Session) (reply, error) {
	type compactUser struct {
		ID    int64  `json:"id"`
		Phone string `json:"phone"`
		Name  string `json:"address_book_name"`
	}
	type fullUser struct {
		userJSON
		Name string `json:"address_book_name"`
	}
	names := core.Book{} // by digits
	for phone, name := range s.AddressBooks.Contacts(live.User.ID, q.params.Text("udid")) {
		names[digits(phone)] = name
	}
	delete(names, "")
	compact := q.params.Flag("compact")
	items := []map[string]any{}
	for _, u := range usersWithPhones(&s.Registry, names) {
		name := names[digits(u.Phone)]
		if compact {
			items = append(items, map[string]any{"user": compactUser{u.ID, u.Phone, name}})
		} else {
			items = append(items, map[string]any{"user": fullUser{userBody(u), name}})
		}
	}
	return reply{status: http.StatusOK, body: map[string]any{"items": items}}, nil
}

// usersWithPhones returns the users whose phones have those digits, by ID.
func usersWithPhones(r *core.Registry, names core.Book) (found []*core.User) {
	if len(names) == 0 {
		return nil
	}
	for _, u := range r.Users {
		if _, known := names[digits(u.Phone)]; known && u.Phone != "" {
			found = append(found, u)
		}
	}
	slices.SortFunc(found, func(a, b *core.User) int { return int(a.ID - b.ID) })
	return found
}

func digits(phone string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, phone)
}
