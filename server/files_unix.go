//go:build unix

package server

import (
	"math"
	"syscall"
)

// fileLimit returns how many files and sockets the process may have open, 0 for
// no limit. The Go runtime has raised the soft limit to the hard one.
func fileLimit() int64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || uint64(limit.Cur) > math.MaxInt32 {
		return 0
	}
	return int64(limit.Cur)
}
