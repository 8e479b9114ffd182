package tokens

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"
	"time"
)

// queueRules are the rules of the hash queue, written down as simply as possible, for the
// comparison with hashQueue. They forget no event.
type queueRules struct {
	slots     int
	room      int
	waiting   []*ruled // in the order of their arrival
	running   []*ruled
	arriving  []*ruled // announced clients
	turns     map[string]int
	count     int             // of turns
	rareFirst map[string]bool // by the outer lane
	events    map[string][]time.Time
	told      map[string]time.Time
	last      HashClass // that was served
}

// ruled is a client of the queue. Its path begins with the class.
type ruled struct {
	path    []string
	refused error // ErrBusy or ErrLaneFull
}

func newQueueRules(slots int) *queueRules {
	return &queueRules{slots: slots, turns: map[string]int{}, rareFirst: map[string]bool{}, events: map[string][]time.Time{}, told: map[string]time.Time{}}
}

func joined(path []string) string { return strings.Join(path, "/") }

// in returns those of a list that are inside a lane.
func in(list []*ruled, lane []string) (inside []*ruled) {
	for _, c := range list {
		if len(c.path) >= len(lane) && slices.Equal(c.path[:len(lane)], lane) {
			inside = append(inside, c)
		}
	}
	return inside
}

// lanesIn returns the lanes directly inside a lane that have clients in one of the lists.
func lanesIn(outer []string, lists ...[]*ruled) (lanes [][]string) {
	for _, c := range in(slices.Concat(lists...), outer) {
		if len(c.path) == len(outer) {
			continue
		}
		lane := c.path[:len(outer)+1]
		if !slices.ContainsFunc(lanes, func(l []string) bool { return slices.Equal(l, lane) }) {
			lanes = append(lanes, lane)
		}
	}
	return lanes
}

func (r *queueRules) pressure(lane []string) float64 {
	if len(lane) > 2 || lane[0] == Callbacks.String() {
		return float64(len(in(r.running, lane)))
	}
	sum := 0.0
	for _, at := range r.events[joined(lane)] {
		sum += math.Exp2(-float64(time.Since(at)) / float64(halfLife))
	}
	return sum
}

func (r *queueRules) event(top string) { r.events[top] = append(r.events[top], time.Now()) }

// asks notes the request of a client that was told to come later.
func (r *queueRules) asks(path []string) {
	if top := joined(path[:2]); time.Now().Before(r.told[top]) {
		r.told[top] = time.Time{}
		r.event(top)
	}
}

func (r *queueRules) refuse(c *ruled, reason error, after time.Duration) {
	c.refused = reason
	r.waiting = slices.DeleteFunc(r.waiting, func(w *ruled) bool { return w == c })
	if top := joined(c.path[:2]); !r.told[top].After(time.Now()) {
		r.told[top] = time.Now().Add(after)
	}
	r.forgetUnused()
}

// enter adds a waiter, and lets hashes begin.
func (r *queueRules) enter(c *ruled) {
	r.asks(c.path)
	for n := 2; n <= len(c.path); n++ {
		if lane := c.path[:n]; len(in(r.waiting, lane)) == 0 {
			r.count++
			r.turns[joined(lane)] = r.count
		}
	}
	r.waiting = append(r.waiting, c)
	r.dispatch()
}

// leave removes a client that hangs up, arrives, or has its hash.
func (r *queueRules) leave(c *ruled) {
	for _, list := range []*[]*ruled{&r.waiting, &r.running, &r.arriving} {
		*list = slices.DeleteFunc(*list, func(w *ruled) bool { return w == c })
	}
	r.dispatch()
	r.forgetUnused()
}

// forgetUnused lets inner lanes in which nothing happens begin anew.
func (r *queueRules) forgetUnused() {
	for lane := range r.rareFirst {
		path := strings.Split(lane, "/")
		if len(path) > 2 && len(in(slices.Concat(r.waiting, r.running, r.arriving), path)) == 0 {
			delete(r.rareFirst, lane)
		}
	}
}

func (r *queueRules) dispatch() {
	for len(r.running) < r.slots {
		following := map[HashClass][]HashClass{ // the class that was served is the last one
			Strangers: {Known, Callbacks, Strangers}, Known: {Callbacks, Strangers, Known}, Callbacks: {Strangers, Known, Callbacks},
		}
		var c *ruled
		for _, class := range following[r.last] {
			if c = r.next([]string{class.String()}); c != nil {
				r.last = class
				break
			}
		}
		if c == nil {
			return
		}
		r.waiting = slices.DeleteFunc(r.waiting, func(w *ruled) bool { return w == c })
		r.running = append(r.running, c)
		r.event(joined(c.path[:2]))
	}
}

