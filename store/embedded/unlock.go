//go:build unix

package embedded

import (
	"os"
	"syscall"
)

// unlock releases bbolt's lock. After a panic, closing the file does not release it, because
// the remaining memory map refers to the file.
func unlock(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
