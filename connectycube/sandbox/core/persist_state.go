package core

import (
	"errors"
	"fmt"
	"time"
)

// savedVersion is the version of the data file. A change of the types below raises
// it. Versions 1, with passwords as salted SHA-256, 2, without custom data, meetings
// and whiteboards, 3, without block lists, and 4, without disabled users, are still
// readable.
const savedVersion = 5

// savedState is the data file. Its lists are in the order in which restore needs
// them: users by ID, sessions by their last use, dialogs by their last activity,
// messages by arrival.
type savedState struct {
	Version  int           `json:"version"`
	AppID    int64         `json:"app_id"`
	Saved    time.Time     `json:"saved_at"` // real time; the program ignores it
	Ahead    time.Duration `json:"clock_ahead_ns"`
	NextUser int64         `json:"last_user_id"`
	NextID   int64         `json:"last_id"`

	Users    []savedUser    `json:"users"`
	Sessions []savedSession `json:"sessions"`
	Dialogs  []savedDialog  `json:"dialogs"`
	Messages []savedMessage `json:"messages"`

	Subscriptions []savedSubscription `json:"subscriptions,omitempty"`
	Books         []savedBook         `json:"address_books,omitempty"`
	Meetings      []Meeting           `json:"meetings,omitempty"`
	Classes       []savedClass        `json:"classes,omitempty"` // by name; their records, the oldest first

	BlockLists []BlockList `json:"block_lists,omitempty"` // by user and list

	unhashed []unhashed
}

// save copies the state, so that it can be written without the lock.
func (s *Application) save() *savedState {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Registry.Sweep(s.Now())
	out := &savedState{
		Version:  savedVersion,
		AppID:    s.AppID,
		Saved:    time.Now().UTC(),
		Ahead:    s.Ahead(),
		NextUser: s.Registry.NextUser,
		NextID:   s.Registry.nextID,
	}
	s.Registry.save(out)
	s.Archive.save(out)
	s.Subscriptions.save(out)
	s.AddressBooks.save(out)
	s.Data.save(out)
	s.Meetings.save(out)
	s.saveBlockLists(out)
	return out
}

// restore loads a saved state. It checks everything: a file can be edited or
// damaged.
func (s *Application) restore(saved *savedState) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if saved.AppID != s.AppID {
		return fmt.Errorf("it belongs to application %d, not %d", saved.AppID, s.AppID)
	}
	if saved.Ahead < 0 || saved.Ahead > maxAdvance {
		return errors.New("clock_ahead_ns is out of range")
	}
	s.ahead.Store(int64(saved.Ahead))
	s.Registry.NextUser = max(s.Registry.NextUser, saved.NextUser)
	s.Registry.nextID = max(s.Registry.nextID, saved.NextID)
	if err := s.Registry.restore(saved, s.Passwords); err != nil {
		return err
	}
	exists := func(user int64) bool { return s.Registry.Users[user] != nil }
	return errors.Join(
		s.Archive.restore(saved),
		s.Subscriptions.restore(saved, exists),
		s.AddressBooks.restore(saved, exists),
		s.Data.restore(saved),
		s.Meetings.restore(saved),
		s.restoreBlockLists(saved),
	)
}
