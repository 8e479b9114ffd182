package sandbox

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
	bytesPerMessage    = 1280      // that all messages may take for each of maxMessages: 122 MiB by default
	leastArchiveBytes  = 16 << 20  // of messages, however few there may be
	mostDialogBytes    = 128 << 20 // of all dialogs without their messages
	mostOccupants      = 5_000     // of a group or a public dialog; the service's plans set it
	mostAdmins         = 5         // beside the owner (doc)
	mostExtensions     = 3         // (doc)
)

// archive holds dialogs and messages with their indexes. The Application's lock
// guards it. It knows no rights: rights.go does. It is bounded in dialogs,
// messages and bytes; what was quiet for longest, or is oldest, makes room.
type archive struct {
	maxDialogs  int
	maxMessages int // in all
	maxLength   int // messages of one dialog
	maxBytes    int // of all messages, as message.weight counts them

	maxDialogBytes int // of all dialogs, as dialog.weight counts them

	ids      func(time.Time) string
	arrivals uint64 // the last message's seq
	bytes    int

	dialogBytes int

	dialogs    map[string]*dialog
	messages   map[string]*message
	ofUser     map[int64]map[*dialog]struct{}
	broadcasts map[*dialog]struct{}
	private    map[pair]*dialog

	active  *list.List // *dialog, quiet for longest first
	history *list.List // *message, oldest first

	left func(dialogID string, user int64) // is told of occupants that are none any more; may not call the archive
}

// pair is the key of a private dialog, the lower id first.
type pair [2]int64

func pairOf(a, b int64) pair { return pair{min(a, b), max(a, b)} }

func newArchive(maxDialogs, maxMessages, maxLength int) archive {
	return archive{
		maxDialogs:  maxDialogs,
		maxMessages: maxMessages,
		maxLength:   maxLength,
		maxBytes:    max(leastArchiveBytes, maxMessages*bytesPerMessage),

		maxDialogBytes: mostDialogBytes,

		ids:        newOIDs(),
		dialogs:    map[string]*dialog{},
		messages:   map[string]*message{},
		ofUser:     map[int64]map[*dialog]struct{}{},
		broadcasts: map[*dialog]struct{}{},
		private:    map[pair]*dialog{},
		active:     list.New(),
		history:    list.New(),
		left:       func(string, int64) {},
	}
}

// newOIDs makes 24 hex digits after the fashion of MongoDB: seconds, what tells
// processes apart, a counter. So ids order as they were made, which lists that
// page by _id need.
func newOIDs() func(time.Time) string {
	process, counter := randomHex(5), uint32(0)
	return func(now time.Time) string {
		counter++
		return fmt.Sprintf("%08x%s%06x", uint32(now.Unix()), process, counter&0xffffff)
	}
}

// isOID reports whether s is 24 lower-case hex digits.
func isOID(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == 12 && hex.EncodeToString(raw) == s
}

// add stores a new dialog and gives it its id.
func (a *archive) add(d *dialog, now time.Time) {
	for len(a.dialogs) >= a.maxDialogs {
		a.drop(a.active.Front().Value.(*dialog))
	}
	d.id = a.ids(now)
	d.created, d.updated = now, now
	a.put(d)
	a.makeRoom(d)
}

// put stores a dialog that has its id.
func (a *archive) put(d *dialog) {
	d.unread = map[int64]int{}
	d.place = a.active.PushBack(d)
	a.dialogs[d.id] = d
	for _, user := range d.occupants {
		a.note(d, user)
	}
	switch d.kind {
	case kindBroadcast:
		a.broadcasts[d] = struct{}{}
	case kindPrivate:
		a.private[pairOf(d.occupants[0], d.occupants[1])] = d
	}
	d.held = d.weight()
	a.dialogBytes += d.held
}

