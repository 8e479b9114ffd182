package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"cubegate/store"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// sharesOfAudit tests the parts of the audit that one user may have.
func sharesOfAudit(t *testing.T, tg Target) {
	t.Run("a flood of one user removes no record of others", func(t *testing.T) { flood(t, tg, 1, 300) })
	t.Run("a flood of a hundred users removes no record of others", func(t *testing.T) { flood(t, tg, 100, 1500) })
	t.Run("a user has a part of a small bound only", func(t *testing.T) { smallBound(t, tg) })
	t.Run("the newest records and the start of a burst stay", func(t *testing.T) { startOfBurst(t, tg) })
	t.Run("a share that was left too large gets smaller", func(t *testing.T) { neglectedShare(t, tg) })
	t.Run("records of earlier versions stay", func(t *testing.T) { earlierRecords(t, tg) })
	t.Run("pages go on while records disappear", func(t *testing.T) { pagesDuringFlood(t, tg) })
}

const (
	sharePerUser = 10

	// maxOvershoot bounds the records beyond a share. A share of 10 is thinned at every second
	// event on average, so one run in 2^60 exceeds it.
	maxOvershoot = 60
)

// smallShares returns options with shares of ten events, and room for more in all.
func smallShares(room int) func(o *store.Options) {
	return func(o *store.Options) {
		o.AuditMax, o.AuditMaxChanges, o.AuditMaxRefusals, o.AuditPerUser = room, room, room, sharePerUser
	}
}

// victims is the number of users who do nothing while others cause a flood.
const victims = 20

