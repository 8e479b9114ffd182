package core

import (
	"fmt"
	"time"
)

// maxAdvance is how far the sandbox's clock can run ahead, in all: object ids
// hold seconds in 32 bits, and nobody tests longer lifetimes.
const maxAdvance = 10 * 365 * 24 * time.Hour

// Now is the time in the sandbox, which runs like any other but may be ahead.
// Every date and lifetime of what the sandbox holds is measured by it; how long a
// caller waits is not.
func (s *Application) Now() time.Time { return time.Now().Add(s.Ahead()) }

// Ahead is the sum of all that Advance was given since New or Reset.
func (s *Application) Ahead() time.Duration { return time.Duration(s.ahead.Load()) }

// Advance moves the clock forward: sessions and guests whose time has come end
// at once, without anybody waiting. The error says that d is not positive, or
// that the clock would be more than ten years ahead; then nothing happens.
func (s *Application) Advance(d time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d <= 0 {
		return fmt.Errorf("clock: advance must be positive: the past cannot be had again, except by a reset")
	}
	if d > maxAdvance-s.Ahead() {
		return fmt.Errorf("clock: advance would bring the clock more than %s ahead", maxAdvance)
	}
	s.ahead.Add(int64(d))
	s.Changed()
	s.Registry.Sweep(s.Now())
	return nil
}

// ClockState is the sandbox's clock, for people.
type ClockState struct {
	Now   time.Time `json:"now"`
	Ahead string    `json:"ahead"` // as Go writes durations
}

// Clock reads the clock.
func (s *Application) Clock() ClockState { return ClockState{shown(s.Now()), s.Ahead().String()} }