// makeRoom counts what d takes now, and drops dialogs that were quiet for longest
// until all fit; d itself stays.
func (a *archive) makeRoom(d *dialog) {
	if a.dialogs[d.id] != d {
		return
	}
	before := d.held
	d.held = d.weight()
	a.dialogBytes += d.held - before
	for e := a.active.Front(); e != nil && a.dialogBytes > a.maxDialogBytes; e = a.active.Front() {
		quiet := e.Value.(*dialog)
		if quiet == d {
			return
		}
		a.drop(quiet)
	}
}

func (a *archive) note(d *dialog, user int64) {
	if a.ofUser[user] == nil {
		a.ofUser[user] = map[*dialog]struct{}{}
	}
	a.ofUser[user][d] = struct{}{}
}

func (a *archive) unnote(d *dialog, user int64) {
	delete(a.ofUser[user], d)
	if len(a.ofUser[user]) == 0 {
		delete(a.ofUser, user)
	}
}

// drop removes a dialog and its messages for everyone, who have left it by that.
func (a *archive) drop(d *dialog) {
	a.empty(d)
	for _, user := range d.occupants {
		a.unnote(d, user)
	}
	if d.kind == kindPrivate {
		delete(a.private, pairOf(d.occupants[0], d.occupants[1]))
	}
	delete(a.broadcasts, d)
	delete(a.dialogs, d.id)
	a.dialogBytes -= d.held
	a.active.Remove(d.place)
	for _, user := range d.occupants {
		a.left(d.id, user)
	}
}

// touch notes that something happened in the dialog.
func (a *archive) touch(d *dialog, now time.Time) {
	d.updated = now
	a.active.MoveToBack(d.place)
	a.makeRoom(d)
}

// join makes the user an occupant. What was said before counts as unread.
func (a *archive) join(d *dialog, user int64) {
	if !d.occupants.add(user) {
		return
	}
	d.hidden.remove(user)
	a.note(d, user)
	for _, m := range d.messages {
		if d.counts() && m.unreadBy(user) {
			d.unread[user]++
		}
	}
}

// leave makes the user no occupant, and no admin, any more. A dialog that
// everybody left is dropped, since nobody could ever reach it again.
func (a *archive) leave(d *dialog, user int64) {
	if !d.occupants.remove(user) {
		return
	}
	d.admins.remove(user)
	d.silent.remove(user)
	delete(d.unread, user)
	a.unnote(d, user)
	a.left(d.id, user)
	if len(d.occupants) == 0 {
		a.drop(d)
	}
}

// dialogsOf lists the dialogs that a user sees, in no order.
func (a *archive) dialogsOf(user int64) func(yield func(*dialog) bool) {
	return func(yield func(*dialog) bool) {
		for d := range a.ofUser[user] {
			if !d.hidden.has(user) && !yield(d) {
				return
			}
		}
		for d := range a.broadcasts {
			if !d.occupants.has(user) && !d.hidden.has(user) && !yield(d) {
				return
			}
		}
	}
}

// arrived lists all messages, the oldest first: in an order that most lists
// nearly have, or its reverse, which is quick to sort.
func (a *archive) arrived(yield func(*message) bool) {
	for e := a.history.Front(); e != nil && yield(e.Value.(*message)); e = e.Next() {
	}
}

// post stores a message under its own id when that is one and is free, else
// under a new one. A dialog that its users had put away comes back to them.
func (a *archive) post(m *message, now time.Time) {
	if _, taken := a.messages[m.id]; taken || !isOID(m.id) {
		m.id = a.ids(now)
	}
	d := m.dialog
	m.created, m.updated = now, now
	m.read, m.delivered = userSet{m.sender}, userSet{m.sender}
	if d.kind == kindPrivate {
		d.hidden = nil
	}
	a.append(m)
	a.touch(d, now)
	for len(d.messages) > a.maxLength {
		a.remove(d.messages[0])
	}
	a.shrink()
}

