package core

import "slices"

// The refusals for dialogs and messages; the texts are assumed. The service bounds
// admins and extensions (https://developers.connectycube.com/server/chat).
var (
	ErrForbidden         = AsBase(403, "Forbidden")
	ErrTooManyOccupants  = AsBase(422, "occupants_ids has more than 5000 user ids") // our own; the service's plans set the number
	errTooManyAdmins     = AsBase(422, "admins_ids has more than 5 user ids")
	errTooManyExtensions = AsBase(422, "extensions has more than 3 keys") // the service may drop the rest instead
	errBlankName         = AsField(422, "name", "cannot be blank")        // after the text for a password
)

// DialogKind is a dialog's type, as the API numbers it.
type DialogKind int64

const (
	KindBroadcast DialogKind = iota + 1
	KindGroup
	KindPrivate
	KindPublic
)

// role is the role of a user in a dialog. Each role includes the rights of those
// before it.
type role int

const (
	outsider role = iota
	member
	admin
	owner
	noRole // the kind of dialog does not have the act
)

// Act is an act in a dialog that requires a role.
type Act int

const (
	ToSend        Act = iota
	ToAddUsers        // other users: joining a public dialog needs no right
	ToDescribe        // name, photo, description
	ToExtend          // extensions and permissions
	ToRemoveUsers     // other users: leaving needs no right
	ToPin
	toModerate // deleting another user's message for all
	ToAppoint  // adding and removing admins
	ToErase    // deleting the dialog, or its history, for all
)

// rights is the documented table (https://developers.connectycube.com/server/chat):
// the lowest role for each act in a broadcast, group, private and public dialog.
// The right to send in a broadcast and the row of ToExtend are assumed.
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

// roleOf returns the user's role. Every user is a member of a broadcast. Owners who
// leave a dialog lose their rights.
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

// MayRemove reports whether the user may delete m for all: as its sender, except in
// a broadcast, or as a moderator.
func (m *Message) MayRemove(user int64) bool {
	own := m.Sender == user && m.Dialog.May(user, ToSend)
	return own || m.Dialog.May(user, toModerate)
}

// MayHide reports whether the user may delete m for themselves. In a broadcast only
// moderators may (https://developers.connectycube.com/server/chat).
func (m *Message) MayHide(user int64) bool {
	if m.Dialog.Kind == KindBroadcast {
		return m.Dialog.May(user, toModerate)
	}
	return m.Dialog.roleOf(user) >= member
}

// Find returns the dialog if the user belongs to it.
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

// FindMessage returns the message if the user can see it.
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

// Listeners returns the users who receive the messages of a dialog: its occupants,
// or all users for a broadcast.
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
