package core

import (
	"container/list"
	"slices"
	"sync"
)

// Bounds of subscriptions. They are our own; a new one replaces the oldest.
const (
	maxSubscriptions     = 20_000 // in all
	maxUserSubscriptions = 10     // of one user
)

// Subscription is a device of a user, as the push services would know it.
type Subscription struct {
	ID          int64
	User        int64
	Channel     string
	Environment string
	Platform    string
	UDID        string
	place       *list.Element // in Subscriptions.all
}

// Subscriptions are the devices of all users. The sandbox checks the tokens of the
// push services and does not keep them, because it cannot use them. Its lock is
// taken last: a method that holds it takes no other lock.
type Subscriptions struct {
	mu     sync.Mutex
	last   int64                     // ID
	ofUser map[int64][]*Subscription // oldest first
	all    *list.List                // *Subscription, oldest first
}

func newSubscriptions() *Subscriptions {
	s := &Subscriptions{}
	s.clear()
	return s
}

// clear drops all subscriptions. IDs continue.
func (s *Subscriptions) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ofUser, s.all = map[int64][]*Subscription{}, list.New()
}

// Add stores sub and gives it an ID. A device has one subscription for each channel
// and environment, which keeps its ID.
func (s *Subscriptions) Add(sub Subscription) Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	sub.ID = s.last
	for _, old := range s.ofUser[sub.User] {
		if old.UDID == sub.UDID && old.Channel == sub.Channel && old.Environment == sub.Environment {
			sub.ID = old.ID
			s.drop(old)
			break
		}
	}
	s.put(&sub)
	return sub
}

// put makes sub the newest. The caller holds the lock.
func (s *Subscriptions) put(sub *Subscription) {
	if own := s.ofUser[sub.User]; len(own) >= maxUserSubscriptions {
		s.drop(own[0])
	}
	if s.all.Len() >= maxSubscriptions {
		s.drop(s.all.Front().Value.(*Subscription))
	}
	sub.place = s.all.PushBack(sub)
	s.ofUser[sub.User] = append(s.ofUser[sub.User], sub)
}

// drop removes sub. The caller holds the lock.
func (s *Subscriptions) drop(sub *Subscription) {
	s.all.Remove(sub.place)
	own := slices.DeleteFunc(s.ofUser[sub.User], func(other *Subscription) bool { return other == sub })
	if len(own) == 0 {
		delete(s.ofUser, sub.User)
		return
	}
	s.ofUser[sub.User] = own
}

// states returns the newest devices, at most most.
func (s *Subscriptions) states(most int) []DeviceState {
	s.mu.Lock()
	defer s.mu.Unlock()
	states := []DeviceState{}
	for e := s.all.Back(); e != nil && len(states) < most; e = e.Prev() {
		sub := e.Value.(*Subscription)
		states = append(states, DeviceState{sub.ID, sub.User, sub.Platform, sub.UDID})
	}
	slices.Reverse(states)
	return states
}

// forget drops the devices of a deleted user.
func (s *Subscriptions) forget(user int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range slices.Clone(s.ofUser[user]) {
		s.drop(sub)
	}
}

// Remove drops a user's own subscription and reports whether it existed.
func (s *Subscriptions) Remove(user, id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.ofUser[user] {
		if sub.ID == id {
			s.drop(sub)
			return true
		}
	}
	return false
}

// List returns copies of a user's subscriptions, oldest first.
func (s *Subscriptions) List(user int64) []Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := make([]Subscription, len(s.ofUser[user]))
	for i, sub := range s.ofUser[user] {
		own[i] = *sub
	}
	return own
}

// Reach counts the devices of users for which fits returns true.
func (s *Subscriptions) Reach(users []int64, fits func(*Subscription) bool) (devices int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, user := range users {
		for _, sub := range s.ofUser[user] {
			if fits(sub) {
				devices++
			}
		}
	}
	return devices
}
