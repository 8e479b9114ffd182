package crowds

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// tally counts responses by status and keeps their times.
type tally struct {
	mu     sync.Mutex
	status map[int]int
	took   []time.Duration
}

func (t *tally) add(status int, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.status == nil {
		t.status = map[int]int{}
	}
	t.status[status]++
	t.took = append(t.took, took)
}

func (t *tally) byStatus() map[int]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status
}

func (t *tally) total() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.took)
}

// percentile returns a percentile of the times.
func (t *tally) percentile(percent int) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.took) == 0 {
		return 0
	}
	slices.Sort(t.took)
	return t.took[min(len(t.took)-1, len(t.took)*percent/100)]
}

func attackerNetwork(i int) string { return fmt.Sprintf("192.0.2.%d", 1+i%250) }

// guess starts a crowd that sends wrong passwords until ctx ends. An attacker pauses only
// after a response that is no 401.
func guess(ctx context.Context, s *server, attackers int, sc Scenario, users []user) *tally {
	t := &tally{}
	for i := range attackers {
		go func() {
			for n := 0; ctx.Err() == nil; n++ {
				email := fmt.Sprintf("unknown%d-%d@example.org", i, n)
				if sc.known {
					email = users[4+(i+n)%(len(users)-4)].email
				}
				began := time.Now()
				status, _, err := s.post(ctx, "/auth/login", attackerNetwork(i%sc.networks), map[string]any{"email": email, "password": "wrong password"})
				if err != nil {
					continue
				}
				t.add(status, time.Since(began))
				if status != http.StatusUnauthorized {
					time.Sleep(20 * time.Millisecond)
				}
			}
		}()
	}
	return t
}

// honestUser logs in with the right password.
type honestUser struct {
	name    string
	network string // a new one for each login if empty
	user    user
	known   bool // the device sends its token
	tally   tally
}

// logInRepeatedly lets each honest user log in again and again until ctx ends.
func logInRepeatedly(ctx context.Context, s *server, honest []*honestUser) {
	var all sync.WaitGroup
	for _, h := range honest {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				h.login(ctx, s, n)
				time.Sleep(300 * time.Millisecond)
			}
		})
	}
	all.Wait()
}

func (h *honestUser) login(ctx context.Context, s *server, n int) {
	network := h.network
	if network == "" {
		network = fmt.Sprintf("198.51.%d.%d", 101+n/250, 1+n%250)
	}
	body := map[string]any{"email": h.user.email, "password": h.user.password}
	if h.known {
		body["device"] = map[string]any{"token": h.user.deviceToken()}
	}
	began := time.Now()
	status, _, err := s.post(context.WithoutCancel(ctx), "/auth/login", network, body)
	if err != nil {
		status = 0
	}
	h.tally.add(status, time.Since(began))
}

func (h *honestUser) result() Honest {
	total := h.tally.total()
	served := 100 * float64(h.tally.byStatus()[http.StatusOK]) / float64(max(1, total))
	return Honest{h.name, total, served, ms(h.tally.percentile(50)), ms(h.tally.percentile(90))}
}

// loginsAtOnce sends n logins with the right password at once, each from another network.
func loginsAtOnce(ctx context.Context, s *server, n int, users []user) *tally {
	t := &tally{}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			u := users[i%len(users)]
			began := time.Now()
			status, _, err := s.post(ctx, "/auth/login", fmt.Sprintf("10.1.%d.%d", i/250, 1+i%250), map[string]any{"email": u.email, "password": u.password})
			if err != nil {
				status = 0
			}
			t.add(status, time.Since(began))
		})
	}
	all.Wait()
	return t
}
