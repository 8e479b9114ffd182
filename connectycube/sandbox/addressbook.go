package sandbox

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of address books. The total is our own: beyond it new contacts are
// rejected.
const (
	maxContacts     = 200_000 // in all
	maxUDID         = 64      // characters (doc)
	minPhone        = 10      // characters (doc)
	maxPhone        = 15      // characters (doc)
	maxContactName  = 255     // characters (doc)
	maxUserDevices  = 20      // books of one user; our own
	maxRejectedText = 1000    // reasons of one answer; our own
)

// addressBooks are users' contacts, a book for each of a user's devices and one,
// of device "", for what was uploaded without a device. The Sandbox's lock
// guards them.
type addressBooks struct {
	ofUser map[int64]map[string]book
	total  int
}

// book is names by phone.
type book map[string]string

func newAddressBooks() addressBooks { return addressBooks{ofUser: map[int64]map[string]book{}} }

// forget drops the books of a user who is gone.
func (a *addressBooks) forget(user int64) {
	for device := range a.ofUser[user] {
		a.clear(user, device)
	}
}

func (a *addressBooks) clear(user int64, device string) {
	a.total -= len(a.ofUser[user][device])
	delete(a.ofUser[user], device)
	if len(a.ofUser[user]) == 0 {
		delete(a.ofUser, user)
	}
}

func (a *addressBooks) set(user int64, device, phone, name string) {
	books := a.ofUser[user]
	if books == nil {
		books = map[string]book{}
		a.ofUser[user] = books
	}
	if books[device] == nil {
		books[device] = book{}
	}
	if _, known := books[device][phone]; !known {
		a.total++
	}
	books[device][phone] = name
}

func (a *addressBooks) remove(user int64, device, phone string) {
	if _, known := a.ofUser[user][device][phone]; !known {
		return
	}
	a.total--
	delete(a.ofUser[user][device], phone)
	if len(a.ofUser[user][device]) == 0 {
		a.clear(user, device)
	}
}

// having lists the devices, of those that an upload is about, whose books have
// the phone. An upload without a device is about all of them (doc).
func (a *addressBooks) having(user int64, device, phone string) (devices []string) {
	for other, contacts := range a.ofUser[user] {
		if _, has := contacts[phone]; has && (device == "" || device == other) {
			devices = append(devices, other)
		}
	}
	return devices
}

// contacts gives one device's book, or for device "" all of them in one.
func (a *addressBooks) contacts(user int64, device string) book {
	if device != "" {
		return a.ofUser[user][device]
	}
	all := book{}
	books := a.ofUser[user]
	for _, other := range slices.Backward(slices.Sorted(maps.Keys(books))) {
		maps.Copy(all, books[other]) // what was uploaded without a device comes last and stays
	}
	return all
}

// bookReport is the answer to an upload.
type bookReport struct {
	Deleted  int                 `json:"deleted"`
	Rejected map[string][]string `json:"rejected"` // reasons by the contact's place in the list, from 0 (assumed)
	Created  int                 `json:"created"`
	Updated  int                 `json:"updated"`
}

func uploadAddressBook(s *Sandbox, q *request, live *session) (reply, error) {
	device := q.params.text("udid")
	if utf8.RuneCountInString(device) > maxUDID {
		return reply{}, asBase(422, "udid is too long (maximum is 64 characters)")
	}
	contacts, ok := contactList(q.params["contacts"])
	if !ok {
		return reply{}, asBase(422, "contacts must be a list")
	}
	user := live.user.id
	books := s.addressBooks.ofUser[user]
	if _, known := books[device]; !known && device != "" && len(books) >= maxUserDevices {
		return reply{}, asBase(422, "udid is one device too many")
	}
	out := bookReport{Rejected: map[string][]string{}}
	forced := q.params.flag("force")
	keep := map[string]bool{} // phones; with force everything else goes
	for i, c := range contacts {
		phone := strings.TrimSpace(c.text("phone"))
		reasons := s.addressBooks.upload(&out, user, device, phone, c)
		if len(reasons) > 0 && len(out.Rejected) < maxRejectedText {
			out.Rejected[strconv.Itoa(i)] = reasons
		}
		keep[phone] = true
	}
	if forced {
		out.Deleted += s.addressBooks.prune(user, device, keep)
	}
	return reply{status: http.StatusOK, body: out}, nil
}

