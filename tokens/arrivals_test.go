package tokens

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// waitInLanes lets waiters wait, one in each of the paths, until the returned function
// ends them all.
func waitInLanes(t *testing.T, q *hashQueue, paths ...[]string) (end func()) {
	t.Helper()
	release := occupy(t, q)
	for _, path := range paths {
		go func() { _ = q.do(t.Context(), Turn{Lanes: path}, func() {}) }()
		synctest.Wait()
	}
	return release
}

// The queue refuses the announcement of a stranger that it would refuse later, and of no
// other.
func TestQueueRefusesAnnouncementsInVain(t *testing.T) {
	crowd, site := []string{"crowd"}, func(inner string) []string { return []string{"site", inner} }
	var single [][]string
	for i := range 10 {
		single = append(single, []string{fmt.Sprint(i)})
	}
	for name, c := range map[string]struct {
		waiting [][]string
		asks    []string
		want    error
	}{
		"the crowd itself":               {slices.Repeat([][]string{crowd}, 10), crowd, ErrLaneFull},
		"a lane without waiters":         {slices.Repeat([][]string{crowd}, 10), []string{"alone"}, nil},
		"a queue with room":              {slices.Repeat([][]string{crowd}, 9), crowd, nil},
		"a lane that is one shorter":     {slices.Concat(slices.Repeat([][]string{crowd}, 4), slices.Repeat([][]string{{"b"}}, 5), [][]string{{"c"}}), crowd, ErrLaneFull},
		"a lane whose only hash runs":    {single, []string{""}, ErrBusy},
		"a lane that is much shorter":    {append(slices.Repeat([][]string{crowd}, 8), []string{"b"}, []string{"b"}), []string{"b"}, nil},
		"a quiet network in a loud site": {slices.Repeat([][]string{site("loud")}, 10), site("quiet"), nil},
		"a loud network in a loud site":  {slices.Repeat([][]string{site("loud")}, 10), site("loud"), ErrLaneFull},
		"no lane":                        {slices.Repeat([][]string{crowd}, 10), nil, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(1, 10*work) // room for ten
			end := waitInLanes(t, q, c.waiting...)
			arrived, err := q.arrive(Turn{Lanes: c.asks})
			var full *QueueError
			switch {
			case c.want == nil && err != nil:
				t.Errorf("%s: %v", name, err)
			case c.want != nil && (!errors.Is(err, c.want) || !errors.As(err, &full) || full.After < time.Second):
				t.Errorf("%s: error = %v, want %v with a time", name, err, c.want)
			}
			if err == nil {
				arrived()
			}
			end()
		})
	}
}

// Clients that are still at their look-ups count for their lane: they would all pass
// otherwise, before the first of them waits.
func TestAnnouncementsCountUntilTheyEnd(t *testing.T) {
	q := newQueue(1, 10*work)
	var ends []func()
	for range 10 {
		arrived, err := q.arrive(network("crowd"))
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, arrived)
	}
	if _, err := q.arrive(network("crowd")); !errors.Is(err, ErrLaneFull) {
		t.Errorf("the eleventh: error = %v, want ErrLaneFull", err)
	}
	ends[0]()
	last, err := q.arrive(network("crowd"))
	if err != nil {
		t.Errorf("after one has arrived: %v", err)
	}
	for _, end := range append(ends[1:], last) {
		end()
	}
	if strangers := q.classes[Strangers]; strangers.arriving != 0 || len(strangers.active) != 0 {
		t.Errorf("%d still arrive, %d lanes remain", strangers.arriving, len(strangers.active))
	}
}

// A crowd at its look-ups is a long lane, too: a second client of a small network passes, as
// it will in the queue, where the crowd makes room for it.
func TestAnnouncedCrowdKeepsNoOtherLaneOut(t *testing.T) {
	q := newQueue(1, 10*work)
	var ends []func()
	for i, lane := range slices.Concat(slices.Repeat([]string{"crowd"}, 10), []string{"office", "office", "office"}) {
		arrived, err := q.arrive(network(lane))
		if err != nil {
			t.Fatalf("announcement %d, of the %s: %v", i+1, lane, err)
		}
		ends = append(ends, arrived)
	}
	if _, err := q.arrive(network("crowd")); !errors.Is(err, ErrLaneFull) {
		t.Errorf("one more of the crowd: error = %v, want ErrLaneFull", err)
	}
	for _, end := range ends {
		end()
	}
	if strangers := q.classes[Strangers]; strangers.arriving != 0 || len(strangers.active) != 0 {
		t.Errorf("%d still arrive, %d lanes remain", strangers.arriving, len(strangers.active))
	}
}

// Known devices fill their half; a stranger may still use the other one.
func TestAnnouncedStrangersKeepTheirHalf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, 10*work)
		release := occupy(t, q)
		for i := range 9 {
			go func() { _ = q.do(t.Context(), device(fmt.Sprint("account ", i), "phone"), func() {}) }()
		}
		go func() { _ = q.do(t.Context(), network("a"), func() {}) }()
		synctest.Wait()
		arrived, err := q.arrive(network("a"))
		if err != nil {
			t.Fatalf("the second stranger: %v", err)
		}
		arrived()
		release()
	})
}
