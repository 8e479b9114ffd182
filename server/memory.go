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
)

// goMemoryPercent is the share of a container's memory that the Go runtime may
// use before it collects garbage at any cost. The rest is for what the runtime
// does not count: pages of the embedded database's file, and socket buffers.
const goMemoryPercent = 90

// limitGoMemory gives the Go runtime a limit when the process runs in a cgroup
// that has one and GOMEMLIMIT is not set. root is the root of the file system. Without it the heap may grow to twice
// the live data, and the kernel kills the process although most of it is garbage.
func limitGoMemory(ctx context.Context, root fs.FS, log *slog.Logger) {
	limit := cgroupMemoryLimit(root)
	if limit == 0 || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	soft := limit / 100 * goMemoryPercent
	debug.SetMemoryLimit(soft)
	log.LogAttrs(ctx, slog.LevelInfo, "memory limit set from the cgroup",
		slog.Int64("cgroup_bytes", limit), slog.Int64("go_bytes", soft))
}

// memoryLimit returns the memory in bytes that the process may use, by its
// cgroup or by GOMEMLIMIT, whichever is less; 0 when neither limits it.
func memoryLimit() int64 {
	limit := debug.SetMemoryLimit(-1) // a negative value only reads it
	if cgroup := cgroupMemoryLimit(os.DirFS("/")); cgroup > 0 {
		limit = min(limit, cgroup)
	}
	if limit == math.MaxInt64 {
		return 0
	}
	return limit
}

// cgroupMemoryLimit returns the least memory limit in bytes of the process's
// cgroup and those above it, in version 2 or 1; 0 for none. root is the root of
// the file system. In a container the folder of the own cgroup may be mounted as
// if it were the topmost, so that only that one can be read.
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

// readLimit returns the number of bytes in a file, 0 when there is none: version
// 2 writes "max" for no limit, version 1 a number near the largest.
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

// atLeastTwoThreads lets two goroutines run at a time, also on one core, unless
// GOMAXPROCS is set. It returns the cores that there are. With one thread every
// request waits until the Go scheduler takes it from a password hash, up to 10
// ms each time; between two threads the kernel decides, and prefers the one that
// has waited. In a rush of logins on one core the 99th percentile of the verify
// route fell from 60 to 20 ms (go run ./bench/crowds).
func atLeastTwoThreads() (cores int) {
	cores = runtime.GOMAXPROCS(0)
	if cores == 1 && os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(2)
		return 1
	}
	return cores
}