// next returns the client whose turn it is in a lane.
func (r *queueRules) next(lane []string) *ruled {
	waiting := in(r.waiting, lane)
	if len(waiting) > 0 && len(waiting[0].path) == len(lane) {
		return waiting[0]
	}
	lanes := slices.DeleteFunc(lanesIn(lane, r.waiting), func(inner []string) bool {
		return lane[0] == "known" && len(inner) == 2 && len(in(r.running, inner)) >= accountRunning
	})
	if len(lanes) == 0 {
		return nil
	}
	slices.SortFunc(lanes, func(a, b []string) int { return r.turns[joined(a)] - r.turns[joined(b)] })
	chosen := lanes[0]
	if r.rareFirst[joined(lane)] = !r.rareFirst[joined(lane)]; r.rareFirst[joined(lane)] {
		for _, l := range lanes {
			if r.pressure(l) < r.pressure(chosen) {
				chosen = l
			}
		}
	}
	r.count++
	r.turns[joined(chosen)] = r.count
	return r.next(chosen)
}

// excess returns the clients of which one must make room for a newcomer, and the reason
// that they are told; none if there is room.
func (r *queueRules) excess(newcomer *ruled) []*ruled {
	if len(r.waiting) <= r.room || !slices.Contains(r.waiting, newcomer) {
		return nil
	}
	length := func(class []string) int { return len(in(r.waiting, class)) }
	longest := length(slices.MaxFunc(lanesIn(nil, r.waiting), func(a, b []string) int { return length(a) - length(b) }))
	if own := newcomer.path[:1]; length(own) == longest {
		return r.newest(own, newcomer)
	}
	var out []*ruled
	for _, class := range lanesIn(nil, r.waiting) {
		if length(class) == longest {
			out = append(out, r.newest(class, newcomer)...)
		}
	}
	return out
}

// share returns the largest number of waiters of a class at which it makes no room: those of the
// other classes that exceed it would make room first.
func (r *queueRules) share(class []string) int {
	for n := 0; ; n++ {
		total := n + 1
		for _, other := range lanesIn(nil, r.waiting) {
			if other[0] != class[0] {
				total += min(len(in(r.waiting, other)), n+1)
			}
		}
		if total > r.room {
			return n
		}
	}
}

func (r *queueRules) newest(lane []string, newcomer *ruled) (out []*ruled) {
	waiting := in(r.waiting, lane)
	if last := waiting[len(waiting)-1]; len(last.path) == len(lane) {
		return []*ruled{last}
	}
	lanes := lanesIn(lane, r.waiting)
	longer := func(a, b []string) int {
		return cmp.Or(cmp.Compare(len(in(r.waiting, b)), len(in(r.waiting, a))), cmp.Compare(r.pressure(b), r.pressure(a)))
	}
	slices.SortFunc(lanes, longer)
	first := lanes[0]
	longest := slices.DeleteFunc(lanes, func(l []string) bool { return longer(first, l) < 0 })
	for _, l := range longest {
		if len(in([]*ruled{newcomer}, l)) > 0 {
			return r.newest(l, newcomer)
		}
	}
	for _, l := range longest {
		out = append(out, r.newest(l, newcomer)...)
	}
	return out
}

// reason returns what a waiter is told that makes room.
func (r *queueRules) reason(out *ruled) error {
	own := len(in(r.waiting, out.path[:2]))
	for _, l := range lanesIn(out.path[:1], r.waiting) {
		if !slices.Equal(l, out.path[:2]) && len(in(r.waiting, l)) >= own {
			return ErrBusy
		}
	}
	if own == 1 {
		return ErrBusy
	}
	return ErrLaneFull
}

// arrive announces a client, or returns the reason why it is refused.
func (r *queueRules) arrive(c *ruled) error {
	r.asks(c.path)
	expected := func(lane []string) int { return len(in(r.waiting, lane)) + len(in(r.arriving, lane)) }
	crowded := expected(c.path[:1]) >= r.share(c.path[:1])
	for n := 2; n <= len(c.path) && crowded; n++ {
		own := c.path[:n]
		crowded = expected(own) > 0 || r.pressure(own) > 0
		for _, l := range lanesIn(c.path[:n-1], r.waiting, r.arriving, r.running) {
			if !slices.Equal(l, own) && cmp.Or(cmp.Compare(expected(l), expected(own)+1), cmp.Compare(r.pressure(l), r.pressure(own))) > 0 {
				crowded = false
			}
		}
	}
	if !crowded {
		r.arriving = append(r.arriving, c)
		return nil
	}
	if expected(c.path[:2]) == 0 {
		return ErrBusy
	}
	return ErrLaneFull
}

// reasonOf returns the reason of a refusal, or nil.
func reasonOf(err error) error {
	if refusal, ok := errors.AsType[*QueueError](err); ok {
		return refusal.Reason
	}
	return nil
}
