//go:build !linux

package benchserver

import (
	"os/exec"
	"syscall"
	"time"
)

func setGroup(*exec.Cmd) {}

// terminate asks the process to end, where a system has a signal for it. It may have ended.
func (s *Server) terminate() { _ = s.cmd.Process.Signal(syscall.SIGTERM) }

// killGroup ends the process. Its child processes end when they notice.
func (s *Server) killGroup() { _ = s.cmd.Process.Kill() }

// OwnCPU returns 0: the table, which needs it, needs Linux.
func OwnCPU() time.Duration { return 0 }
