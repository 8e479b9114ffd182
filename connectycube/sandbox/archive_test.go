package sandbox

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// verify counts everything anew and compares.
func (a *archive) verify(t *testing.T) {
	t.Helper()
	bytes, messages := 0, 0
	for id, d := range a.dialogs {
		if d.id != id || a.active.Len() != len(a.dialogs) {
			t.Fatalf("dialog %s is kept as %s, %d of %d in order", d.id, id, a.active.Len(), len(a.dialogs))
		}
		for _, user := range d.occupants {
			unread := 0
			for _, m := range d.messages {
				if d.counts() && m.unreadBy(user) {
					unread++
				}
			}
			if d.unread[user] != unread {
				t.Fatalf("%d unread for %d, want %d", d.unread[user], user, unread)
			}
			if _, noted := a.ofUser[user][d]; !noted {
				t.Fatalf("dialog %s is not among those of %d", id, user)
			}
		}
		for user := range d.unread {
			if !d.occupants.has(user) {
				t.Fatalf("unread count of %d, who left", user)
			}
		}
		if !slices.IsSortedFunc(d.messages, byArrival) {
			t.Fatal("messages are out of order")
		}
		for _, m := range d.messages {
			if a.messages[m.id] != m || m.dialog != d {
				t.Fatalf("message %s is lost", m.id)
			}
			bytes += m.weight()
		}
		for _, id := range d.pinned {
			if a.messages[id] == nil {
				t.Fatalf("message %s is pinned and gone", id)
			}
		}
		messages += len(d.messages)
	}
	held := 0
	for _, d := range a.dialogs {
		held += d.held
	}
	if held != a.dialogBytes {
		t.Fatalf("%d bytes in dialogs, want %d", a.dialogBytes, held)
	}
	if bytes != a.bytes || messages != len(a.messages) || messages != a.history.Len() {
		t.Fatalf("%d bytes in %d messages, %d in order; want %d in %d", a.bytes, len(a.messages), a.history.Len(), bytes, messages)
	}
	noted := 0
	for user, dialogs := range a.ofUser {
		noted += len(dialogs)
		for d := range dialogs {
			if a.dialogs[d.id] != d || !d.occupants.has(user) {
				t.Fatalf("%d is noted for dialog %s", user, d.id)
			}
		}
	}
	occupants, private := 0, 0
	for _, d := range a.dialogs {
		occupants += len(d.occupants)
		if d.kind == kindPrivate {
			private++
		}
	}
	if noted != occupants || private != len(a.private) {
		t.Fatalf("%d notes for %d occupants, %d of %d private dialogs indexed", noted, occupants, len(a.private), private)
	}
}

// TestCountersStayRight: whatever happens in whatever order, the counters and
// indexes are what counting would give, and the bounds hold.
func TestCountersStayRight(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		made := newArchive(8, 60, 20)
		a := &made
		a.maxBytes = 60 * 800
		now := time.Unix(1_700_000_000, 0)
		users := func() int64 { return 1 + r.Int64N(6) }
		for range 2000 {
			now = now.Add(time.Duration(r.IntN(3)) * time.Second)
			var d *dialog
			for _, d = range a.dialogs { // any
				break
			}
			if d == nil || r.IntN(30) == 0 {
				d := &dialog{kind: dialogKind(1 + r.IntN(4)), owner: users()}
				if d.kind == kindPrivate {
					if other := users(); other != d.owner {
						a.privateDialog(d.owner, other, now)
					}
					continue
				}
				d.occupants.add(d.owner)
				a.add(d, now)
				continue
			}
			step(a, d, r, users(), now)
			if len(a.dialogs) > 8 || len(a.messages) > 60 || len(d.messages) > 20 || a.bytes > a.maxBytes {
				t.Fatalf("%d dialogs, %d messages, %d in one, %d bytes", len(a.dialogs), len(a.messages), len(d.messages), a.bytes)
			}
		}
		a.verify(t)
		for _, d := range a.dialogs {
			a.drop(d)
		}
		a.verify(t)
		if a.bytes != 0 || a.dialogBytes != 0 || len(a.ofUser) != 0 {
			t.Fatalf("%d and %d bytes, and %d users are left of nothing", a.bytes, a.dialogBytes, len(a.ofUser))
		}
	}
}

// step does something to a dialog.
func step(a *archive, d *dialog, r *rand.Rand, user int64, now time.Time) {
	var m *message
	if len(d.messages) > 0 {
		m = d.messages[r.IntN(len(d.messages))]
	}
	switch n := r.IntN(20); {
	case n < 8 || m == nil:
		sender := d.occupants[r.IntN(len(d.occupants))]
		a.post(&message{dialog: d, sender: sender, body: strings.Repeat("x", r.IntN(300)), custom: map[string]any{"k": "v"}}, now)
	case n < 11:
		a.mark(m, user, r.IntN(2) == 0, now)
		a.shrink()
	case n == 11:
		a.hide(m, user, now)
		a.shrink()
	case n == 12:
		a.remove(m)
	case n == 13:
		a.edit(m, "edited", now)
		a.shrink()
	case n == 14 && r.IntN(2) == 0:
		kinds := []string{"", "👍", "👎"}
		a.react(m, user, kinds[r.IntN(3)], kinds[r.IntN(3)])
		a.shrink()
	case n == 14:
		d.pinned = append(d.pinned, m.id)
	case n == 15:
		a.clear(d, user, now)
	case n == 16 && r.IntN(4) == 0:
		a.empty(d)
	case n == 17 && r.IntN(4) == 0:
		a.drop(d)
	case d.kind == kindPrivate:
		d.hidden.add(user)
	case n == 18:
		a.leave(d, user)
	default:
		a.join(d, user)
	}
}

func TestIDs(t *testing.T) {
	for id, want := range map[string]bool{
		"5c094e30e588ce59fff87431": true, "5C094E30E588CE59FFF87431": false, "5c094e30e588ce59fff8743": false,
		"5c094e30e588ce59fff8743x": false, "": false, strings.Repeat("0", 26): false,
	} {
		if isOID(id) != want {
			t.Errorf("isOID(%q) = %v", id, !want)
		}
	}
	next := newOIDs()
	now := time.Unix(0x5c094e30, 0)
	first, second, later := next(now), next(now), next(now.Add(time.Second))
	if !strings.HasPrefix(first, "5c094e30") || !isOID(first) || first >= second || second >= later {
		t.Errorf("ids %s, %s, %s do not order", first, second, later)
	}
}
