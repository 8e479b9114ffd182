//go:build !unix

package core

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// lockFile takes the lock by holding the file open: Windows does not delete an open
// file.
func lockFile(path string) (io.Closer, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, ErrInUse
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}
