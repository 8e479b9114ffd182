//go:build !linux

package server

import "net"

// ignoreNewConnections reports that the system cannot.
func ignoreNewConnections(net.Listener) bool { return false }

// hasQueue reports that the system does not tell.
func hasQueue(net.Listener) bool { return false }
