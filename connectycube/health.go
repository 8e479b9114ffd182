package connectycube

import (
	"errors"
	"sync"
	"time"
)

// The states of Health.
const (
	HealthUnknown = "unknown" // no exchange yet
	HealthOK      = "ok"      // the last exchange brought an answer, even a refusal
	HealthFailing = "failing" // the last exchange brought no answer, or one that rejects our settings
)

// Health is the result of the last exchange with the service.
type Health struct {
	State string    `json:"state"` // one of HealthUnknown, HealthOK, HealthFailing
	At    time.Time `json:"at"`    // end of the last exchange; zero if there was none

	Suspended bool `json:"suspended"` // the circuit breaker refuses calls
}

// Health reports on the last exchange. It makes no request and cannot block. An
// exchange that the caller canceled does not count.
func (c *Client) Health() Health {
	suspended := c.breaker.isOpen()
	c.health.mu.Lock()
	defer c.health.mu.Unlock()
	h := c.health.last
	if h.State == "" {
		h.State = HealthUnknown
	}
	h.Suspended = suspended
	return h
}

type health struct {
	mu   sync.Mutex
	last Health
}

func (h *health) note(err error) {
	state := HealthOK
	if errors.Is(err, ErrUnavailable) || errors.Is(err, ErrMisconfigured) {
		state = HealthFailing
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = Health{State: state, At: time.Now()}
}
