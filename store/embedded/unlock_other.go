//go:build !unix

package embedded

import "os"

// unlock does nothing, because on this system the lock ends with the process.
func unlock(*os.File) {}
