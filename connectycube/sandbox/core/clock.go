package core

import (
	"fmt"
	"time"
)

// maxAdvance bounds how far the sandbox's clock can be ahead in all: object IDs
// hold seconds in 32 bits, and no test needs longer lifetimes.
const maxAdvance = 10 * 365 * 24 * time.Hour

// Now returns the time in the sandbox, which may be ahead of the real time. The
// sandbox measures every date and lifetime of its content with it, and the waits of
// callers with real time.
func (s *Application) Now() time.Time { return time.Now().Add(s.Ahead()) }

// Ahead returns the sum of all arguments of Advance since New or Reset.
func (s *Application) Ahead() time.Duration { return time.Duration(s.ahead.Load()) }

// Advance moves the clock forward. Sessions and guests that have expired then end
// at once. If d is not positive, or the clock would be more than ten years ahead,
// Advance returns an error and changes nothing.
func (s *Application) Advance(d time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d <= 0 {
		return fmt.Errorf("clock: advance must be positive; only a reset turns the clock back")
	}
	if d > maxAdvance-s.Ahead() {
		return fmt.Errorf("clock: advance would bring the clock more than %s ahead", maxAdvance)
	}
	s.ahead.Add(int64(d))
	s.Changed()
	s.Registry.Sweep(s.Now())
	return nil
}

// ClockState is a reading of the sandbox's clock.
type ClockState struct {
	Now   time.Time `json:"now"`
	Ahead string    `json:"ahead"` // in Go's notation for durations
}

// Clock reads the clock.
func (s *Application) Clock() ClockState { return ClockState{shown(s.Now()), s.Ahead().String()} }
