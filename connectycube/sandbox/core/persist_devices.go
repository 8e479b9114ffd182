package core

import (
	"fmt"
	"maps"
	"slices"
)

// The devices and address books in the data file. It contains no uploaded files,
// which would be most of it, and no outbox, which is about one run.
type (
	savedSubscription struct {
		ID          int64  `json:"id"`
		UserID      int64  `json:"user_id"`
		Channel     string `json:"channel"`
		Environment string `json:"environment"`
		Platform    string `json:"platform"`
		UDID        string `json:"udid"`
	}
	savedBook struct {
		UserID   int64             `json:"user_id"`
		UDID     string            `json:"udid,omitempty"`
		Contacts map[string]string `json:"contacts"` // names by phone
	}
)

func (s *Subscriptions) save(out *savedState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.all.Front(); e != nil; e = e.Next() {
		sub := e.Value.(*Subscription)
		out.Subscriptions = append(out.Subscriptions, savedSubscription{sub.ID, sub.User, sub.Channel, sub.Environment, sub.Platform, sub.UDID})
	}
}

// restore adds the saved subscriptions with their IDs, oldest first.
func (s *Subscriptions) restore(saved *savedState, exists func(user int64) bool) error {
	for _, from := range saved.Subscriptions {
		if !exists(from.UserID) || from.ID <= 0 {
			return fmt.Errorf("subscription %d has no user, or is incomplete", from.ID)
		}
		s.mu.Lock()
		s.last = max(s.last, from.ID)
		s.put(&Subscription{
			ID: from.ID, User: from.UserID, UDID: from.UDID,
			Channel: from.Channel, Environment: from.Environment, Platform: from.Platform,
		})
		s.mu.Unlock()
	}
	return nil
}

func (a *AddressBooks) save(out *savedState) {
	for _, user := range slices.Sorted(maps.Keys(a.OfUser)) {
		for _, device := range slices.Sorted(maps.Keys(a.OfUser[user])) {
			out.Books = append(out.Books, savedBook{user, device, maps.Clone(a.OfUser[user][device])})
		}
	}
}

func (a *AddressBooks) restore(saved *savedState, exists func(user int64) bool) error {
	for _, from := range saved.Books {
		if !exists(from.UserID) {
			return fmt.Errorf("an address book belongs to user %d, who does not exist", from.UserID)
		}
		for phone, name := range from.Contacts {
			a.set(from.UserID, from.UDID, contact{phone, name})
		}
	}
	if a.total > maxContacts {
		return fmt.Errorf("there are more than %d contacts", maxContacts)
	}
	return nil
}
