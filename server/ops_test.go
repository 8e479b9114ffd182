package server

import (
	"runtime"
	"testing"
)

// Not parallel: the rate is the process's.
func TestHeapIsSampledOnlyWhereItsProfileCanBeRead(t *testing.T) {
	before := runtime.MemProfileRate
	t.Cleanup(func() { runtime.MemProfileRate = before })
	if sampleHeap("127.0.0.1:9090"); runtime.MemProfileRate != before {
		t.Errorf("with OPS_ADDR, the rate became %d, want %d", runtime.MemProfileRate, before)
	}
	if sampleHeap(""); runtime.MemProfileRate != 0 {
		t.Errorf("without OPS_ADDR, the rate is %d, want 0", runtime.MemProfileRate)
	}
}
