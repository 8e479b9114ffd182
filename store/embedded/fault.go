package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strings"
)

// ErrDamaged means that a page of the database file is damaged or missing.
var ErrDamaged = errors.New("database file is damaged")

// damageAdvice is the end of every error about a damaged file.
const damageAdvice = `stop the server, run "cubegate check", and restore the file from a copy`

// faults converts panics to errors. bbolt reads the file through a memory map and trusts the
// data. A damaged page makes bbolt panic or follow a pointer out of the map, which ends the
// process unless debug.SetPanicOnFault is set for the goroutine. A goroutine does not inherit
// the setting, so each goroutine that reads the file sets it.
type faults struct {
	file string
	log  *slog.Logger
}

// run calls read and returns a panic as an error. An error that wraps ErrDamaged names the
// file and the remedy.
func (f faults) run(read func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = f.panicError(r)
		}
	}()
	return read()
}

// panicError returns the error for a panic. Only the deferred function that called recover may
// call it, because it reads the stack of the panic.
func (f faults) panicError(r any) error {
	if !isMapFault(r) {
		f.log.LogAttrs(context.Background(), slog.LevelError, "panic in a command", slog.String("panic", fmt.Sprint(r)), slog.String("stack", string(debug.Stack())))
		return fail(codeInternal, "internal error: the command panicked; the log has the stack")
	}
	cause := fmt.Sprint(r)
	if _, ok := r.(interface{ Addr() uintptr }); ok {
		cause = "a page points outside the file, or the file is truncated"
	}
	err := fmt.Errorf("%s: %w (%s); %s", f.file, ErrDamaged, cause, damageAdvice)
	f.log.LogAttrs(context.Background(), slog.LevelError, "database file is damaged", slog.String("file", f.file), slog.String("cause", cause))
	return err
}

// isMapFault reports whether a panic comes from reading the map: a memory fault, or a panic
// that bbolt, or the runtime below it, raised because of the data in a page.
func isMapFault(r any) bool {
	if _, ok := r.(interface{ Addr() uintptr }); ok { // SetPanicOnFault documents it for faults
		return true
	}
	var stack [64]uintptr
	frames := runtime.CallersFrames(stack[:runtime.Callers(2, stack[:])])
	for panicking := false; ; {
		frame, more := frames.Next()
		switch {
		case frame.Function == "runtime.gopanic":
			panicking = true
		case panicking && !strings.HasPrefix(frame.Function, "runtime."):
			return strings.HasPrefix(frame.Function, "go.etcd.io/bbolt")
		}
		if !more {
			return false
		}
	}
}
