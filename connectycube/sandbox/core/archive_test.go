package core

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// verify recomputes all counters and indexes and compares them.
func (a *Archive) verify(t *testing.T) {
	t.Helper()
	bytes, messages := 0, 0
	for id, d := range a.Dialogs {
		if d.ID != id || a.active.Len() != len(a.Dialogs) {
			t.Fatalf("dialog %s is kept as %s, %d of %d in order", d.ID, id, a.active.Len(), len(a.Dialogs))
		}
		for _, user := range d.Occupants {
			unread := 0
			for _, m := range d.Messages {
				if d.Counts() && m.unreadBy(user) {
					unread++
				}
			}
			if d.Unread[user] != unread {
				t.Fatalf("%d unread for %d, want %d", d.Unread[user], user, unread)
			}
			if _, noted := a.ofUser[user][d]; !noted {
				t.Fatalf("dialog %s is not among those of %d", id, user)
			}
		}
		for user := range d.Unread {
			if !d.Occupants.Has(user) {
				t.Fatalf("unread count of %d, who left", user)
			}
		}
		if !slices.IsSortedFunc(d.Messages, ByArrival) {
			t.Fatal("messages are out of order")
		}
		for _, m := range d.Messages {
			if a.Messages[m.ID] != m || m.Dialog != d {
				t.Fatalf("message %s is lost", m.ID)
			}
			bytes += m.weight()
		}
		for _, id := range d.Pinned {
			if a.Messages[id] == nil {
				t.Fatalf("message %s is pinned and gone", id)
			}
		}
		messages += len(d.Messages)
	}
	held := 0
	for _, d := range a.Dialogs {
		held += d.held
	}
	if held != a.dialogBytes {
		t.Fatalf("%d bytes in dialogs, want %d", a.dialogBytes, held)
	}
	if bytes != a.Bytes || messages != len(a.Messages) || messages != a.history.Len() {
		t.Fatalf("%d bytes in %d messages, %d in order; want %d in %d", a.Bytes, len(a.Messages), a.history.Len(), bytes, messages)
	}
	noted := 0
	for user, dialogs := range a.ofUser {
		noted += len(dialogs)
		for d := range dialogs {
			if a.Dialogs[d.ID] != d || !d.Occupants.Has(user) {
				t.Fatalf("%d is noted for dialog %s", user, d.ID)
			}
		}
	}
	occupants, private := 0, 0
	for _, d := range a.Dialogs {
		occupants += len(d.Occupants)
		if d.Kind == KindPrivate {
			private++
		}
	}
	if noted != occupants || private != len(a.Private) {
		t.Fatalf("%d notes for %d occupants, %d of %d private dialogs indexed", noted, occupants, len(a.Private), private)
	}
}

// TestCountersStayRight: after any sequence of changes, the counters and indexes are
// right, and the bounds hold.
func TestCountersStayRight(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		made := NewArchive(ArchiveLimits{8, 60, 20})
		a := &made
		a.maxBytes = 60 * 800
		now := time.Unix(1_700_000_000, 0)
		users := func() int64 { return 1 + r.Int64N(6) }
		for range 2000 {
			now = now.Add(time.Duration(r.IntN(3)) * time.Second)
			var d *Dialog
			for _, d = range a.Dialogs { // any
				break
			}
			if d == nil || r.IntN(30) == 0 {
				d := &Dialog{Kind: DialogKind(1 + r.IntN(4)), Owner: users()}
				if d.Kind == KindPrivate {
					if other := users(); other != d.Owner {
						a.PrivateDialog(d.Owner, other, now)
					}
					continue
				}
				d.Occupants.Add(d.Owner)
				a.Add(d, now)
				continue
			}
			step(a, d, r, users(), now)
			if len(a.Dialogs) > 8 || len(a.Messages) > 60 || len(d.Messages) > 20 || a.Bytes > a.maxBytes {
				t.Fatalf("%d dialogs, %d messages, %d in one, %d bytes", len(a.Dialogs), len(a.Messages), len(d.Messages), a.Bytes)
			}
		}
		a.verify(t)
		for _, d := range a.Dialogs {
			a.Drop(d)
		}
		a.verify(t)
		if a.Bytes != 0 || a.dialogBytes != 0 || len(a.ofUser) != 0 {
			t.Fatalf("%d and %d bytes, and %d users are left in an empty archive", a.Bytes, a.dialogBytes, len(a.ofUser))
		}
	}
}

// step makes a random change to a dialog.
func step(a *Archive, d *Dialog, r *rand.Rand, user int64, now time.Time) {
	var m *Message
	if len(d.Messages) > 0 {
		m = d.Messages[r.IntN(len(d.Messages))]
	}
	switch n := r.IntN(20); {
	case n < 8 || m == nil:
		sender := d.Occupants[r.IntN(len(d.Occupants))]
		a.Post(&Message{Dialog: d, Sender: sender, Body: strings.Repeat("x", r.IntN(300)), Custom: map[string]any{"k": "v"}}, now)
	case n < 11:
		a.Mark(m, user, r.IntN(2) == 0, now)
		a.Shrink()
	case n == 11:
		a.Hide(m, user, now)
		a.Shrink()
	case n == 12:
		a.Remove(m)
	case n == 13:
		a.Edit(m, "edited", now)
		a.Shrink()
	case n == 14 && r.IntN(2) == 0:
		kinds := []string{"", "👍", "👎"}
		a.React(m, user, kinds[r.IntN(3)], kinds[r.IntN(3)])
		a.Shrink()
	case n == 14:
		d.Pinned = append(d.Pinned, m.ID)
	case n == 15:
		a.Clear(d, user, now)
	case n == 16 && r.IntN(4) == 0:
		a.Empty(d)
	case n == 17 && r.IntN(4) == 0:
		a.Drop(d)
	case d.Kind == KindPrivate:
		d.Hidden.Add(user)
	case n == 18:
		a.Leave(d, user)
	default:
		a.Join(d, user)
	}
}

func TestIDs(t *testing.T) {
	for id, want := range map[string]bool{
		"5c094e30e588ce59fff87431": true, "5C094E30E588CE59FFF87431": false, "5c094e30e588ce59fff8743": false,
		"5c094e30e588ce59fff8743x": false, "": false, strings.Repeat("0", 26): false,
	} {
		if IsOID(id) != want {
			t.Errorf("isOID(%q) = %v", id, !want)
		}
	}
	next := newOIDs()
	now := time.Unix(0x5c094e30, 0)
	first, second, later := next(now), next(now), next(now.Add(time.Second))
	if !strings.HasPrefix(first, "5c094e30") || !IsOID(first) || first >= second || second >= later {
		t.Errorf("ids %s, %s, %s do not order", first, second, later)
	}
}
