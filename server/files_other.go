//go:build !unix

package server

// fileLimit returns 0: sockets are no files here.
func fileLimit() int64 { return 0 }
