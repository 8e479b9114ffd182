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
}

// Health reports on the last exchange. It makes no request and cannot block. An
// exchange that the caller canceled does not count.
func (c *Client) Health() Health {
	c.health.mu.Lock()
	defer c.health.mu.Unlock()
	if c.health.last.State == "" {
		return Health{State: HealthUnknown}
	}
	return c.health.last
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
