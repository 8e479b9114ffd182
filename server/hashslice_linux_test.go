package server

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// The threads keep their share of the core and their policy; only the slice is longer.
func TestHashProcessAsksForLongSlices(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Skip("the kernel does not tell scheduling attributes: ", err)
	}
	if before.Runtime == 0 {
		t.Skip("kernels before 6.12 have no slices to ask for")
	}
	t.Cleanup(func() { _ = unix.SchedSetAttr(0, before, 0) })
	yieldToShortTasks()
	after, err := unix.SchedGetAttr(0, 0)
	if err != nil || after.Runtime != uint64(hashSlice) || after.Policy != before.Policy || after.Nice != before.Nice {
		t.Errorf("before %+v, after %+v, %v", before, after, err)
	}
}
