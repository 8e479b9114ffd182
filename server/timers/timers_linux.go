package timers

import (
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// slack is how much later than asked for the kernel may end a sleep of the server. The
// kernel's default is 50 µs.
const slack = time.Millisecond

// mark is the environment variable of a program that was executed again. It keeps a kernel
// that loses the slack from a loop.
const mark = "CUBEGATE_TIMERS_HAVE_SLACK"

// serving are the arguments of a server. Other commands end soon, or inherit its slack.
var serving = []string{"serve", "--lan", "--tls"}

// init gives a server the slack. A thread inherits the slack of its creator, and the thread
// of the runtime is older than any code of the program. So init executes the program again in
// the same process, which keeps the slack: PR_SET_TIMERSLACK in prctl(2). It costs a
// millisecond, because the packages that start before this one are few: this package imports
// little for that reason, and it cannot be a function that main calls. If the system refuses
// anything, the server runs with the slack that it has.
func init() {
	if os.Getenv(mark) != "" {
		_ = os.Unsetenv(mark)
		return
	}
	if slices.ContainsFunc(os.Args[1:], func(arg string) bool { return !slices.Contains(serving, arg) }) {
		return
	}
	program, err := os.Executable()
	if err != nil {
		return
	}
	runtime.LockOSThread() // the slack is that of a thread
	defer runtime.UnlockOSThread()
	if _, _, failed := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_TIMERSLACK, uintptr(slack), 0); failed == 0 {
		_ = syscall.Exec(program, os.Args, append(os.Environ(), mark+"=1"))
	}
}
