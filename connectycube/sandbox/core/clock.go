package core

import (
	"fmt"
	"slices"
	"time"
)

// maxAdvance bounds how far the sandbox's clock can be ahead in all: object IDs
// hold seconds in 32 bits, and no test needs longer lifetimes.
const maxAdvance = 10 * 365 * 24 * time.Hour

// Now returns the time in the sandbox, which may be ahead of the real time. The
// sandbox measures every date and lifetime of its content with it, and the waits of
// callers with real time.
func (s *Application) Now() time.Time { return time.Now().Add(s.Ahead()) }

// Ahead returns the sum of all arguments of Advance since New, Reset or Return.
func (s *Application) Ahead() time.Duration { return time.Duration(s.ahead.Load()) }

// Advance moves the clock forward. Sessions and guests that have expired then end
// at once. If d is not positive, or the clock would be more than ten years ahead,
// Advance returns an error and changes nothing.
func (s *Application) Advance(d time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d <= 0 {
		return fmt.Errorf("clock: advance must be positive; only a return to real time turns the clock back")
	}
	if d > maxAdvance-s.Ahead() {
		return fmt.Errorf("clock: advance would bring the clock more than %s ahead", maxAdvance)
	}
	s.ahead.Add(int64(d))
	s.Changed()
	s.Registry.Sweep(s.Now())
	return nil
}

// Return turns the clock back to real time. What happened in the time ahead counts as
// if it had happened now, in the same order: a date in the future would keep a session
// alive and a dialog at the top of each list.
func (s *Application) Return() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead.Store(0)
	now := s.Now()
	s.Registry.endAt(now)
	s.Archive.endAt(now)
	s.Data.endAt(now)
	s.Meetings.endAt(now)
	s.Bucket.endAt(now)
	s.Changed()
}

// atMost sets times that are later than now to now. A zero time stays.
func atMost(now time.Time, times ...*time.Time) {
	for _, t := range times {
		if t.After(now) {
			*t = now
		}
	}
}

func (r *Registry) endAt(now time.Time) {
	for _, u := range r.Users {
		atMost(now, &u.Created, &u.Updated, &u.LastRequest)
	}
	for _, live := range r.sessions {
		atMost(now, &live.Created, &live.Used)
	}
}

func (a *Archive) endAt(now time.Time) {
	for _, d := range a.Dialogs {
		atMost(now, &d.Created, &d.Updated)
		d.Whiteboards = slices.Clone(d.Whiteboards) // answers share the list
		for i := range d.Whiteboards {
			atMost(now, &d.Whiteboards[i].Created, &d.Whiteboards[i].Updated)
		}
	}
	for _, m := range a.Messages {
		atMost(now, &m.Created, &m.Updated, &m.Edited)
	}
}

// endAt replaces records, which answers share.
func (d *Data) endAt(now time.Time) {
	for _, r := range d.byID {
		if r.Created.After(now) || r.Updated.After(now) {
			changed := *r
			atMost(now, &changed.Created, &changed.Updated)
			d.set(&draft{was: r, next: &changed})
		}
	}
}

func (m *Meetings) endAt(now time.Time) {
	for id, one := range m.byID {
		changed := *one
		atMost(now, &changed.Created, &changed.Updated)
		m.byID[id] = &changed
	}
}

func (b *Bucket) endAt(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, file := range b.byID {
		atMost(now, &file.Created, &file.Updated, &file.Completed)
	}
}

// ClockState is a reading of the sandbox's clock.
type ClockState struct {
	Now   time.Time `json:"now"`
	Ahead string    `json:"ahead"` // in Go's notation for durations
}

// Clock reads the clock.
func (s *Application) Clock() ClockState { return ClockState{shown(s.Now()), s.Ahead().String()} }