// contactList reads a JSON list, and a form's contacts[0][phone].
func contactList(v any) (contacts []params, ok bool) {
	items, isList := v.([]any)
	if form, isForm := v.(map[string]any); isForm {
		for _, key := range slices.Sorted(maps.Keys(form)) {
			items = append(items, form[key])
		}
		isList = true
	}
	for _, item := range items {
		fields, _ := item.(map[string]any) // not an object: nothing in it, so it is rejected
		contacts = append(contacts, fields)
	}
	return contacts, isList
}

// upload does with one contact what it says, or gives the reasons why not. The
// reasons are the documented ones.
func (a *addressBooks) upload(out *bookReport, user int64, device, phone string, c params) (reasons []string) {
	name := c.text("name")
	destroy := c.flag("destroy")
	if n := utf8.RuneCountInString(phone); n < minPhone || n > maxPhone {
		reasons = append(reasons, "Length of 'phone' field should be min: 10 and max: 15.")
	}
	if n := utf8.RuneCountInString(name); !destroy && (n == 0 || n > maxContactName) {
		reasons = append(reasons, "Length of 'name' field should be min: 1 and max: 255.")
	}
	if len(reasons) > 0 {
		return reasons
	}
	devices := a.having(user, device, phone)
	switch {
	case destroy:
		for _, other := range devices {
			a.remove(user, other, phone)
		}
		out.Deleted += min(len(devices), 1)
	case len(devices) > 0:
		for _, other := range devices {
			a.set(user, other, phone, name)
		}
		out.Updated++
	case a.total >= maxContacts:
		return []string{"The sandbox is full: it has as many contacts as it may"}
	default:
		a.set(user, device, phone, name)
		out.Created++
	}
	return nil
}

// prune removes what a forced upload did not have, and counts it.
func (a *addressBooks) prune(user int64, device string, keep map[string]bool) (gone int) {
	for phone := range a.contacts(user, device) {
		if keep[phone] {
			continue
		}
		for _, other := range a.having(user, device, phone) {
			a.remove(user, other, phone)
		}
		gone++
	}
	return gone
}

func getAddressBook(s *Sandbox, q *request, live *session) (reply, error) {
	type contactJSON struct {
		Phone string `json:"phone"`
		Name  string `json:"name"`
	}
	contacts := s.addressBooks.contacts(live.user.id, q.params.text("udid"))
	items := make([]contactJSON, 0, len(contacts))
	for _, phone := range slices.Sorted(maps.Keys(contacts)) {
		items = append(items, contactJSON{phone, contacts[phone]})
	}
	return reply{status: http.StatusOK, body: items}, nil
}

// registeredUsers finds the contacts who are users, by their phones' digits
// alone (assumed): people write one number in many ways.
func registeredUsers(s *Sandbox, q *request, live *session) (reply, error) {
	type compactUser struct {
		ID    int64  `json:"id"`
		Phone string `json:"phone"`
		Name  string `json:"address_book_name"`
	}
	type fullUser struct {
		userJSON
		Name string `json:"address_book_name"`
	}
	names := book{} // by digits
	for phone, name := range s.addressBooks.contacts(live.user.id, q.params.text("udid")) {
		names[digits(phone)] = name
	}
	delete(names, "")
	compact := q.params.flag("compact")
	items := []map[string]any{}
	for _, u := range s.registry.withPhones(names) {
		name := names[digits(u.phone)]
		if compact {
			items = append(items, map[string]any{"user": compactUser{u.id, u.phone, name}})
		} else {
			items = append(items, map[string]any{"user": fullUser{u.public(), name}})
		}
	}
	return reply{status: http.StatusOK, body: map[string]any{"items": items}}, nil
}

// withPhones lists the users whose phones have those digits, by id.
func (r *registry) withPhones(names book) (found []*user) {
	if len(names) == 0 {
		return nil
	}
	for _, u := range r.users {
		if _, known := names[digits(u.phone)]; known && u.phone != "" {
			found = append(found, u)
		}
	}
	slices.SortFunc(found, func(a, b *user) int { return int(a.id - b.id) })
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
