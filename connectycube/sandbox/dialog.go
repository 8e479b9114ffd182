package sandbox

import (
	"container/list"
	"maps"
	"slices"
	"time"
)

// dialog is a conversation. Maps in it are replaced, never changed: answers
// share them.
type dialog struct {
	id                       string
	kind                     dialogKind
	owner                    int64
	name, description, photo string
	occupants, admins        userSet
	pinned                   []string
	extensions               map[string]string // nil: null
	permissions              map[string]bool   // nil: null
	silent                   userSet           // want no notifications
	hidden                   userSet           // deleted it for themselves
	created, updated         time.Time

	messages []*message    // in order of arrival
	unread   map[int64]int // by occupant, when the dialog counts
	held     int           // bytes that archive.dialogBytes has of it
	place    *list.Element // in archive.active
}

// weight estimates the bytes that d keeps in memory, apart from its messages. Of
// an occupant that is 100: in the set, in unread and in archive.ofUser.
func (d *dialog) weight() int {
	n := 1200 + len(d.name) + len(d.description) + len(d.photo) + 100*len(d.occupants) +
		16*(len(d.admins)+len(d.silent)+len(d.hidden)) + 48*len(d.pinned)
	if len(d.extensions) > 0 {
		n += tableBytes(len(d.extensions), 32)
	}
	for key, value := range d.extensions {
		n += textBytes(key) + textBytes(value)
	}
	return n
}

// counts says whether unread messages are counted (doc: group and private).
func (d *dialog) counts() bool { return d.kind == kindGroup || d.kind == kindPrivate }

// lastFor is the newest message that the user can see, or nil.
func (d *dialog) lastFor(user int64) *message {
	for _, m := range slices.Backward(d.messages) {
		if !m.deletedFor.has(user) {
			return m
		}
	}
	return nil
}

// opponent is the other one in a private dialog, and 0 elsewhere.
func (d *dialog) opponent(user int64) int64 {
	if d.kind != kindPrivate {
		return 0
	}
	return d.occupants[0] + d.occupants[1] - user
}

// privateDialog finds the dialog of two users, or makes it.
func (a *archive) privateDialog(from, to int64, now time.Time) *dialog {
	if d := a.private[pairOf(from, to)]; d != nil {
		return d
	}
	d := &dialog{kind: kindPrivate, owner: from}
	d.occupants.add(from)
	d.occupants.add(to)
	a.add(d, now)
	return d
}

// extend reads extensions: up to three values, which become text; null ones are
// left out, and null instead of the object forgets all.
func (s *Application) extend(p params) (map[string]string, error) {
	given := p.object("extensions")
	if given == nil {
		return nil, nil
	}
	kept := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(given)) {
		value, isScalar := scalar(given[key])
		allowed := len(s.dashboard.DialogExtensions) == 0 || slices.Contains(s.dashboard.DialogExtensions, key)
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

// permit reads permissions, of which there is one.
func permit(p params) map[string]bool {
	given := p.object("permissions")
	if !given.has("allow_preview") {
		return nil
	}
	return map[string]bool{"allow_preview": given.flag("allow_preview")}
}

// check holds what is true of every dialog that is not private.
func (d *dialog) check() error {
	switch {
	case d.name == "":
		return errBlankName
	case len(d.occupants) > mostOccupants:
		return errTooManyOccupants
	case len(d.admins) > mostAdmins:
		return errTooManyAdmins
	}
	return nil
}

// describe sets the texts, extensions and permissions that are present. It sets
// nothing when it refuses.
func (s *Application) describe(d *dialog, p params) error {
	to := *d
	for _, f := range []struct {
		key string
		to  *string
		max int // characters; our own
	}{
		{"name", &to.name, 1024},
		{"description", &to.description, 8192},
		{"photo", &to.photo, 2048},
	} {
		if !p.has(f.key) {
			continue
		}
		*f.to = p.text(f.key)
		if text := checkLength(f.key, *f.to, 0, f.max); text != "" {
			return asBase(422, text)
		}
	}
	if p.has("extensions") {
		extensions, err := s.extend(p)
		if err != nil {
			return err
		}
		to.extensions = extensions
	}
	if p.has("permissions") {
		to.permissions = permit(p)
	}
	*d = to
	return nil
}
