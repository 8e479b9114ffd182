// Package benchserver starts the programs that a benchmark measures, and reads from /proc
// what they use.
package benchserver

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// Server is a running program.
type Server struct {
	URL string // of the API, such as http://127.0.0.1:41234

	cmd    *exec.Cmd
	exited chan struct{} // closed when the process has ended
}

// The banner of the server names its API, that of the command "sandbox" the REST API.
var apiURL = regexp.MustCompile(`(http://\S+)/api$|REST API +(http://\S+)$`)

// startTimeout bounds the time from the start of a program to its URL.
const startTimeout = time.Minute

// Build compiles the server of this module into a folder, as the image does, and returns
// its file.
func Build(folder string) (string, error) {
	file := filepath.Join(folder, "cubegate")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, "cubegate")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the server: %w\n%s", err, out)
	}
	return file, nil
}

// Workspace creates a temporary folder for a measurement. If binary names no file, it
// builds the server of this module in the folder, and binary names that file. The caller
// must call remove, which removes the folder.
func Workspace(name string, binary *string) (folder string, remove func() error, err error) {
	if folder, err = os.MkdirTemp("", name+"-"); err != nil {
		return "", nil, err
	}
	remove = func() error { return os.RemoveAll(folder) }
	if *binary == "" {
		if *binary, err = Build(folder); err != nil {
			return "", nil, errors.Join(err, remove())
		}
	}
	return folder, remove, nil
}

// Start runs a command line that executes the server, and returns when it listens. The
// folder holds its data and its log. The environment consists of PATH, free ports on
// 127.0.0.1, and env.
func Start(folder string, line []string, env ...string) (*Server, error) {
	s, out, err := launch(folder, line, append([]string{"HOST=127.0.0.1", "PORT=0", "SANDBOX_PORT=0", "DATA_DIR=" + folder}, env...))
	if err != nil {
		return nil, err
	}
	url := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if found := apiURL.FindSubmatch(lines.Bytes()); found != nil {
				select {
				case url <- string(append(found[1], found[2]...)):
				default: // another line has been sent
				}
			}
		}
		s.wait()
	}()
	select {
	case s.URL = <-url:
		return s, nil
	case <-s.exited:
		return nil, fmt.Errorf("%w\n%s", s.Alive(), s.LastLines())
	case <-time.After(startTimeout):
		s.Stop()
		return nil, fmt.Errorf("the server has not printed its URL within %v", startTimeout)
	}
}

// StartOther runs another program than the server. The caller knows its URL, and waits
// until it answers.
func StartOther(folder string, line []string, env ...string) (*Server, error) {
	s, out, err := launch(folder, line, env)
	if err != nil {
		return nil, err
	}
	go func() {
		_, _ = io.Copy(io.Discard, out) // until the process ends
		s.wait()
	}()
	return s, nil
}

// launch starts a process in a group of its own, which Stop ends together, and which ends with
// this process. Its standard
// error goes to the file "log" in the folder.
func launch(folder string, line, env []string) (*Server, io.Reader, error) {
	s := &Server{cmd: exec.Command(line[0], line[1:]...), exited: make(chan struct{})}
	s.cmd.Dir = folder
	s.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + folder}, env...)
	setGroup(s.cmd)
	log, err := os.OpenFile(filepath.Join(folder, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()
	s.cmd.Stderr = log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("starting %s: %w", filepath.Base(line[0]), err)
	}
	return s, out, nil
}

func (s *Server) wait() {
	_ = s.cmd.Wait() // Alive reports the status
	close(s.exited)
}

// LastLines returns the end of the log.
func (s *Server) LastLines() []byte {
	text, _ := os.ReadFile(filepath.Join(s.cmd.Dir, "log"))
	lines := bytes.SplitAfter(text, []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-10):], nil)
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

// Stop ends the server: after 20 seconds with SIGKILL. It returns an error unless the
// server has ended by itself and reports success.
func (s *Server) Stop() error {
	s.terminate()
	select {
	case <-s.exited:
	case <-time.After(20 * time.Second):
		s.Kill()
		return errors.New("the server did not end within 20 seconds after SIGTERM")
	}
	s.killGroup() // its child processes
	if !s.cmd.ProcessState.Success() {
		return s.Alive()
	}
	return nil
}

// Kill ends the server and its child processes with SIGKILL.
func (s *Server) Kill() {
	s.killGroup()
	<-s.exited
}
