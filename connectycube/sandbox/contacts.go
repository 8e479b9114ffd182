package sandbox

import (
	"maps"
	"slices"
	"unicode/utf8"
)

// Bounds of address books. The total is our own: beyond it new contacts are
// rejected.
const (
	maxContacts    = 200_000 // in all
	minPhone       = 10      // characters (doc)
	maxPhone       = 15      // characters (doc)
	maxContactName = 255     // characters (doc)
)

// addressBooks are users' contacts, a book for each of a user's devices and one,
// of device "", for what was uploaded without a device. The Application's lock
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

// bookReport is the answer to an upload.
type bookReport struct {
	Deleted  int                 `json:"deleted"`
	Rejected map[string][]string `json:"rejected"` // reasons by the contact's place in the list, from 0 (assumed)
	Created  int                 `json:"created"`
	Updated  int                 `json:"updated"`
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
