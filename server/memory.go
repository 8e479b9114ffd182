package server

import (
	"context"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
)

// goMemoryPercent is the share of a container's memory that the Go runtime may
// use before it collects garbage at any cost. The rest is for memory that the runtime
// does not count: pages of the embedded database's file, and socket buffers.
const goMemoryPercent = 90

// limitGoMemory gives the Go runtime a memory limit if the process's cgroup has one of
// limit bytes and GOMEMLIMIT is not set. Without it the heap may grow to twice the live
// data, and the kernel kills the process although most of it is garbage.
func limitGoMemory(ctx context.Context, limit int64, log *slog.Logger) {
	if limit == 0 || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	soft := limit / 100 * goMemoryPercent
	debug.SetMemoryLimit(soft)
	log.LogAttrs(ctx, slog.LevelInfo, "memory limit set from the cgroup",
		slog.Int64("cgroup_bytes", limit), slog.Int64("go_bytes", soft))
}

// leaveMemory lowers the memory limit of the Go runtime, if it has one, by the bytes
// that child processes need. It takes at most half of the limit.
func leaveMemory(bytes int64) {
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		debug.SetMemoryLimit(max(limit-bytes, limit/2))
	}
}

// memoryLimit returns the memory in bytes that the process may use: the lower one of
// the cgroup's limit and GOMEMLIMIT, 0 if there is neither.
func memoryLimit() int64 {
	limit := debug.SetMemoryLimit(-1) // a negative value only reads it
	if cgroup := ownMemoryLimit(); cgroup > 0 {
		limit = min(limit, cgroup)
	}
	if limit == math.MaxInt64 {
		return 0
	}
	return limit
}

// ownMemoryLimit returns cgroupMemoryLimit of this process at the first call.
var ownMemoryLimit = sync.OnceValue(func() int64 { return cgroupMemoryLimit(os.DirFS("/")) })

// cgroupMemoryLimit returns the lowest memory limit in bytes of the process's cgroup
// and those above it, in version 2 or 1; 0 for none. root is the root of the file
// system. A container may see the folder of its own cgroup as the topmost one, and then
// can read only that.
//
// See the sections "Memory Interface Files" of cgroup-v2.rst and "User Interface"
// of cgroup-v1/memory.rst in https://docs.kernel.org/admin-guide/.
func cgroupMemoryLimit(root fs.FS) int64 {
	raw, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil { // not Linux
		return 0
	}
	least := int64(0)
	for line := range strings.Lines(string(raw)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // number:controllers:path
		if len(parts) != 3 {
			continue
		}
		top, file := "sys/fs/cgroup", "memory.max"
		if parts[1] != "" { // version 1
			if !strings.Contains(","+parts[1]+",", ",memory,") {
				continue
			}
			top, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		for dir := path.Join("/", parts[2]); ; dir = path.Dir(dir) {
			if limit := readLimit(root, path.Join(top, dir, file)); limit > 0 && (least == 0 || limit < least) {
				least = limit
			}
			if dir == "/" {
				break
			}
		}
	}
	return least
}

// readLimit returns the number of bytes in a file, 0 for no limit. Version 2 writes
// "max" for no limit, version 1 a number near the largest.
func readLimit(root fs.FS, file string) int64 {
	raw, err := fs.ReadFile(root, file)
	if err != nil {
		return 0
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
	if err != nil || limit >= math.MaxInt64/2 {
		return 0
	}
	return limit
}

// atLeastTwoThreads sets GOMAXPROCS to 2 on a machine with one core, unless it is set.
// It returns the number of cores. With one thread, a request waits until the Go
// scheduler preempts a long computation, up to 10 ms each time; with two, the kernel
// switches, and prefers the thread that has waited. The longest computations, password
// hashes, run in other processes. If those cannot be started, the 99th percentile of
// the verify route in a rush of logins on one core is 60 ms with one thread and 20 ms
// with two. With the processes it is about 2 ms (go run ./bench crowds).
func atLeastTwoThreads() (cores int) {
	cores = runtime.GOMAXPROCS(0)
	if cores == 1 && os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(2)
		return 1
	}
	return cores
}
