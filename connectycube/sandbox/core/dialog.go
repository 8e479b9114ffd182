package core

import (
	"container/list"
	"maps"
	"slices"
	"time"
)

// Dialog is a conversation. Its maps are replaced, never changed: answers share
// them.
type Dialog struct {
	ID                       string
	Kind                     DialogKind
	Owner                    int64
	Name, Description, Photo string
	Occupants, Admins        UserSet
	Pinned                   []string
	Extensions               map[string]string // nil: null
	Permissions              map[string]bool   // nil: null
	Silent                   UserSet           // users without notifications
	Hidden                   UserSet           // users who deleted it for themselves
	Whiteboards              []Whiteboard      // replaced, never changed
	Created, Updated         time.Time

	Messages []*Message    // in order of arrival
	Unread   map[int64]int // by occupant, if the dialog counts
	held     int           // its part of Archive.dialogBytes
	place    *list.Element // in Archive.active
}

// weight estimates the bytes that d keeps in memory, without its messages. An
// occupant takes 100: in the set, in Unread and in Archive.ofUser.
func (d *Dialog) weight() int {
	n := 1200 + len(d.Name) + len(d.Description) + len(d.Photo) + 100*len(d.Occupants) +
		16*(len(d.Admins)+len(d.Silent)+len(d.Hidden)) + 48*len(d.Pinned)
	if len(d.Extensions) > 0 {
		n += tableBytes(len(d.Extensions), 32)
	}
	for key, value := range d.Extensions {
		n += textBytes(key) + textBytes(value)
	}
	for _, w := range d.Whiteboards {
		n += 200 + textBytes(w.Name)
	}
	return n
}

// Counts reports whether the dialog counts unread messages: group and private ones do
// (https://developers.connectycube.com/server/chat).
func (d *Dialog) Counts() bool { return d.Kind == KindGroup || d.Kind == KindPrivate }

// LastFor returns the newest message that the user can see, or nil.
func (d *Dialog) LastFor(user int64) *Message {
	for _, m := range slices.Backward(d.Messages) {
		if !m.DeletedFor.Has(user) {
			return m
		}
	}
	return nil
}

// Opponent returns the other user of a private dialog, and 0 for other kinds.
func (d *Dialog) Opponent(user int64) int64 {
	if d.Kind != KindPrivate {
		return 0
	}
	return d.Occupants[0] + d.Occupants[1] - user
}

// PrivateDialog finds the dialog of two users, or creates it.
func (a *Archive) PrivateDialog(from, to int64, now time.Time) *Dialog {
	if d := a.Private[PairOf(from, to)]; d != nil {
		return d
	}
	d := &Dialog{Kind: KindPrivate, Owner: from}
	d.Occupants.Add(from)
	d.Occupants.Add(to)
	a.Add(d, now)
	return d
}

// ReadExtensions reads extensions: up to three values, converted to text. It drops
// null values. Null instead of the object removes all.
func (s *Application) ReadExtensions(p Params) (map[string]string, error) {
	given := p.Object("extensions")
	if given == nil {
		return nil, nil
	}
	kept := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(given)) {
		value, isScalar := Scalar(given[key])
		allowed := len(s.Dashboard.DialogExtensions) == 0 || slices.Contains(s.Dashboard.DialogExtensions, key)
		if isScalar && allowed {
			kept[key] = value
		}
	}
	if len(kept) > mostExtensions {
		return nil, errTooManyExtensions
	}
	if len(kept) == 0 {
		return nil, nil
	}
	return kept, nil
}

// ReadPermissions reads the permissions; only allow_preview exists.
func ReadPermissions(p Params) map[string]bool {
	given := p.Object("permissions")
	if !given.Has("allow_preview") {
		return nil
	}
	return map[string]bool{"allow_preview": given.Flag("allow_preview")}
}

// Check checks the rules for all dialogs that are not private.
func (d *Dialog) Check() error {
	switch {
	case d.Name == "":
		return errBlankName
	case len(d.Occupants) > MostOccupants:
		return ErrTooManyOccupants
	case len(d.Admins) > mostAdmins:
		return errTooManyAdmins
	}
	return nil
}

// Describe sets the given texts, extensions and permissions. On an error it sets
// nothing.
func (s *Application) Describe(d *Dialog, p Params) error {
	to := *d
	texts := []textField{ // the bounds are our own
		{"name", &to.Name, 1024},
		{"description", &to.Description, 8192},
		{"photo", &to.Photo, 2048},
	}
	if wrong := p.setTexts(texts); len(wrong) > 0 {
		return AsBase(422, wrong[0])
	}
	if p.Has("extensions") {
		extensions, err := s.ReadExtensions(p)
		if err != nil {
			return err
		}
		to.Extensions = extensions
	}
	if p.Has("permissions") {
		to.Permissions = ReadPermissions(p)
	}
	*d = to
	return nil
}
