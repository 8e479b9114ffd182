package store

import (
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// eventsAt returns events at the given seconds, the newest first.
func eventsAt(kind AuditKind, seconds ...int64) []Event {
	var list []Event
	for _, s := range seconds {
		at := time.Unix(1_000_000+s, 0)
		list = append(list, Event{ID: NewEventID(at), At: at, Kind: kind})
	}
	return newestFirst(list)
}

// newestFirst returns all events of some lists, the newest first.
func newestFirst(lists ...[]Event) []Event {
	all := slices.Concat(lists...)
	slices.SortFunc(all, func(a, b Event) int { return b.At.Compare(a.At) })
	return all
}

func TestSurplusKeepsTheStartOfEachBurst(t *testing.T) {
	const day = 86_400
	flood := func(from, n int64) (seconds []int64) {
		for i := range n {
			seconds = append(seconds, from+i)
		}
		return seconds
	}
	tests := []struct {
		name string
		list []Event
		keep int
		want []int64 // the seconds that stay, the newest first
	}{
		{"a burst after separate days", eventsAt("login", append(flood(3*day, 500), 2*day, day, 0)...), 4, []int64{3 * day, 2 * day, day, 0}},
		{"two bursts", eventsAt("login", append(flood(day, 50), flood(0, 50)...)...), 2, []int64{day, 0}},
		{"equal distances are doubled from the oldest on", eventsAt("login", 0, 10, 20, 30, 40, 50, 60), 4, []int64{60, 40, 20, 0}},
		{"one change of email among passwords", newestFirst(eventsAt("password", flood(0, 100)...), eventsAt("email", 50)), 2, []int64{50, 0}},
		{"all of one second", eventsAt("login", 0, 0, 0, 0, 0), 2, []int64{0, 0}},
		{"kinds without a second event: the oldest goes", newestFirst(eventsAt("login", 2), eventsAt("email", 1), eventsAt("verify", 0)), 2, []int64{2, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			removed := surplus(slices.Clone(tt.list), tt.keep)
			var stay []int64
			for _, e := range tt.list {
				if id, err := bson.ObjectIDFromHex(e.ID); err != nil || !slices.Contains(removed, id) {
					stay = append(stay, e.At.Unix()-1_000_000)
				}
			}
			if !slices.Equal(stay, tt.want) || len(removed) != len(tt.list)-tt.keep {
				t.Errorf("%d removed, %v stay, want %v", len(removed), stay, tt.want)
			}
		})
	}
}

// Ten thousand bans of one administrator are thinned at a bounded cost, too.
func BenchmarkSurplusOfTheLargestShare(b *testing.B) {
	seconds := make([]int64, maxShare/2+maxThinEvery)
	for i := range seconds {
		seconds[i] = int64(i * i % 7919)
	}
	list := eventsAt("disable", seconds...)
	for b.Loop() {
		surplus(slices.Clone(list), maxShare/2)
	}
}
