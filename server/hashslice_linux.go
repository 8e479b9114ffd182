package server

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// hashSlice is the time slice of a hash process: the longest that the kernel takes.
const hashSlice = 100 * time.Millisecond

// yieldToShortTasks asks the kernel for long time slices for all threads of this process.
// Later threads inherit them. A task that wakes preempts one with a longer slice at once, and otherwise waits for the
// end of the slice. So a request of the server does not wait for a hash. The share of the
// core stays the same. Kernels before 6.12 ignore it.
//
// See "EEVDF Scheduler" in https://docs.kernel.org/scheduler/sched-eevdf.html.
func yieldToShortTasks() {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, thread := range threads {
		if id, err := strconv.Atoi(thread.Name()); err == nil {
			lengthenSlice(id)
		}
	}
}

// lengthenSlice changes nothing else, such as the nice value. Errors are of no consequence:
// hashes are the same with any slice.
func lengthenSlice(thread int) {
	attr, err := unix.SchedGetAttr(thread, 0)
	if err != nil {
		return
	}
	attr.Runtime = uint64(hashSlice)
	_ = unix.SchedSetAttr(thread, attr, 0)
}
