package server

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// returnPages takes the pages of the program out of the process's memory. The start uses
// almost all of them, and a running server few: the kernel maps a page again, mostly from
// its cache, when the program uses it. Failures change nothing, so they are ignored.
func returnPages() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	mappings, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, m := range unwrittenMappings(string(mappings), program) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.start, m.length, unix.MADV_DONTNEED)
	}
}

// mapping is a range of addresses.
type mapping struct{ start, length uintptr }

// unwrittenMappings returns the private mappings of a file that cannot be written now and
// have no page that was written before: the loader and debuggers write into such mappings,
// and those pages would be lost. smaps is described in proc_pid_smaps(5).
func unwrittenMappings(smaps, file string) (found []mapping) {
	var last *mapping // of the file
	for line := range strings.Lines(smaps) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		if !strings.HasSuffix(fields[0], ":") { // addresses, permissions, offset, device, inode, path
			last = nil
			if m, ok := parseRange(fields[0]); ok && len(fields) == 6 && (fields[1] == "r-xp" || fields[1] == "r--p") && fields[5] == file {
				found = append(found, m)
				last = &found[len(found)-1]
			}
			continue
		}
		if last != nil && (fields[0] == "Anonymous:" || fields[0] == "Swap:") && fields[1] != "0" {
			found, last = found[:len(found)-1], nil
		}
	}
	return found
}

// parseRange reads the addresses at the start of a line, such as 00400000-00ec8000.
func parseRange(addresses string) (mapping, bool) {
	from, to, _ := strings.Cut(addresses, "-")
	start, err1 := strconv.ParseUint(from, 16, 64)
	end, err2 := strconv.ParseUint(to, 16, 64)
	if err1 != nil || err2 != nil || end <= start {
		return mapping{}, false
	}
	return mapping{uintptr(start), uintptr(end - start)}, true
}
