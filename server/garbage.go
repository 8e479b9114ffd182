package server

import (
	"context"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// heapRoom is how much a small heap may grow between two collections. Live data of this
	// program has a few MiB, and a collection whenever that doubles would take a fifth of
	// the processor time.
	heapRoom = 32 << 20

	// The bounds of GOGC. The lower one is Go's default: a heap of more than heapRoom may double.
	leastGC, mostGC = 100, 1000

	startPause    = 100 * time.Millisecond // from a start to the return of its memory: first come the first requests
	quietInterval = 5 * time.Second        // in which a process without requests allocates little
	quietBytes    = 2 << 20
	quietGarbage  = 4 << 20 // that a quiet process keeps; its polls of the database make that in less than a minute
)

// paceCollector makes small heaps collect garbage less often until ctx ends. The returned
// function starts to return memory to the system whenever the process has become quiet, and
// soon for the first time; call it after the start. Both do nothing if GOGC is set. A memory
// limit still counts: near it, the runtime collects more often.
func paceCollector(ctx context.Context) (started func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	debug.SetGCPercent(gcPercent(readMetric("/gc/heap/live:bytes")))
	afterCollections(ctx, func() {
		want, has := gcPercent(readMetric("/gc/heap/live:bytes")), int(readMetric("/gc/gogc:percent"))
		if want < has || want > has+has/4 { // each change stops the program for a moment
			debug.SetGCPercent(want)
		}
	})
	return func() { go returnMemory(ctx, startPause, quietInterval) }
}

// gcPercent returns GOGC for a number of live bytes.
func gcPercent(live uint64) int {
	return int(min(max(heapRoom*100/max(live, 1), leastGC), mostGC))
}

// afterCollections calls do soon after each collection of garbage until ctx ends.
func afterCollections(ctx context.Context, do func()) {
	if ctx.Err() != nil {
		return
	}
	next := func(struct{}) { afterCollections(ctx, do); do() }
	runtime.AddCleanup(new([4]uintptr), next, struct{}{}) // garbage already, and too large to share a block
}

// returnMemory returns unused memory to the system after a pause, when the process becomes
// quiet, and now and then while it is. The runtime itself keeps what the heap may need until
// the next collection.
func returnMemory(ctx context.Context, pause, interval time.Duration) {
	due := func(uint64) bool { return true } // what the start has used
	var q quiet
	for {
		select {
		case <-time.After(pause):
			if due(readMetric("/gc/heap/allocs:bytes")) {
				free()
			}
		case <-ctx.Done():
			return
		}
		pause, due = interval, q.due
	}
}

// free returns unused memory to the system.
func free() {
	debug.FreeOSMemory()
	returnPages()
}

// quiet finds the moments at which a quiet process should return memory.
type quiet struct {
	allocated uint64 // since the start of the process, at the last call
	returned  uint64 // the same, when due was last true
	is        bool
}

// due reports whether the process has just become quiet, or has made quietGarbage since due
// was last true. It is called after each interval with the bytes that the process has ever
// allocated.
func (q *quiet) due(allocated uint64) bool {
	was, before := q.is, q.allocated
	q.allocated, q.is = allocated, allocated-before < quietBytes
	if !q.is || was && allocated-q.returned < quietGarbage {
		return false
	}
	q.returned = allocated
	return true
}

// readMetric reads one number of package runtime/metrics.
func readMetric(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return math.MaxInt64
	}
	return sample[0].Value.Uint64()
}
