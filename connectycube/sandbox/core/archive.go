package core

import (
	"cmp"
	"container/list"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

const (
	defaultMaxDialogs  = 10_000
	defaultMaxMessages = 100_000
	defaultMaxLength   = 10_000
	bytesPerMessage    = 1280      // in memory, for each message: 122 MiB by default
	leastArchiveBytes  = 16 << 20  // lower bound of the memory for messages
	mostDialogBytes    = 128 << 20 // of all dialogs without their messages
	MostOccupants      = 5_000     // of a group or a public dialog; the service's plans set it
	mostAdmins         = 5         // without the owner
	mostExtensions     = 3         // keys of one dialog
)

// Archive holds dialogs and messages with their indexes. The Application's lock
// guards it. It knows no rights; see rights.go. It has bounds for dialogs, messages
// and bytes: new entries replace the dialogs without activity for the longest time,
// and the oldest messages.
type Archive struct {
	limits   ArchiveLimits
	maxBytes int // of all messages, as Message.weight counts them

	maxDialogBytes int // of all dialogs, as Dialog.weight counts them

	NewID    func(time.Time) string
	arrivals uint64 // the last message's seq
	Bytes    int

	dialogBytes int

	Dialogs    map[string]*Dialog
	Messages   map[string]*Message
	ofUser     map[int64]map[*Dialog]struct{}
	broadcasts map[*Dialog]struct{}
	Private    map[pair]*Dialog

	active  *list.List // *Dialog, longest without activity first
	history *list.List // *Message, oldest first

	left func(dialogID string, user int64) // called with former occupants; must not call the archive
}

// ArchiveLimits bound the number of entries of an Archive.
type ArchiveLimits struct {
	Dialogs        int
	Messages       int // in all dialogs
	DialogMessages int // in one dialog
}

// pair is the key of a private dialog, the lower ID first.
type pair [2]int64

// PairOf returns the key of the private dialog of two users.
func PairOf(a, b int64) pair { return pair{min(a, b), max(a, b)} }

// NewArchive returns an empty archive.
func NewArchive(l ArchiveLimits) Archive {
	return Archive{
		limits:   l,
		maxBytes: max(leastArchiveBytes, l.Messages*bytesPerMessage),

		maxDialogBytes: mostDialogBytes,

		NewID:      newOIDs(),
		Dialogs:    map[string]*Dialog{},
		Messages:   map[string]*Message{},
		ofUser:     map[int64]map[*Dialog]struct{}{},
		broadcasts: map[*Dialog]struct{}{},
		Private:    map[pair]*Dialog{},
		active:     list.New(),
		history:    list.New(),
		left:       func(string, int64) {},
	}
}

// newOIDs returns a function that creates IDs of 24 hex digits, as MongoDB does:
// seconds, a number of the process, a counter. Lists that are paged by _id need
// IDs in the order of creation, so the seconds stand still while the clock is behind
// the last ID.
func newOIDs() func(time.Time) string {
	process, counter, latest := RandomHex(5), uint32(0), uint32(0)
	return func(now time.Time) string {
		counter++
		latest = max(latest, uint32(now.Unix()))
		return fmt.Sprintf("%08x%s%06x", latest, process, counter&0xffffff)
	}
}

// IsOID reports whether s has 24 lower-case hex digits.
func IsOID(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == 12 && hex.EncodeToString(raw) == s
}

// Add stores a new dialog and sets its ID.
func (a *Archive) Add(d *Dialog, now time.Time) {
	for len(a.Dialogs) >= a.limits.Dialogs {
		a.Drop(a.active.Front().Value.(*Dialog))
	}
	d.ID = a.NewID(now)
	d.Created, d.Updated = now, now
	a.put(d)
	a.makeRoom(d)
}

// put stores a dialog that has an ID.
func (a *Archive) put(d *Dialog) {
	d.Unread = map[int64]int{}
	d.place = a.active.PushBack(d)
	a.Dialogs[d.ID] = d
	for _, user := range d.Occupants {
		a.note(d, user)
	}
	switch d.Kind {
	case KindBroadcast:
		a.broadcasts[d] = struct{}{}
	case KindPrivate:
		a.Private[PairOf(d.Occupants[0], d.Occupants[1])] = d
	}
	d.held = d.weight()
	a.dialogBytes += d.held
}

// makeRoom updates the size of d and drops the dialogs without activity for the
// longest time until all fit; d itself stays.
func (a *Archive) makeRoom(d *Dialog) {
	if a.Dialogs[d.ID] != d {
		return
	}
	before := d.held
	d.held = d.weight()
	a.dialogBytes += d.held - before
	for e := a.active.Front(); e != nil && a.dialogBytes > a.maxDialogBytes; e = a.active.Front() {
		quiet := e.Value.(*Dialog)
		if quiet == d {
			return
		}
		a.Drop(quiet)
	}
}

func (a *Archive) note(d *Dialog, user int64) {
	if a.ofUser[user] == nil {
		a.ofUser[user] = map[*Dialog]struct{}{}
	}
	a.ofUser[user][d] = struct{}{}
}

func (a *Archive) unnote(d *Dialog, user int64) {
	delete(a.ofUser[user], d)
	if len(a.ofUser[user]) == 0 {
		delete(a.ofUser, user)
	}
}

// Drop removes a dialog and its messages for all users, who thereby leave it.
func (a *Archive) Drop(d *Dialog) {
	a.Empty(d)
	for _, user := range d.Occupants {
		a.unnote(d, user)
	}
	if d.Kind == KindPrivate {
		delete(a.Private, PairOf(d.Occupants[0], d.Occupants[1]))
	}
	delete(a.broadcasts, d)
	delete(a.Dialogs, d.ID)
	a.dialogBytes -= d.held
	a.active.Remove(d.place)
	for _, user := range d.Occupants {
		a.left(d.ID, user)
	}
}

// Touch records activity in the dialog.
func (a *Archive) Touch(d *Dialog, now time.Time) {
	d.Updated = now
	a.active.MoveToBack(d.place)
	a.makeRoom(d)
}

// Join makes the user an occupant. Earlier messages count as unread.
func (a *Archive) Join(d *Dialog, user int64) {
	if !d.Occupants.Add(user) {
		return
	}
	d.Hidden.Remove(user)
	a.note(d, user)
	for _, m := range d.Messages {
		if d.Counts() && m.unreadBy(user) {
			d.Unread[user]++
		}
	}
}

// Leave removes the user from the occupants and the admins. It drops a dialog
// without occupants, which no user could reach again.
func (a *Archive) Leave(d *Dialog, user int64) {
	if !d.Occupants.Remove(user) {
		return
	}
	d.Admins.Remove(user)
	d.Silent.Remove(user)
	delete(d.Unread, user)
	a.unnote(d, user)
	a.left(d.ID, user)
	if len(d.Occupants) == 0 {
		a.Drop(d)
	}
}

// DialogsOf yields the dialogs that a user sees, in no order.
func (a *Archive) DialogsOf(user int64) func(yield func(*Dialog) bool) {
	return func(yield func(*Dialog) bool) {
		for d := range a.ofUser[user] {
			if !d.Hidden.Has(user) && !yield(d) {
				return
			}
		}
		for d := range a.broadcasts {
			if !d.Occupants.Has(user) && !d.Hidden.Has(user) && !yield(d) {
				return
			}
		}
	}
}

// Arrived yields all messages, the oldest first. Most lists need nearly this order,
// or its reverse, which is quick to sort.
func (a *Archive) Arrived(yield func(*Message) bool) {
	for e := a.history.Front(); e != nil && yield(e.Value.(*Message)); e = e.Next() {
	}
}

// Post stores a message. It keeps the message's ID if that is valid and free, and
// else sets a new one. A hidden private dialog becomes visible again.
func (a *Archive) Post(m *Message, now time.Time) {
	if _, taken := a.Messages[m.ID]; taken || !IsOID(m.ID) {
		m.ID = a.NewID(now)
	}
	d := m.Dialog
	m.Created, m.Updated = now, now
	m.Read, m.Delivered = UserSet{m.Sender}, UserSet{m.Sender}
	if d.Kind == KindPrivate {
		d.Hidden = nil
	}
	a.append(m)
	a.Touch(d, now)
	for len(d.Messages) > a.limits.DialogMessages {
		a.Remove(d.Messages[0])
	}
	a.Shrink()
}

// append stores a message that has an ID at the end of its dialog.
func (a *Archive) append(m *Message) {
	a.arrivals++
	m.seq = a.arrivals
	a.Messages[m.ID] = m
	m.Dialog.Messages = append(m.Dialog.Messages, m)
	m.place = a.history.PushBack(m)
	a.Bytes += m.weight()
	a.countUnread(m, +1)
}

// Shrink removes the oldest messages until the rest fits. Receipts have a size too,
// so a caller that marks or hides messages calls it afterward.
func (a *Archive) Shrink() {
	for len(a.Messages) > a.limits.Messages || a.Bytes > a.maxBytes && len(a.Messages) > 1 {
		a.Remove(a.history.Front().Value.(*Message))
	}
}

// Remove deletes a message for all users.
func (a *Archive) Remove(m *Message) {
	d := m.Dialog
	a.countUnread(m, -1)
	if d.Messages[0] == m { // the usual case, and often one of thousands
		d.Messages[0] = nil
		d.Messages = d.Messages[1:]
	} else {
		i, _ := slices.BinarySearchFunc(d.Messages, m.seq, func(m *Message, seq uint64) int { return cmp.Compare(m.seq, seq) })
		d.Messages = slices.Delete(d.Messages, i, i+1)
	}
	d.Pinned = slices.DeleteFunc(d.Pinned, func(id string) bool { return id == m.ID })
	delete(a.Messages, m.ID)
	a.history.Remove(m.place)
	a.Bytes -= m.weight()
}

// Empty deletes all messages of a dialog for all users.
func (a *Archive) Empty(d *Dialog) {
	for _, m := range slices.Backward(d.Messages) {
		a.Remove(m)
	}
}

// countUnread adds by to the counters of the users who have not read m.
func (a *Archive) countUnread(m *Message, by int) {
	if !m.Dialog.Counts() {
		return
	}
	for _, user := range m.Dialog.Occupants {
		if m.unreadBy(user) {
			m.Dialog.Unread[user] += by
		}
	}
}

// change runs edit on m and updates the counters of bytes.
func (a *Archive) change(m *Message, edit func()) {
	before := m.weight()
	edit()
	a.Bytes += m.weight() - before
}

// Mark records that the user received the message or, if read is set, also read it.
// It reports whether that is new; only then it sets the message's time.
func (a *Archive) Mark(m *Message, user int64, read bool, now time.Time) (news bool) {
	a.change(m, func() {
		news = m.Delivered.Add(user)
		if read && !m.Read.Has(user) {
			if m.Dialog.Counts() && m.Dialog.Occupants.Has(user) && m.unreadBy(user) {
				m.Dialog.Unread[user]--
			}
			m.Read.Add(user)
			news = true
		}
		if news {
			m.Updated = now
		}
	})
	return news
}

// Hide deletes a message for one user.
func (a *Archive) Hide(m *Message, user int64, now time.Time) {
	if m.DeletedFor.Has(user) {
		return
	}
	a.change(m, func() {
		if m.Dialog.Counts() && m.Dialog.Occupants.Has(user) && m.unreadBy(user) {
			m.Dialog.Unread[user]--
		}
		m.DeletedFor.Add(user)
		m.Updated = now
	})
}

// Clear deletes the content of a dialog for one user.
func (a *Archive) Clear(d *Dialog, user int64, now time.Time) {
	for _, m := range d.Messages {
		a.Hide(m, user, now)
	}
	a.Shrink()
}

// UserSet is a set of user IDs, ascending.
type UserSet []int64

// Has reports whether the set contains id.
func (s UserSet) Has(id int64) bool {
	_, found := slices.BinarySearch(s, id)
	return found
}

// Add adds id and reports whether it is new.
func (s *UserSet) Add(id int64) bool {
	i, found := slices.BinarySearch(*s, id)
	if !found {
		*s = slices.Insert(*s, i, id)
	}
	return !found
}

// Remove removes id and reports whether the set contained it.
func (s *UserSet) Remove(id int64) bool {
	i, found := slices.BinarySearch(*s, id)
	if found {
		*s = slices.Delete(*s, i, i+1)
	}
	return found
}

// List returns a copy that needs no lock. It is never nil, which would become null in JSON.
func (s UserSet) List() []int64 { return append([]int64{}, s...) }
