package benchserver

import (
	"os/exec"
	"syscall"
	"time"
)

// setGroup makes the process the first of a group of its own, so that Ctrl-C does not reach
// it. It ends with this one, also if that is killed.
func setGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// terminate asks the process to end. It may have ended.
func (s *Server) terminate() { _ = syscall.Kill(s.PID(), syscall.SIGTERM) }

func (s *Server) killGroup() { _ = syscall.Kill(-s.PID(), syscall.SIGKILL) }

// OwnCPU returns the CPU time of this process.
func OwnCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
