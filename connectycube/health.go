package connectycube

import (
	"errors"
	"sync"
	"time"
)

// The states of Health.
const (
	HealthUnknown = "unknown" // nothing was asked yet
	HealthOK      = "ok"      // the last exchange brought an answer, be it a refusal
	HealthFailing = "failing" // the last exchange brought none, or one that says our settings are wrong
)

// Health is what the last exchange told about the service.
type Health struct {
	State string    `json:"state"` // one of HealthUnknown, HealthOK, HealthFailing
	At    time.Time `json:"at"`    // end of the last exchange; zero when there was none
}

// Health reports on the last exchange. It makes no request, so it costs nothing
// and cannot block; an exchange the caller gave up is not counted.
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
