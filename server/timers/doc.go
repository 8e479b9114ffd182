// Package timers makes the kernel wake the server less often. Importing it does that: it acts
// before main, so only the program imports it.
//
// While a goroutine works or waits for the disk, a thread of Go's runtime looks at it, every
// 20 µs at first. In one login that thread preempts the password hash 40 times. See sysmon in
// https://go.dev/src/runtime/proc.go.
package timers
