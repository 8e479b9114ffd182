package sandbox

import (
	"fmt"
	"net/http"
	"time"
)

// maxAdvance is how far the sandbox's clock can run ahead, in all: object ids
// hold seconds in 32 bits, and nobody tests longer lifetimes.
const maxAdvance = 10 * 365 * 24 * time.Hour

// now is the time in the sandbox, which runs like any other but may be ahead.
// Every date and lifetime of what the sandbox holds is measured by it; how long a
// caller waits is not.
func (s *Sandbox) now() time.Time { return time.Now().Add(s.Ahead()) }

// Now is the time in the sandbox.
func (s *Sandbox) Now() time.Time { return s.now() }

// Ahead is the sum of all that Advance was given since New or Reset.
func (s *Sandbox) Ahead() time.Duration { return time.Duration(s.ahead.Load()) }

// Advance moves the clock forward: sessions and guests whose time has come end
// at once, without anybody waiting. The error says that d is not positive, or
// that the clock would be more than ten years ahead; then nothing happens.
func (s *Sandbox) Advance(d time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d <= 0 {
		return fmt.Errorf("clock: advance must be positive: the past cannot be had again, except by a reset")
	}
	if d > maxAdvance-s.Ahead() {
		return fmt.Errorf("clock: advance would bring the clock more than %s ahead", maxAdvance)
	}
	s.ahead.Add(int64(d))
	s.changed()
	s.registry.sweep(s.now())
	return nil
}

// ClockState is the sandbox's clock, for people.
type ClockState struct {
	Now   time.Time `json:"now"`
	Ahead string    `json:"ahead"` // as Go writes durations
}

// Clock reads the clock.
func (s *Sandbox) Clock() ClockState { return ClockState{shown(s.now()), s.Ahead().String()} }

func (s *Sandbox) getClock(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.Clock())
}

func (s *Sandbox) postClock(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Advance string `json:"advance"`
	}
	if !readControl(w, r, &asked) {
		return
	}
	d, err := time.ParseDuration(asked.Advance)
	if err != nil {
		controlError(w, http.StatusBadRequest, `clock: advance must be a duration such as "2h" or "90s"`)
		return
	}
	if err := s.Advance(d); err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, s.Clock())
}
