package core

import (
	"maps"
	"slices"
	"unicode/utf8"
)

// Bounds of address books. The total is our own; the others are documented:
// https://developers.connectycube.com/server/address_book.
const (
	maxContacts    = 200_000 // in all; the sandbox rejects further ones
	minPhone       = 10      // characters
	maxPhone       = 15      // characters
	maxContactName = 255     // characters
)

// AddressBooks are the contacts of users: a book for each device of a user, and one,
// of device "", for uploads without a device. The Application's lock guards them.
type AddressBooks struct {
	OfUser map[int64]map[string]Book
	total  int
}

// Book maps phones to names.
type Book map[string]string

// contact is one entry of a Book.
type contact struct{ phone, name string }

func newAddressBooks() AddressBooks { return AddressBooks{OfUser: map[int64]map[string]Book{}} }

// Forget drops the books of a deleted user.
func (a *AddressBooks) Forget(user int64) {
	for device := range a.OfUser[user] {
		a.clear(user, device)
	}
}

func (a *AddressBooks) clear(user int64, device string) {
	a.total -= len(a.OfUser[user][device])
	delete(a.OfUser[user], device)
	if len(a.OfUser[user]) == 0 {
		delete(a.OfUser, user)
	}
}

func (a *AddressBooks) set(user int64, device string, c contact) {
	books := a.OfUser[user]
	if books == nil {
		books = map[string]Book{}
		a.OfUser[user] = books
	}
	if books[device] == nil {
		books[device] = Book{}
	}
	if _, known := books[device][c.phone]; !known {
		a.total++
	}
	books[device][c.phone] = c.name
}

func (a *AddressBooks) remove(user int64, device, phone string) {
	if _, known := a.OfUser[user][device][phone]; !known {
		return
	}
	a.total--
	delete(a.OfUser[user][device], phone)
	if len(a.OfUser[user][device]) == 0 {
		a.clear(user, device)
	}
}

// having returns the devices whose books contain the phone, among those of an
// upload. An upload without a device is about all devices
// (https://developers.connectycube.com/server/address_book).
func (a *AddressBooks) having(user int64, device, phone string) (devices []string) {
	for other, contacts := range a.OfUser[user] {
		if _, has := contacts[phone]; has && (device == "" || device == other) {
			devices = append(devices, other)
		}
	}
	return devices
}

// Contacts returns one device's book, or for device "" all books merged.
func (a *AddressBooks) Contacts(user int64, device string) Book {
	if device != "" {
		return a.OfUser[user][device]
	}
	all := Book{}
	books := a.OfUser[user]
	for _, other := range slices.Backward(slices.Sorted(maps.Keys(books))) {
		maps.Copy(all, books[other]) // the upload without a device comes last and wins
	}
	return all
}

// Prune removes the contacts that a forced upload did not contain, and counts them.
func (a *AddressBooks) Prune(user int64, device string, keep map[string]bool) (gone int) {
	for phone := range a.Contacts(user, device) {
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

// BookReport is the answer to an upload.
type BookReport struct {
	Deleted  int                 `json:"deleted"`
	Rejected map[string][]string `json:"rejected"` // reasons by the contact's index in the list (assumed)
	Created  int                 `json:"created"`
	Updated  int                 `json:"updated"`
}

// Upload stores or deletes one contact, or returns the documented reasons why not.
func (a *AddressBooks) Upload(out *BookReport, user int64, device, phone string, c Params) (reasons []string) {
	name := c.Text("name")
	destroy := c.Flag("destroy")
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
			a.set(user, other, contact{phone, name})
		}
		out.Updated++
	case a.total >= maxContacts:
		return []string{"The sandbox is full: it has as many contacts as it may"}
	default:
		a.set(user, device, contact{phone, name})
		out.Created++
	}
	return nil
}
