// Package benchserver starts the server that a benchmark measures.
package benchserver

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// Server is a running server.
type Server struct {
	URL string // of the API, such as http://127.0.0.1:41234

	cmd    *exec.Cmd
	exited chan struct{} // closed when the process has ended
}

var apiURL = regexp.MustCompile(`(http://\S+)/api$`)

// Start runs a command line that executes the server, and returns when it listens. The
// folder holds its data and its log. The environment consists of PATH, free ports on
// 127.0.0.1, and env.
func Start(folder string, line []string, env ...string) (*Server, error) {
	s := &Server{cmd: exec.Command(line[0], line[1:]...), exited: make(chan struct{})}
	s.cmd.Dir = folder
	s.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOST=127.0.0.1", "PORT=0", "SANDBOX_PORT=0", "DATA_DIR=" + folder}, env...)
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.cmd.Stderr = log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	url := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if found := apiURL.FindStringSubmatch(lines.Text()); found != nil {
				select {
				case url <- found[1]:
				default: // another line has been sent
				}
			}
		}
		_ = s.cmd.Wait() // Alive reports the status
		close(s.exited)
	}()
	select {
	case s.URL = <-url:
		return s, nil
	case <-s.exited:
		text, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%w\n%s", s.Alive(), text)
	case <-time.After(time.Minute):
		s.Stop()
		return nil, errors.New("the server has not printed its URL within a minute")
	}
}

// PID returns the process ID.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Alive returns an error if the server has ended.
func (s *Server) Alive() error {
	select {
	case <-s.exited:
		return fmt.Errorf("the server has ended: %s", s.cmd.ProcessState)
	default:
		return nil
	}
}

// Stop ends the server: after 20 seconds with SIGKILL.
func (s *Server) Stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
}
