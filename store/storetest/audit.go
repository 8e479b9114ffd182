package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"cubegate/store"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// audit tests the collection of events.
func audit(t *testing.T, tg Target) {
	b := newBase(t, tg)
	a := b.openStore(t, func(o *store.Options) { o.AuditMax = 250 }).Audit()
	for i := range 450 {
		if err := a.Record(t.Context(), store.Event{Kind: "login", Outcome: "ok", UserID: fmt.Sprint(i % 50), Detail: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	long := store.Event{Kind: "long", Detail: string(make([]byte, 5000)) + "é"}
	if err := a.Record(t.Context(), long); err != nil {
		t.Fatal(err)
	}
	trim(t, a)
	if n := b.countEvents(t, bson.D{}); n > 251+200 || n < 250 {
		t.Errorf("%d events are kept; want 250 and the events since the last count", n)
	}
	page, err := a.Page(t.Context(), store.EventFilter{}, "", 3)
	if err != nil || len(page.Items) != 3 || page.Items[0].Kind != "long" || len(page.Items[0].Detail) > 200 || page.Items[1].Detail != "449" || time.Since(page.Items[1].At) > time.Minute {
		t.Fatalf("newest: %+v, %v", page, err)
	}
	next, err := a.Page(t.Context(), store.EventFilter{UserID: "49", Kind: "login"}, page.Items[1].ID, 2)
	if err != nil || len(next.Items) != 2 || next.Items[0].Detail != "399" || next.Items[1].Detail != "349" {
		t.Errorf("next: %+v, %v", next, err)
	}
	if _, err := a.Page(t.Context(), store.EventFilter{}, "x", 2); !errors.Is(err, store.ErrBadCursor) {
		t.Errorf("an invalid cursor: %v", err)
	}
	hasTTL(t, b, "audit", 0)
	t.Run("refusals do not remove history", func(t *testing.T) { separateBounds(t, tg) })
	t.Run("shares", func(t *testing.T) { sharesOfAudit(t, tg) })
	t.Run("refusals keep the largest count", func(t *testing.T) { largestCount(t, tg) })
}

// countEvents returns the number of records that a filter matches.
func (b base) countEvents(t *testing.T, filter bson.D) int {
	t.Helper()
	n, err := b.raw.Collection("audit").CountDocuments(t.Context(), filter)
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

// trim removes the oldest events beyond the bounds.
func trim(t *testing.T, a *store.Audit) {
	t.Helper()
	if err := a.Trim(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// refusals returns n refusals of different users.
func refusals(n int) []store.Event {
	list := make([]store.Event, n)
	for i := range list {
		at := time.Now()
		list[i] = store.Event{ID: store.NewEventID(at), At: at, Kind: "login", Outcome: "refused", UserID: fmt.Sprint(i), Count: 1}
	}
	return list
}

// separateBounds writes too many refusals and too many other events, and checks that neither
// removes the other ones.
func separateBounds(t *testing.T, tg Target) {
	b := newBase(t, tg)
	a := b.openStore(t, func(o *store.Options) { o.AuditMaxChanges, o.AuditMaxRefusals = 100, 100 }).Audit()
	number := func(filter bson.D) int { return b.countEvents(t, filter) }
	for i := range 90 {
		if err := a.Record(t.Context(), store.Event{Kind: "roles", Outcome: "ok", Actor: fmt.Sprint("admin", i%50), Detail: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Record(t.Context(), store.Event{Kind: "refresh", Outcome: "refused", Detail: "a session was ended"}); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if err := a.RecordRefusals(t.Context(), refusals(200)); err != nil {
			t.Fatal(err)
		}
	}
	trim(t, a)
	if n := number(bson.D{{Key: "kind", Value: "login"}}); n != 100 {
		t.Errorf("%d of 1,000 refusals are kept, want 100", n)
	}
	if n := number(bson.D{{Key: "kind", Value: "roles"}}); n != 90 {
		t.Errorf("%d of 90 changes are kept after the refusals", n)
	}
	if n := number(bson.D{{Key: "kind", Value: "refresh"}}); n != 1 {
		t.Errorf("the ended session is recorded %d times after the refusals, want 1", n)
	}
	page, err := a.Page(t.Context(), store.EventFilter{Kind: "login"}, "", 1)
	if err != nil || len(page.Items) != 1 || page.Items[0].UserID != "199" {
		t.Errorf("the newest refusal: %+v, %v", page, err)
	}
	for i := range 500 {
		if err := a.Record(t.Context(), store.Event{Kind: "roles", Outcome: "ok", Actor: fmt.Sprint("admin", i%50), Detail: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	trim(t, a)
	if n := number(bson.D{{Key: "kind", Value: "roles"}}); n < 100 || n > 100+200 {
		t.Errorf("%d of 590 changes are kept, want 100 and those since the last count", n)
	}
	if n := number(bson.D{{Key: "kind", Value: "login"}}); n != 100 {
		t.Errorf("%d of 100 refusals are kept after the changes", n)
	}
}

// largestCount writes one refusal several times, as after a lost answer.
func largestCount(t *testing.T, tg Target) {
	a := newBase(t, tg).openStore(t).Audit()
	one := refusals(2)
	for _, count := range []int{1, 7, 7, 3} {
		one[0].Count = count
		if err := a.RecordRefusals(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Record(t.Context(), store.Event{Kind: "login", Outcome: "ok"}); err != nil {
		t.Fatal(err)
	}
	page, err := a.Page(t.Context(), store.EventFilter{}, "", 10)
	if err != nil || len(page.Items) != 3 {
		t.Fatalf("%+v, %v; want two refusals and a login", page, err)
	}
	counts := map[string]int{}
	for _, e := range page.Items {
		counts[string(e.Outcome)+e.UserID] = e.Count
	}
	if counts["refused0"] != 7 || counts["refused1"] != 1 || counts["ok"] != 0 {
		t.Errorf("counts %v, want 7, 1 and none", counts)
	}
	if r := page.Items[len(page.Items)-1]; r.ID != one[0].ID || r.Kind != "login" || r.At.IsZero() {
		t.Errorf("the refusal is %+v, want %+v", r, one[0])
	}
	if err := a.RecordRefusals(t.Context(), []store.Event{{ID: "x", Count: 1}}); err == nil {
		t.Error("an invalid ID is accepted")
	}
	if err := a.RecordRefusals(t.Context(), nil); err != nil {
		t.Errorf("no refusals: %v", err)
	}
}
