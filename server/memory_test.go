package server

import (
	"bytes"
	"log/slog"
	"math"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/fstest"
)

func TestCgroupMemoryLimit(t *testing.T) {
	t.Parallel()
	const none = "9223372036854771712\n"
	tests := []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"no cgroups", nil, 0},
		{"version 2, in a container", map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "268435456\n"}, 268435456},
		{"version 2, without a limit", map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 0},
		{"version 2, a unit below a limited slice", map[string]string{
			"proc/self/cgroup": "0::/system.slice/cubegate.service\n",
			"sys/fs/cgroup/system.slice/cubegate.service/memory.max": "max\n",
			"sys/fs/cgroup/system.slice/memory.max":                  "1000000\n"}, 1000000},
		{"version 2, the least counts", map[string]string{
			"proc/self/cgroup":             "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "3000\n",
			"sys/fs/cgroup/a/memory.max":   "2000\n"}, 2000},
		{"version 1, in a container that sees the host's path", map[string]string{
			"proc/self/cgroup":                           "5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n0::/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n"}, 268435456},
		{"version 1, without a limit", map[string]string{
			"proc/self/cgroup": "4:memory:/x\n",
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes": none,
			"sys/fs/cgroup/memory/memory.limit_in_bytes":   none}, 0},
		{"nonsense", map[string]string{
			"proc/self/cgroup": "memory\n0::/../..\n", "sys/fs/cgroup/memory.max": "much\n"}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			root := fstest.MapFS{}
			for name, text := range test.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if got := cgroupMemoryLimit(root); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

// Not parallel: the limit is the process's.
func TestGoMemoryIsLimitedInACgroup(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	root := fstest.MapFS{
		"proc/self/cgroup":         {Data: []byte("0::/\n")},
		"sys/fs/cgroup/memory.max": {Data: []byte("100000000000\n")},
	}
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))

	t.Setenv("GOMEMLIMIT", "off")
	limitGoMemory(t.Context(), cgroupMemoryLimit(root), log)
	if got := debug.SetMemoryLimit(-1); got != before || out.String() != "" {
		t.Errorf("with GOMEMLIMIT, the limit became %d, and the log is %q", got, out.String())
	}
	t.Setenv("GOMEMLIMIT", "")
	limitGoMemory(t.Context(), cgroupMemoryLimit(fstest.MapFS{}), log)
	if got := debug.SetMemoryLimit(-1); got != before || out.String() != "" {
		t.Errorf("without a cgroup, the limit became %d, and the log is %q", got, out.String())
	}
	limitGoMemory(t.Context(), cgroupMemoryLimit(root), log)
	if got := debug.SetMemoryLimit(-1); got != 90_000_000_000 {
		t.Errorf("the limit is %d, want 90 %% of the cgroup's", got)
	}
	if !strings.Contains(out.String(), `"go_bytes":90000000000`) {
		t.Errorf("the log is %q, want the limit", out.String())
	}
}

// Not parallel: the limit is the process's.
func TestGoMemoryLeavesRoomForProcesses(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	for _, tt := range []struct{ limit, bytes, want int64 }{
		{math.MaxInt64, 1 << 30, math.MaxInt64},
		{100 << 30, 0, 100 << 30},
		{100 << 30, 10 << 30, 90 << 30},
		{100 << 30, 99 << 30, 50 << 30},
	} {
		debug.SetMemoryLimit(tt.limit)
		leaveMemory(tt.bytes)
		if got := debug.SetMemoryLimit(-1); got != tt.want {
			t.Errorf("with a limit of %d and %d for processes, the limit became %d, want %d", tt.limit, tt.bytes, got, tt.want)
		}
	}
}

func TestOneCoreGetsTwoThreads(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for _, tt := range []struct {
		env                  string
		cores, threads, want int
	}{
		{"", 1, 2, 1},
		{"1", 1, 1, 1}, // a set value stays
		{"", 4, 4, 4},
	} {
		t.Setenv("GOMAXPROCS", tt.env)
		runtime.GOMAXPROCS(tt.cores)
		if got := atLeastTwoThreads(); got != tt.want || runtime.GOMAXPROCS(0) != tt.threads {
			t.Errorf("GOMAXPROCS=%q on %d cores: %d cores, %d threads, want %d and %d", tt.env, tt.cores, got, runtime.GOMAXPROCS(0), tt.want, tt.threads)
		}
	}
}
