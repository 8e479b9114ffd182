package sandbox

import (
	"errors"
	"fmt"
	"time"
)

// savedVersion is that of the data file. A change of what follows raises it.
// Version 1, which kept passwords as salted SHA-256, is still read.
const savedVersion = 2

// savedState is the data file. Its lists are in the order in which they are to
// be read back: users by id, sessions by their last use, dialogs by what
// happened in them, messages as they arrived.
type savedState struct {
	Version  int           `json:"version"`
	AppID    int64         `json:"app_id"`
	Saved    time.Time     `json:"saved_at"` // real time, for people
	Ahead    time.Duration `json:"clock_ahead_ns"`
	NextUser int64         `json:"last_user_id"`
	NextID   int64         `json:"last_id"`

	Users    []savedUser    `json:"users"`
	Sessions []savedSession `json:"sessions"`
	Dialogs  []savedDialog  `json:"dialogs"`
	Messages []savedMessage `json:"messages"`

	Subscriptions []savedSubscription `json:"subscriptions,omitempty"`
	Books         []savedBook         `json:"address_books,omitempty"`

	unhashed []unhashed
}

// save copies the state, so that it can be written without the lock.
func (s *Application) save() *savedState {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.registry.sweep(s.Now())
	out := &savedState{
		Version:  savedVersion,
		AppID:    s.appID,
		Saved:    time.Now().UTC(),
		Ahead:    s.Ahead(),
		NextUser: s.registry.nextUser,
		NextID:   s.registry.nextID,
	}
	s.registry.save(out)
	s.archive.save(out)
	s.subscriptions.save(out)
	s.addressBooks.save(out)
	return out
}

// restore brings back what save copied. It trusts nothing in it: a file may have
// been edited, or damaged.
func (s *Application) restore(saved *savedState) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if saved.AppID != s.appID {
		return fmt.Errorf("it is of application %d, not %d", saved.AppID, s.appID)
	}
	if saved.Ahead < 0 || saved.Ahead > maxAdvance {
		return errors.New("clock_ahead_ns is out of range")
	}
	s.ahead.Store(int64(saved.Ahead))
	s.registry.nextUser = max(s.registry.nextUser, saved.NextUser)
	s.registry.nextID = max(s.registry.nextID, saved.NextID)
	if err := s.registry.restore(saved, s.passwords); err != nil {
		return err
	}
	exists := func(user int64) bool { return s.registry.users[user] != nil }
	return errors.Join(
		s.archive.restore(saved),
		s.subscriptions.restore(saved, exists),
		s.addressBooks.restore(saved, exists),
	)
}
