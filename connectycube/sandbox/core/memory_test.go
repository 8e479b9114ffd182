package core

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// The journal is bounded in bytes, for any requests.
func TestJournalIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	const most = 4*2*JournalText + journalMethod // of one entry
	for range journalSize + 10 {
		s.Note(Entry{On: OnREST, Method: "GET", Path: "/session"})
	}
	if n := len(s.journal.entries); n != journalSize || s.journal.entries[0].ID != 11 {
		t.Errorf("%d small entries, from %d", n, s.journal.entries[0].ID)
	}
	big := strings.Repeat("\xff", 64<<10)
	for i := range 1000 {
		s.Note(Entry{On: OnREST, Method: big, Path: big, Headers: big, Request: big, Response: big})
		s.Note(Entry{On: OnChat, UserID: int64(i), Direction: "in", Stanza: big})
	}
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	if n := len(s.journal.entries); n < 500 || s.journal.bytes > journalBytes {
		t.Errorf("%d large entries with %d bytes", n, s.journal.bytes)
	}
	held := 0
	for _, e := range s.journal.entries {
		n := 0
		for _, text := range []string{e.On, e.Method, e.Path, e.Headers, e.Fault, e.Request, e.Response, e.Direction, e.Stanza} {
			n += len(text)
		}
		if n > most+32 {
			t.Fatalf("an entry has %d bytes, want at most %d: method %d, headers %d", n, most, len(e.Method), len(e.Headers))
		}
		held += e.weight()
	}
	if held != s.journal.bytes {
		t.Errorf("the journal counts %d bytes, and its entries have %d", s.journal.bytes, held)
	}
}

// The outbox is bounded in bytes, too.
func TestOutboxIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	o := &outbox{}
	for range maxOutbox + 10 {
		o.put(Outgoing{Kind: OutgoingPush, Text: strings.Repeat("x", 1<<16), Users: make([]int64, 1<<13), Email: strings.Repeat("x", 255)})
	}
	n := 0
	for _, item := range o.items {
		n += len(item.Text) + 8*cap(item.Users) + len(item.Email) + len(item.Subject)
	}
	if most := maxOutbox * (maxOutboxText + 9*maxOutboxUsers + 1<<10); n > most || len(o.items) != maxOutbox {
		t.Errorf("%d items with %d bytes, want at most %d", len(o.items), n, most)
	}
}

// Dialogs are bounded in bytes: of their occupants, texts and extensions. New ones
// replace those without activity for the longest time.
func TestDialogsAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	a := NewArchive(ArchiveLimits{10_000, 100, 100})
	a.maxDialogBytes = 200_000
	now := time.Unix(1_800_000_000, 0)
	occupants := make(UserSet, 300)
	for i := range occupants {
		occupants[i] = int64(i + 1)
	}
	var made []*Dialog
	grow := map[string]func(d *Dialog){
		"occupants":  func(d *Dialog) { d.Occupants = slices.Clone(occupants) },
		"text":       func(d *Dialog) { d.Description = strings.Repeat("x", 30_000) },
		"extensions": func(d *Dialog) { d.Extensions = map[string]string{"a": strings.Repeat("x", 30_000)} },
	}
	for name, set := range grow {
		for range 10 {
			d := &Dialog{Kind: KindGroup, Owner: 1, Occupants: UserSet{1}}
			set(d)
			a.Add(d, now)
			a.Post(&Message{Dialog: d, Sender: 1, Body: "x"}, now)
			made = append(made, d)
			if a.dialogBytes > a.maxDialogBytes {
				t.Fatalf("%s: %d bytes", name, a.dialogBytes)
			}
			a.verify(t)
		}
	}
	if len(a.Dialogs) < 3 || len(a.Dialogs) > 9 || a.Dialogs[made[len(made)-1].ID] == nil || a.Dialogs[made[0].ID] != nil {
		t.Errorf("%d dialogs are left, want the newest ones", len(a.Dialogs))
	}
	quiet := slices.Collect(maps.Values(a.Dialogs))
	one := made[len(made)-1]
	one.Description = strings.Repeat("x", 100_000) // grows by an update
	a.Touch(one, now)
	if a.dialogBytes > a.maxDialogBytes || a.Dialogs[one.ID] == nil || len(a.Dialogs) == len(quiet) {
		t.Errorf("%d bytes in %d dialogs after one grew", a.dialogBytes, len(a.Dialogs))
	}
	one.Description = strings.Repeat("x", 300_000) // a dialog alone stays, whatever its size
	a.Touch(one, now)
	if len(a.Dialogs) != 1 || a.Dialogs[one.ID] == nil {
		t.Errorf("%d dialogs", len(a.Dialogs))
	}
	a.verify(t)
}

func TestUsersAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	r := &s.Registry
	r.maxBytes = 20_000
	signUp := func(login, data string) (*User, error) {
		return s.CreateUser(Params{"login": login, "password": "12345678", "custom_data": data}, s.Now())
	}
	ann, err := signUp("ann", strings.Repeat("x", 8000))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signUp("bob", strings.Repeat("x", 8000)); err != nil {
		t.Fatal(err)
	}
	if _, err := signUp("cid", strings.Repeat("x", 8000)); !errors.Is(err, errFull) {
		t.Errorf("a third user: %v", err)
	}
	larger, smaller := ann.Profile, ann.Profile
	larger.FullName, smaller.CustomData = strings.Repeat("x", 4000), ""
	if err := r.Change(ann, larger, s.Now()); !errors.Is(err, errFull) || ann.FullName != "" {
		t.Errorf("a profile that grows: %v", err)
	}
	if err := r.Change(ann, smaller, s.Now()); err != nil {
		t.Error(err)
	}
	if _, err := signUp("cid", strings.Repeat("x", 4000)); err != nil {
		t.Error(err)
	}
	for _, u := range slices.Collect(maps.Values(r.Users)) {
		r.Remove(u)
	}
	if r.bytes != 0 {
		t.Errorf("%d bytes are counted without a user", r.bytes)
	}
}

// A seed whose dialogs would replace one another is refused as a whole.
func TestSeedOfTooLargeDialogsIsRefused(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	s.Archive.maxDialogBytes = 10_000
	seed := Seed{Users: []SeedUser{{Login: "ann", Password: "12345678"}}}
	for i := range 3 {
		seed.Dialogs = append(seed.Dialogs, SeedDialog{Key: fmt.Sprint(i), Name: "x", Owner: "ann", Description: strings.Repeat("x", 3000)})
	}
	if _, err := s.Seed(seed); err == nil || !strings.Contains(err.Error(), "bytes") || len(s.Registry.Users) != 0 {
		t.Errorf("error = %v, %d users", err, len(s.Registry.Users))
	}
	seed.Dialogs = seed.Dialogs[:1]
	if _, err := s.Seed(seed); err != nil {
		t.Error(err)
	}
}