// append stores a message that has its id at the end of its dialog.
func (a *archive) append(m *message) {
	a.arrivals++
	m.seq = a.arrivals
	a.messages[m.id] = m
	m.dialog.messages = append(m.dialog.messages, m)
	m.place = a.history.PushBack(m)
	a.bytes += m.weight()
	a.countUnread(m, +1)
}

// shrink removes the oldest messages until the rest fits. Receipts weigh too, so
// whoever marks or hides messages calls it afterwards.
func (a *archive) shrink() {
	for len(a.messages) > a.maxMessages || a.bytes > a.maxBytes && len(a.messages) > 1 {
		a.remove(a.history.Front().Value.(*message))
	}
}

// remove deletes a message for everyone.
func (a *archive) remove(m *message) {
	d := m.dialog
	a.countUnread(m, -1)
	if d.messages[0] == m { // the usual one, and often of thousands
		d.messages[0] = nil
		d.messages = d.messages[1:]
	} else {
		i, _ := slices.BinarySearchFunc(d.messages, m.seq, func(m *message, seq uint64) int { return cmp.Compare(m.seq, seq) })
		d.messages = slices.Delete(d.messages, i, i+1)
	}
	d.pinned = slices.DeleteFunc(d.pinned, func(id string) bool { return id == m.id })
	delete(a.messages, m.id)
	a.history.Remove(m.place)
	a.bytes -= m.weight()
}

// empty deletes all messages of a dialog for everyone.
func (a *archive) empty(d *dialog) {
	for _, m := range slices.Backward(d.messages) {
		a.remove(m)
	}
}

// countUnread adds by to the counters of those who have not read m.
func (a *archive) countUnread(m *message, by int) {
	if !m.dialog.counts() {
		return
	}
	for _, user := range m.dialog.occupants {
		if m.unreadBy(user) {
			m.dialog.unread[user] += by
		}
	}
}

// change runs edit on m and keeps the counters of bytes right.
func (a *archive) change(m *message, edit func()) {
	before := m.weight()
	edit()
	a.bytes += m.weight() - before
}

// mark notes that the user got the message, or read it, which includes the
// former. It reports whether that is news; only then the message's time moves.
func (a *archive) mark(m *message, user int64, read bool, now time.Time) (news bool) {
	a.change(m, func() {
		news = m.delivered.add(user)
		if read && !m.read.has(user) {
			if m.dialog.counts() && m.dialog.occupants.has(user) && m.unreadBy(user) {
				m.dialog.unread[user]--
			}
			m.read.add(user)
			news = true
		}
		if news {
			m.updated = now
		}
	})
	return news
}

// hide deletes a message for one user.
func (a *archive) hide(m *message, user int64, now time.Time) {
	if m.deletedFor.has(user) {
		return
	}
	a.change(m, func() {
		if m.dialog.counts() && m.dialog.occupants.has(user) && m.unreadBy(user) {
			m.dialog.unread[user]--
		}
		m.deletedFor.add(user)
		m.updated = now
	})
}

// clear deletes what a dialog holds for one user.
func (a *archive) clear(d *dialog, user int64, now time.Time) {
	for _, m := range d.messages {
		a.hide(m, user, now)
	}
	a.shrink()
}

// userSet is a set of user ids, ascending.
type userSet []int64

func (s userSet) has(id int64) bool {
	_, found := slices.BinarySearch(s, id)
	return found
}

// add reports whether id is new.
func (s *userSet) add(id int64) bool {
	i, found := slices.BinarySearch(*s, id)
	if !found {
		*s = slices.Insert(*s, i, id)
	}
	return !found
}

// remove reports whether id was there.
func (s *userSet) remove(id int64) bool {
	i, found := slices.BinarySearch(*s, id)
	if found {
		*s = slices.Delete(*s, i, i+1)
	}
	return found
}

// list is a copy that may leave the lock; never nil, as that would become null.
func (s userSet) list() []int64 { return append([]int64{}, s...) }
