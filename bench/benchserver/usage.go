package benchserver

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Process is a process with all its descendants, as /proc shows them.
type Process int // its ID

// Usage is what a process uses.
type Usage struct {
	CPU         time.Duration // since its start, with the descendants that have ended
	Resident    int64         // bytes; memory that processes share counts for each
	Descriptors int
	Threads     int
}

// clockTick is the unit of times in /proc on Linux, whatever the kernel's own is.
const clockTick = 10 * time.Millisecond

// Usage returns an error if the process has ended.
func (p Process) Usage() (Usage, error) {
	own, err := usageOf(int(p))
	if err != nil {
		return Usage{}, fmt.Errorf("process %d: %w", p, err)
	}
	for _, child := range p.descendants() {
		u, err := usageOf(child)
		if err != nil {
			continue // it has ended, and its parent has its CPU time
		}
		own.CPU += u.CPU
		own.Resident += u.Resident
		own.Descriptors += u.Descriptors
		own.Threads += u.Threads
	}
	return own, nil
}

func stat(pid int) ([]string, error) { return statOf("/proc/" + strconv.Itoa(pid)) }

// statOf returns the fields of the file stat of a process or thread that follow its name:
// the state is the first.
func statOf(folder string) ([]string, error) {
	raw, err := os.ReadFile(folder + "/stat")
	if err != nil {
		return nil, err
	}
	_, after, _ := bytes.Cut(raw[bytes.LastIndexByte(raw, ')'):], []byte(" "))
	fields := strings.Fields(string(after))
	if len(fields) < 22 {
		return nil, fmt.Errorf("%s/stat has %d fields", folder, len(fields))
	}
	return fields, nil
}

func usageOf(pid int) (u Usage, err error) {
	fields, err := stat(pid)
	if err != nil {
		return u, err
	}
	for _, ticks := range fields[11:15] { // utime, stime, and those of children that were waited for
		n, err := strconv.ParseInt(ticks, 10, 64)
		if err != nil {
			return u, err
		}
		u.CPU += time.Duration(n) * clockTick
	}
	u.Threads, _ = strconv.Atoi(fields[17])
	pages, err := strconv.ParseInt(fields[21], 10, 64)
	u.Resident = pages * int64(os.Getpagesize())
	open, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)) // another user's is not readable
	u.Descriptors = len(open)
	return u, err
}

// descendants returns the IDs of all processes below p.
func (p Process) descendants() []int {
	entries, _ := filepath.Glob("/proc/[0-9]*")
	children := map[int][]int{}
	for _, entry := range entries {
		pid, _ := strconv.Atoi(filepath.Base(entry))
		if fields, err := stat(pid); err == nil {
			parent, _ := strconv.Atoi(fields[1])
			children[parent] = append(children[parent], pid)
		}
	}
	found := slices.Clone(children[int(p)])
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i]]...)
	}
	return found
}

// Settle waits until a process has worked off what its clients have left behind: until it
// has used less than a twentieth of a core for a quarter of a second, and no thread waits
// for a core. It reports whether that came within the limit.
func (p Process) Settle(limit time.Duration) bool {
	const pause, quiet = 125 * time.Millisecond, 2
	before, err := p.Usage()
	calm := 0
	for end := time.Now().Add(limit); err == nil && calm < quiet && time.Now().Before(end); {
		time.Sleep(pause)
		var now Usage
		now, err = p.Usage()
		calm++
		if now.CPU-before.CPU > clockTick || p.runnable() { // a smaller step than a tick is not visible
			calm = 0
		}
		before = now
	}
	return calm == quiet
}

// runnable reports whether a thread runs, or would run on a machine with more cores.
func (p Process) runnable() bool {
	for _, pid := range append(p.descendants(), int(p)) {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*", pid))
		for _, task := range tasks {
			fields, err := statOf(task)
			if err == nil && fields[0] == "R" {
				return true
			}
		}
	}
	return false
}

// MachineCPU returns the time in which the cores of the machine were busy since its start.
func MachineCPU() (time.Duration, error) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(raw), "\n")
	fields := strings.Fields(first)
	if len(fields) < 9 {
		return 0, fmt.Errorf("/proc/stat begins with %q", first)
	}
	var busy time.Duration
	for i, ticks := range fields[1:9] {
		n, err := strconv.ParseInt(ticks, 10, 64)
		if err != nil {
			return 0, err
		}
		if i != 3 && i != 4 { // idle, and waiting for a disk
			busy += time.Duration(n) * clockTick
		}
	}
	return busy, nil
}

// OnPort returns the process that listens on a TCP port of this machine: of several, the
// one that is no child of another.
func OnPort(port int) (Process, error) {
	inodes := map[string]bool{}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		raw, _ := os.ReadFile(file) // a machine may lack one of them
		for line := range strings.Lines(string(raw)) {
			const listening = "0A"
			if f := strings.Fields(line); len(f) > 9 && f[3] == listening && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				inodes["socket:["+f[9]+"]"] = true
			}
		}
	}
	var owners []int
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && inodes[target] {
			pid, _ := strconv.Atoi(strings.Split(link, "/")[2])
			owners = append(owners, pid)
		}
	}
	for _, pid := range owners {
		fields, err := stat(pid)
		if err != nil {
			continue
		}
		if parent, _ := strconv.Atoi(fields[1]); !slices.Contains(owners, parent) {
			return Process(pid), nil
		}
	}
	return 0, fmt.Errorf("no process that this user may see listens on port %d", port)
}

// Cores are the cores of a benchmark: one for the servers, another for the load. Both are
// empty where there is one core or no taskset.
type Cores struct{ Server, Load string }

// Pin moves this process to the core of the load.
func Pin() (Cores, error) {
	status, _ := os.ReadFile("/proc/self/status") // other systems have none
	allowed := allowedCores(string(status))
	if _, err := exec.LookPath("taskset"); err != nil || len(allowed) < 2 {
		return Cores{}, nil
	}
	c := Cores{Server: allowed[0], Load: allowed[1]}
	if err := Process(os.Getpid()).Move(c.Load); err != nil {
		return Cores{}, err
	}
	runtime.GOMAXPROCS(1)
	return c, nil
}

// Move moves a process with its children to some cores, such as "0" or "0,1".
func (p Process) Move(cores string) error {
	for _, pid := range append(p.descendants(), int(p)) {
		out, err := exec.Command("taskset", "-acp", cores, strconv.Itoa(pid)).CombinedOutput()
		if _, ended := stat(pid); err != nil && ended == nil {
			return fmt.Errorf("moving process %d to core %s: %w\n%s", pid, cores, err, out)
		}
	}
	return nil
}

// allowedCores returns the first two cores that a process may use, in order: a container may
// have others than 0 and 1. proc_pid_status(5) describes the text.
func allowedCores(status string) (found []string) {
	_, rest, _ := strings.Cut(status, "\nCpus_allowed_list:")
	list, _, _ := strings.Cut(rest, "\n")
	for part := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		last := first
		if isRange && err == nil {
			last, err = strconv.Atoi(to)
		}
		if err != nil {
			return nil
		}
		for core := first; core <= last && len(found) < 2; core++ {
			found = append(found, strconv.Itoa(core))
		}
	}
	return found
}

// On returns a command line that runs line on a core of c.
func On(core string, line ...string) []string {
	if core == "" {
		return line
	}
	return append([]string{"taskset", "-c", core}, line...)
}
