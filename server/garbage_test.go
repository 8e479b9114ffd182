package server

import (
	"context"
	"runtime"
	"testing"
)

func TestGCPercent(t *testing.T) {
	for _, tt := range []struct {
		name string
		live uint64
		want int
	}{
		{"nothing is live yet", 0, 1000},
		{"a small heap", 1 << 20, 1000},
		{"the live data of a server", 8 << 20, 400},
		{"as much as the room", 32 << 20, 100},
		{"much live data: Go's own default", 1 << 30, 100},
	} {
		if got := gcPercent(tt.live); got != tt.want {
			t.Errorf("%s: gcPercent(%d) = %d, want %d", tt.name, tt.live, got, tt.want)
		}
	}
}

func TestAfterCollectionsRunsAfterEachUntilTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan struct{})
	afterCollections(ctx, func() { ran <- struct{}{} })
	for range 3 {
		runtime.GC()
		<-ran
	}
	cancel()
	runtime.GC() // runs it once more, or not at all
	select {
	case <-ran:
	default:
	}
}

func TestQuietReturnsMemory(t *testing.T) {
	var q quiet
	for i, step := range []struct {
		allocated uint64 // in the interval
		want      bool
	}{
		{50 << 20, false},   // the start
		{100 << 10, true},   // quiet: the first interval
		{100 << 10, false},  // still quiet
		{200 << 20, false},  // requests
		{300 << 20, false},  //
		{quietBytes, false}, // a few requests
		{0, true},           // quiet again
		{quietBytes - 1, false},
		{quietBytes - 1, false},
		{2, true}, // as much as a quiet process keeps
		{quietBytes - 1, false},
	} {
		if got := q.due(q.allocated + step.allocated); got != step.want {
			t.Errorf("interval %d: due = %v, want %v", i, got, step.want)
		}
	}
}

func TestReadMetricKnowsTheNames(t *testing.T) {
	runtime.GC()
	for _, name := range []string{"/gc/heap/live:bytes", "/gc/heap/allocs:bytes", "/gc/gogc:percent"} {
		if n := readMetric(name); n == 0 || n > 1<<40 {
			t.Errorf("%s = %d", name, n)
		}
	}
}
