package core

import "slices"

// What dialogs and messages are refused with.
var (
	ErrForbidden         = AsBase(403, "Forbidden")                                 // inf
	ErrTooManyOccupants  = AsBase(422, "occupants_ids has more than 5000 user ids") // our own; the service's plans set the number
	errTooManyAdmins     = AsBase(422, "admins_ids has more than 5 user ids")       // doc, the text inf
	errTooManyExtensions = AsBase(422, "extensions has more than 3 keys")           // doc, refusing inf
	errBlankName         = AsField(422, "name", "cannot be blank")                  // inf, by the password's
)

// DialogKind is a dialog's type, as the API numbers it.
type DialogKind int64

const (
	KindBroadcast DialogKind = iota + 1
	KindGroup
	KindPrivate
	KindPublic
)

// role is what a user is in a dialog; each may do what those before it may.
type role int

const (
	outsider role = iota
	member
	admin
	owner
	noRole // the kind of dialog does not have the act
)

// Act is something that not everybody may do in a dialog.
type Act int

const (
	ToSend        Act = iota
	ToAddUsers        // by others: joining a public dialog needs no right
	ToDescribe        // name, photo, description
	ToExtend          // extensions and permissions
	ToRemoveUsers     // leaving needs no right
	ToPin
	toModerate // to delete anyone's message for everyone
	ToAppoint  // to add and remove admins
	ToErase    // to delete the dialog, or its history, for everyone
)

// rights is the documented table, by act: the least role in a broadcast, group,
// private and public dialog. Assumed: who may send in a broadcast, and the row
// of ToExtend.
var rights = map[Act][4]role{
	ToSend:        {admin, member, member, member},
	ToAddUsers:    {noRole, member, noRole, noRole},
	ToDescribe:    {admin, member, noRole, admin},
	ToExtend:      {admin, member, member, admin},
	ToRemoveUsers: {admin, admin, noRole, admin},
	ToPin:         {admin, admin, noRole, admin},
	toModerate:    {admin, admin, noRole, admin},
	ToAppoint:     {owner, owner, noRole, owner},
	ToErase:       {owner, owner, owner, owner},
}

// roleOf says what the user is. Everybody belongs to a broadcast; its owner and
// the owner of any dialog lose their rights by leaving.
func (d *Dialog) roleOf(user int64) role {
	switch {
	case !d.Occupants.Has(user) && d.Kind == KindBroadcast:
		return member
	case !d.Occupants.Has(user):
		return outsider
	case user == d.Owner:
		return owner
	case d.Admins.Has(user):
		return admin
	}
	return member
}

// May reports whether the user may do the act.
func (d *Dialog) May(user int64, act Act) bool {
	return d.roleOf(user) >= rights[act][d.Kind-1]
}

// MayRemove says whether the user may delete m for everyone: whoever wrote it,
// unless in a broadcast, and whoever moderates.
func (m *Message) MayRemove(user int64) bool {
	own := m.Sender == user && m.Dialog.May(user, ToSend)
	return own || m.Dialog.May(user, toModerate)
}

// MayHide says whether the user may delete m for themselves. In a broadcast only
// those who moderate may (doc).
func (m *Message) MayHide(user int64) bool {
	if m.Dialog.Kind == KindBroadcast {
		return m.Dialog.May(user, toModerate)
	}
	return m.Dialog.roleOf(user) >= member
}

// Find gives the dialog that the user belongs to.
func (a *Archive) Find(id string, user int64) (*Dialog, error) {
	d := a.Dialogs[id]
	switch {
	case d == nil:
		return nil, ErrNoResource
	case d.roleOf(user) == outsider:
		return nil, ErrForbidden
	}
	return d, nil
}

// FindMessage gives the message that the user can see.
func (a *Archive) FindMessage(id string, user int64) (*Message, error) {
	m := a.Messages[id]
	switch {
	case m == nil, m.DeletedFor.Has(user):
		return nil, ErrNoResource
	case m.Dialog.roleOf(user) == outsider:
		return nil, ErrForbidden
	}
	return m, nil
}

// Listeners are those who hear what is said in the dialog: its occupants, or
// everyone.
func (s *Application) Listeners(d *Dialog) []int64 {
	if d.Kind != KindBroadcast {
		return d.Occupants.List()
	}
	all := make([]int64, 0, len(s.Registry.Users))
	for id := range s.Registry.Users {
		all = append(all, id)
	}
	slices.Sort(all)
	return all
}