// history writes a few records of each class for the victims.
func history(t *testing.T, a *store.Audit) {
	t.Helper()
	for i := range victims {
		id := fmt.Sprint("victim", i)
		err := errors.Join(
			a.Record(t.Context(), store.Event{Kind: store.AuditLogin, Outcome: store.OutcomeOK, UserID: id}),
			a.Record(t.Context(), store.Event{Kind: store.AuditPassword, Outcome: store.OutcomeOK, UserID: id}),
			a.Record(t.Context(), store.Event{Kind: store.AuditDisable, Outcome: store.OutcomeOK, UserID: id, Actor: "admin"}),
			a.RecordRefusals(t.Context(), refusalsOf(id, time.Now(), 5)))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// refusalsOf returns n refusals of one user, one each second.
func refusalsOf(id string, from time.Time, n int) []store.Event {
	list := make([]store.Event, n)
	for i := range list {
		at := from.Add(time.Duration(i) * time.Second)
		list[i] = store.Event{ID: store.NewEventID(at), At: at, Kind: store.AuditLogin, Outcome: store.OutcomeRefused, UserID: id, Count: 1}
	}
	return list
}

// smallBound lets a user log in, whose share by the settings is all that there is room for.
func smallBound(t *testing.T, tg Target) {
	b := newBase(t, tg)
	a := b.openStore(t, func(o *store.Options) { o.AuditMax, o.AuditPerUser = 100, 100 }).Audit()
	history(t, a)
	for range 500 {
		if err := a.Record(t.Context(), store.Event{Kind: store.AuditLogin, Outcome: store.OutcomeOK, UserID: "attacker"}); err != nil {
			t.Fatal(err)
		}
	}
	trim(t, a)
	others := bson.D{{Key: "class", Value: "login"}, {Key: "share", Value: bson.D{{Key: "$ne", Value: "attacker login"}}}}
	if got := b.countEvents(t, others); got != victims {
		t.Errorf("%d logins of %d other users are left", got, victims)
	}
}

// flood lets some users cause half as many logins and refusals again as there is room for, at
// two replicas at once, and one of them as many changes. The records of all others stay complete.
func flood(t *testing.T, tg Target, users, room int) {
	b := newBase(t, tg)
	replicas := []*store.Audit{b.openStore(t, smallShares(room)).Audit(), b.openStore(t, smallShares(room)).Audit()}
	history(t, replicas[0])
	before := b.countEvents(t, bson.D{})
	const workers = 100 // the embedded database writes those that wait at once
	results := make(chan error, workers)
	for w := range workers {
		go func() {
			var err error
			for i := w; i < room*3/2 && err == nil; i += workers {
				err = misbehave(t, replicas[w%2], i, fmt.Sprint("attacker", i%users))
			}
			results <- err
		}()
	}
	for range workers {
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}
	trim(t, replicas[0])
	trim(t, replicas[1])
	for i := range victims {
		id := fmt.Sprint("victim", i)
		if n := b.countEvents(t, bson.D{{Key: "userId", Value: id}}); n != before/victims {
			t.Errorf("%s has %d of %d records", id, n, before/victims)
		}
	}
	for i := range users {
		id := fmt.Sprint("attacker", i)
		n := b.countEvents(t, bson.D{{Key: "userId", Value: id}, {Key: "class", Value: "login"}})
		if n < sharePerUser || n > sharePerUser+maxOvershoot {
			t.Errorf("%s has %d records of logins, want about %d", id, n, sharePerUser)
		}
	}
}

// misbehave writes the event i of a flood, some of a user's own changes, and some refusals.
func misbehave(t *testing.T, a *store.Audit, i int, id string) error {
	e := store.Event{Kind: store.AuditLogin, Outcome: store.OutcomeOK, UserID: id}
	if i%2 == 1 {
		e.Kind = store.AuditLogout
	}
	err := a.Record(t.Context(), e)
	if err == nil && id == "attacker0" {
		e.Kind = store.AuditPassword
		err = a.Record(t.Context(), e)
	}
	if err == nil && i%10 == 0 {
		err = a.RecordRefusals(t.Context(), refusalsOf(id, time.Now(), 10))
	}
	return err
}

// startOfBurst writes a refusal a day, and then a thousand in a row.
func startOfBurst(t *testing.T, tg Target) {
	b := newBase(t, tg)
	a := b.openStore(t, smallShares(300)).Audit()
	now := time.Now().UTC().Truncate(time.Second)
	burst := refusalsOf("ada", now.Add(-time.Hour), 1000)
	list := burst
	for day := range 3 {
		list = append(refusalsOf("ada", now.AddDate(0, 0, -day-1), 1), list...)
	}
	for chunk := range slices.Chunk(list, 10) {
		if err := a.RecordRefusals(t.Context(), chunk); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range append(list[:4:4], burst[len(burst)-sharePerUser/2:]...) {
		id, _ := bson.ObjectIDFromHex(e.ID)
		if b.countEvents(t, bson.D{{Key: "_id", Value: id}}) != 1 {
			t.Errorf("the refusal of %s is gone", e.At)
		}
	}
	if n := b.countEvents(t, bson.D{}); n > sharePerUser+maxOvershoot {
		t.Errorf("%d refusals are kept, want about %d", n, sharePerUser)
	}
}

// neglectedShare adds many records to a share, as by processes that were killed before they
// thinned it. The next ones thin it.
func neglectedShare(t *testing.T, tg Target) {
	b := newBase(t, tg)
	a := b.openStore(t, smallShares(300)).Audit()
	login := store.Event{Kind: store.AuditLogin, Outcome: store.OutcomeOK, UserID: "ada"}
	if err := a.Record(t.Context(), login); err != nil {
		t.Fatal(err)
	}
	var one bson.M
	if err := b.raw.Collection("audit").FindOne(t.Context(), bson.D{}).Decode(&one); err != nil {
		t.Fatal(err)
	}
	var copies []any
	for range 280 {
		again := bson.M{}
		for k, v := range one {
			again[k] = v
		}
		again["_id"] = bson.NewObjectID()
		copies = append(copies, again)
	}
	if _, err := b.raw.Collection("audit").InsertMany(t.Context(), copies); err != nil {
		t.Fatal(err)
	}
	for range 2 * maxOvershoot {
		if err := a.Record(t.Context(), login); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.countEvents(t, bson.D{}); n < sharePerUser || n > sharePerUser+maxOvershoot {
		t.Errorf("%d logins are kept, want about %d", n, sharePerUser)
	}
}

// earlierRecords lets the records of an earlier version, which have neither class nor share,
// meet a flood.
func earlierRecords(t *testing.T, tg Target) {
	b := newBase(t, tg)
	a := b.openStore(t, smallShares(300)).Audit()
	var old []any
	for i := range 300 {
		old = append(old, bson.D{{Key: "at", Value: time.Now()}, {Key: "kind", Value: "login"}, {Key: "outcome", Value: "ok"}, {Key: "userId", Value: fmt.Sprint("old", i%5)},
			{Key: "expires", Value: time.Now().Add(time.Hour)}})
	}
	if _, err := b.raw.Collection("audit").InsertMany(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if err := a.Record(t.Context(), store.Event{Kind: store.AuditLogin, Outcome: store.OutcomeOK, UserID: fmt.Sprint("old", i%5)}); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.countEvents(t, bson.D{{Key: "class", Value: bson.D{{Key: "$exists", Value: false}}}}); n != 300 {
		t.Errorf("%d of 300 records of an earlier version are kept", n)
	}
	page, err := a.Page(t.Context(), store.EventFilter{UserID: "old1"}, "", 100)
	if err != nil || len(page.Items) < 60+sharePerUser {
		t.Errorf("%d records of one user, %v; want those of both versions", len(page.Items), err)
	}
}

// pagesDuringFlood reads the records of one user page by page while they are thinned.
func pagesDuringFlood(t *testing.T, tg Target) {
	a := newBase(t, tg).openStore(t, smallShares(300)).Audit()
	login := store.Event{Kind: store.AuditLogin, Outcome: store.OutcomeOK, UserID: "ada"}
	kept := store.Event{Kind: store.AuditDisable, Outcome: store.OutcomeOK, UserID: "ada", Actor: "root"}
	for i := range 20 {
		kept.Detail = fmt.Sprint(i)
		if err := errors.Join(a.Record(t.Context(), login), a.Record(t.Context(), kept)); err != nil {
			t.Fatal(err)
		}
	}
	var bans []string
	last := ""
	for cursor, more := "", true; more; {
		page, err := a.Page(t.Context(), store.EventFilter{UserID: "ada"}, cursor, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Items {
			if last != "" && e.ID >= last {
				t.Errorf("%s follows %s", e.ID, last)
			}
			if last = e.ID; e.Kind == store.AuditDisable {
				bans = append(bans, e.Detail)
			}
		}
		for range 5 {
			if err := a.Record(t.Context(), login); err != nil {
				t.Fatal(err)
			}
		}
		cursor, more = page.Next, page.Next != ""
	}
	want := []string{}
	for i := range 20 {
		want = append(want, fmt.Sprint(19-i))
	}
	if !slices.Equal(bans, want) {
		t.Errorf("the pages have the bans %v, want %v", bans, want)
	}
}
