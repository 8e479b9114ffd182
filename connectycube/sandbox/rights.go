package sandbox

import "slices"

// What dialogs and messages are refused with.
var (
	errForbidden         = asBase(403, "Forbidden")                                 // inf
	errTooManyOccupants  = asBase(422, "occupants_ids has more than 5000 user ids") // our own; the service's plans set the number
	errTooManyAdmins     = asBase(422, "admins_ids has more than 5 user ids")       // doc, the text inf
	errTooManyExtensions = asBase(422, "extensions has more than 3 keys")           // doc, refusing inf
	errBlankName         = asField(422, "name", "cannot be blank")                  // inf, by the password's
)

// dialogKind is a dialog's type, as the API numbers it.
type dialogKind int64

const (
	kindBroadcast dialogKind = iota + 1
	kindGroup
	kindPrivate
	kindPublic
)

// role is what a user is in a dialog; each may do what those before it may.
type role int

const (
	outsider role = iota
	member
	admin
	owner
	nobody // no role at all: the kind of dialog does not have the act
)

// act is something that not everybody may do in a dialog.
type act int

const (
	toSend        act = iota
	toAddUsers        // by others: joining a public dialog needs no right
	toDescribe        // name, photo, description
	toExtend          // extensions and permissions
	toRemoveUsers     // leaving needs no right
	toPin
	toModerate // to delete anyone's message for everyone
	toAppoint  // to add and remove admins
	toErase    // to delete the dialog, or its history, for everyone
)

// rights is the documented table, by act: the least role in a broadcast, group,
// private and public dialog. Assumed: who may send in a broadcast, and the row
// of toExtend.
var rights = map[act][4]role{
	toSend:        {admin, member, member, member},
	toAddUsers:    {nobody, member, nobody, nobody},
	toDescribe:    {admin, member, nobody, admin},
	toExtend:      {admin, member, member, admin},
	toRemoveUsers: {admin, admin, nobody, admin},
	toPin:         {admin, admin, nobody, admin},
	toModerate:    {admin, admin, nobody, admin},
	toAppoint:     {owner, owner, nobody, owner},
	toErase:       {owner, owner, owner, owner},
}

// roleOf says what the user is. Everybody belongs to a broadcast; its owner and
// the owner of any dialog lose their rights by leaving.
func (d *dialog) roleOf(user int64) role {
	switch {
	case !d.occupants.has(user) && d.kind == kindBroadcast:
		return member
	case !d.occupants.has(user):
		return outsider
	case user == d.owner:
		return owner
	case d.admins.has(user):
		return admin
	}
	return member
}

// may says whether the user may do this.
func (d *dialog) may(user int64, what act) bool {
	return d.roleOf(user) >= rights[what][d.kind-1]
}

// mayRemove says whether the user may delete m for everyone: whoever wrote it,
// unless in a broadcast, and whoever moderates.
func (m *message) mayRemove(user int64) bool {
	own := m.sender == user && m.dialog.may(user, toSend)
	return own || m.dialog.may(user, toModerate)
}

// mayHide says whether the user may delete m for themselves. In a broadcast only
// those who moderate may (doc).
func (m *message) mayHide(user int64) bool {
	if m.dialog.kind == kindBroadcast {
		return m.dialog.may(user, toModerate)
	}
	return m.dialog.roleOf(user) >= member
}

// find gives the dialog that the user belongs to.
func (a *archive) find(id string, user int64) (*dialog, error) {
	d := a.dialogs[id]
	switch {
	case d == nil:
		return nil, errNoResource
	case d.roleOf(user) == outsider:
		return nil, errForbidden
	}
	return d, nil
}

// findMessage gives the message that the user can see.
func (a *archive) findMessage(id string, user int64) (*message, error) {
	m := a.messages[id]
	switch {
	case m == nil, m.deletedFor.has(user):
		return nil, errNoResource
	case m.dialog.roleOf(user) == outsider:
		return nil, errForbidden
	}
	return m, nil
}

// listeners are those who hear what is said in the dialog: its occupants, or
// everyone.
func (s *Application) listeners(d *dialog) []int64 {
	if d.kind != kindBroadcast {
		return d.occupants.list()
	}
	all := make([]int64, 0, len(s.registry.users))
	for id := range s.registry.users {
		all = append(all, id)
	}
	slices.Sort(all)
	return all
}
