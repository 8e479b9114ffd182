package sandbox

import (
	"container/list"
	"slices"
	"sync"
)

// Bounds of subscriptions. They are our own; beyond them the oldest goes.
const (
	maxSubscriptions     = 20_000 // in all
	maxUserSubscriptions = 10     // of one user
)

// subscription is a device of a user, as the push services would know it.
type subscription struct {
	id          int64
	user        int64
	channel     string
	environment string
	platform    string
	udid        string
	place       *list.Element // in subscriptions.all
}

// subscriptions are everybody's devices. The tokens that the push services gave
// out are checked and not kept: nothing here could use one. Its lock is taken
// last: whoever holds it calls nobody.
type subscriptions struct {
	mu     sync.Mutex
	last   int64                     // id
	ofUser map[int64][]*subscription // oldest first
	all    *list.List                // *subscription, oldest first
}

func newSubscriptions() *subscriptions {
	s := &subscriptions{}
	s.clear()
	return s
}

// clear forgets everything but which ids were given out.
func (s *subscriptions) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ofUser, s.all = map[int64][]*subscription{}, list.New()
}

// add stores sub and gives it an id. The same device on the same channel and in
// the same environment is one subscription, which keeps its id.
func (s *subscriptions) add(sub subscription) subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	sub.id = s.last
	for _, old := range s.ofUser[sub.user] {
		if old.udid == sub.udid && old.channel == sub.channel && old.environment == sub.environment {
			sub.id = old.id
			s.drop(old)
			break
		}
	}
	s.put(&sub)
	return sub
}

// put makes sub the newest. The lock is held.
func (s *subscriptions) put(sub *subscription) {
	if own := s.ofUser[sub.user]; len(own) >= maxUserSubscriptions {
		s.drop(own[0])
	}
	if s.all.Len() >= maxSubscriptions {
		s.drop(s.all.Front().Value.(*subscription))
	}
	sub.place = s.all.PushBack(sub)
	s.ofUser[sub.user] = append(s.ofUser[sub.user], sub)
}

// drop forgets sub. The lock is held.
func (s *subscriptions) drop(sub *subscription) {
	s.all.Remove(sub.place)
	own := slices.DeleteFunc(s.ofUser[sub.user], func(other *subscription) bool { return other == sub })
	if len(own) == 0 {
		delete(s.ofUser, sub.user)
		return
	}
	s.ofUser[sub.user] = own
}

// states lists at most so many, the newest.
func (s *subscriptions) states(most int) []DeviceState {
	s.mu.Lock()
	defer s.mu.Unlock()
	states := []DeviceState{}
	for e := s.all.Back(); e != nil && len(states) < most; e = e.Prev() {
		sub := e.Value.(*subscription)
		states = append(states, DeviceState{sub.id, sub.user, sub.platform, sub.udid})
	}
	slices.Reverse(states)
	return states
}

// forget drops the devices of a user who is gone.
func (s *subscriptions) forget(user int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range slices.Clone(s.ofUser[user]) {
		s.drop(sub)
	}
}

// remove drops a user's own subscription and reports whether there was one.
func (s *subscriptions) remove(user, id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.ofUser[user] {
		if sub.id == id {
			s.drop(sub)
			return true
		}
	}
	return false
}

func (s *subscriptions) list(user int64) []subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := make([]subscription, len(s.ofUser[user]))
	for i, sub := range s.ofUser[user] {
		own[i] = *sub
	}
	return own
}

// reach counts the devices of users that fit.
func (s *subscriptions) reach(users []int64, fits func(*subscription) bool) (devices int) {
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
