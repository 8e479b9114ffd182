package core

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestOutboxKeepsTheNewest(t *testing.T) {
	s := New(Options{})
	for i := range maxOutbox + 7 {
		s.wouldPush([]int64{3, 1, 3}, fmt.Sprint(i))
	}
	items := s.Outbox()
	if len(items) != maxOutbox || items[0].Text != "7" || items[0].ID != 8 || items[maxOutbox-1].Text != fmt.Sprint(maxOutbox+6) {
		t.Errorf("%d items from %+v to %+v", len(items), items[0], items[len(items)-1])
	}
	if got := fmt.Sprint(items[0].Users, items[0].Recipients); got != "[1 3] 2" {
		t.Errorf("users and their number = %s", got)
	}
	s.wouldPush(nil, "to no user")
	s.EmptyOutbox()
	s.wouldPush([]int64{1}, "after")
	if items := s.Outbox(); len(items) != 1 || items[0].ID != maxOutbox+8 {
		t.Errorf("after it was emptied: %+v", items)
	}
}

func TestOutboxItemsAreBounded(t *testing.T) {
	s := New(Options{})
	many := make([]int64, maxOutboxUsers+5)
	for i := range many {
		many[i] = int64(i)
	}
	s.wouldPush(many, strings.Repeat("ж", maxOutboxText))
	item := s.Outbox()[0]
	if len(item.Users) != maxOutboxUsers || item.Recipients != len(many) || item.Text != strings.Repeat("ж", maxOutboxText/2) {
		t.Errorf("%d users of %d, %d bytes", len(item.Users), item.Recipients, len(item.Text))
	}
	item.Users[0] = 99
	if s.Outbox()[0].Users[0] != 0 {
		t.Error("a change of Outbox's result changes the outbox")
	}
}

// Pushes are recorded with and without the lock, during other changes.
func TestOutboxUnderRace(t *testing.T) {
	s := New(Options{})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 50 {
				if i%2 == 0 {
					s.mu.Lock()
					s.wouldPush([]int64{1}, "x")
					s.mu.Unlock()
				} else {
					s.wouldPush([]int64{2}, "y")
				}
				s.Subscriptions.Add(Subscription{User: int64(i), UDID: "d"})
				s.Subscriptions.forget(int64(i))
				_ = s.Outbox()
			}
		})
	}
	all.Wait()
	if n := s.Subscriptions.all.Len(); n != 0 || len(s.Subscriptions.ofUser) != 0 {
		t.Errorf("%d subscriptions of deleted users", n)
	}
}

// lived returns a sandbox whose only user has a device, contacts, a file and a push.
func lived(t *testing.T) (*Application, *User) {
	t.Helper()
	s := New(Options{})
	u := &User{Profile: Profile{Login: "ann"}}
	if err := s.Registry.Add(u, s.Now()); err != nil {
		t.Fatal(err)
	}
	s.Subscriptions.Add(Subscription{User: u.ID, UDID: "d"})
	s.AddressBooks.set(u.ID, "", contact{"1234567890", "n"})
	s.Bucket.store(t, "content")
	s.wouldPush([]int64{u.ID}, "hello")
	return s, u
}

func TestWhatEndsWithAUser(t *testing.T) {
	s, u := lived(t)
	s.Registry.Remove(u)
	if n, m := s.Subscriptions.all.Len(), s.AddressBooks.total; n != 0 || m != 0 {
		t.Errorf("%d devices and %d contacts without a user", n, m)
	}
}

func TestAResetEmptiesTheRestToo(t *testing.T) {
	s, _ := lived(t)
	s.Reset()
	if n, m, o, p := s.Subscriptions.all.Len(), s.AddressBooks.total, s.Bucket.order.Len(), len(s.Outbox()); n+m+o+p != 0 || s.Bucket.bytes != 0 {
		t.Errorf("%d devices, %d contacts, %d files of %d bytes, %d items in the outbox", n, m, o, s.Bucket.bytes, p)
	}
}

func TestSubscriptionsAreBounded(t *testing.T) {
	s := newSubscriptions()
	for i := range maxSubscriptions + 10 {
		s.Add(Subscription{User: int64(i), UDID: "d"})
	}
	if s.all.Len() != maxSubscriptions || len(s.ofUser) != maxSubscriptions || len(s.List(0)) != 0 || len(s.List(10)) != 1 {
		t.Errorf("%d subscriptions of %d users", s.all.Len(), len(s.ofUser))
	}
}
