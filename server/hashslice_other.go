//go:build !linux

package server

// yieldToShortTasks does nothing where the kernel has no time slices to ask for.
func yieldToShortTasks() {}
