package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strings"
)

// ErrDamaged means that a page of the database file is damaged or missing.
var ErrDamaged = errors.New("database file is damaged")

// damageAdvice ends every error about a damaged file.
const damageAdvice = `stop the server, run "cubegate check", and restore the file from a copy`

// faults turns panics into errors. bbolt reads the file through a memory map and trusts
// what it finds: a damaged page makes it panic, or lets it follow a pointer out of the map,
// which ends the process unless debug.SetPanicOnFault is set for the goroutine. That
// setting is not inherited, so each goroutine that touches the file makes it for itself.
type faults struct {
	file string
	log  *slog.Logger
}

// run calls read and returns what it panicked with as an error. An error that wraps
// ErrDamaged names the file and the way out.
func (f faults) run(read func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = f.recovered(r)
		}
	}()
	return read()
}

// recovered makes an error of a panic. It must be called by the deferred function that
// recovered, because it reads the stack of the panic.
func (f faults) recovered(r any) error {
	if !fromMap(r) {
		f.log.Error("panic in a command", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		return fail(codeInternal, "internal error: the command panicked; the log has the stack")
	}
	cause := fmt.Sprint(r)
	if _, ok := r.(interface{ Addr() uintptr }); ok {
		cause = "a page points outside the file, or the file is cut short"
	}
	err := fmt.Errorf("%s: %w (%s); %s", f.file, ErrDamaged, cause, damageAdvice)
	f.log.Error("database file is damaged", "file", f.file, "cause", cause)
	return err
}

// fromMap reports whether a panic comes from reading the map: a memory fault, or a panic
// that bbolt, or the runtime below it, raised over what a page holds.
func fromMap(r any) bool {
	if _, ok := r.(interface{ Addr() uintptr }); ok { // what SetPanicOnFault promises of a fault
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
