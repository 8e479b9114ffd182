package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"cubegate/tokens"
)

// secret signs the server's tokens, and the device tokens that this program
// makes: one that the server gives counts only after ten minutes.
const secret tokens.Secret = "a secret of the bench alone: c8Jq2vKx9wZr4mTn"

// server is a cubegate that runs.
type server struct {
	url    string
	folder string
	cgroup string // its folder, or ""
	cmd    *exec.Cmd
	ended  chan error
	client *http.Client
}

// startServer starts the program with nothing configured but its ports, its
// secret and a trusted proxy, in a cgroup of a number of MiB if that is not 0.
func startServer(ctx context.Context, program string, memory int) (_ *server, err error) {
	s := &server{ended: make(chan error, 1), client: &http.Client{
		Timeout:   60 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 2000, MaxConnsPerHost: 2000},
	}}
	if s.folder, err = os.MkdirTemp("", "crowds"); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(s.folder, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	line := []string{program}
	if _, err := exec.LookPath("taskset"); err == nil && runtime.NumCPU() > 1 {
		line = append([]string{"taskset", "-c", "0"}, line...)
		if err := exec.CommandContext(ctx, "taskset", "-cp", "1", strconv.Itoa(os.Getpid())).Run(); err != nil {
			return nil, fmt.Errorf("pinning the load to a core: %w", err)
		}
	}
	if memory > 0 {
		s.cgroup = "/sys/fs/cgroup/memory/" + filepath.Base(s.folder)
		if err := os.Mkdir(s.cgroup, 0o755); err != nil {
			return nil, fmt.Errorf("making a memory cgroup (version 1, as root): %w", err)
		}
		if err := os.WriteFile(s.cgroup+"/memory.limit_in_bytes", []byte(strconv.Itoa(memory<<20)), 0o644); err != nil {
			return nil, err
		}
		line = append([]string{"sh", "-c", `echo $$ > ` + s.cgroup + `/cgroup.procs && exec "$@"`, "sh"}, line...)
	}
	s.cmd = exec.Command(line[0], line[1:]...)
	s.cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOST=127.0.0.1", "PORT=0", "SANDBOX_PORT=0", "DATA_DIR=" + filepath.Join(s.folder, "data"),
		"TRUSTED_PROXIES=127.0.0.1", "REGISTER_PER_NETWORK=0", "LOG_LEVEL=warn", "JWT_SECRET=" + secret.Reveal(),
	}
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.ended <- s.cmd.Wait() }()
	if s.url, err = s.ready(log.Name()); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

var apiURL = regexp.MustCompile(`(http://\S+)/api`)

// ready waits for the lines that the program prints when it is ready.
func (s *server) ready(log string) (string, error) {
	for range 200 {
		text, err := os.ReadFile(log)
		if err != nil {
			return "", err
		}
		if found := apiURL.FindSubmatch(text); found != nil {
			return string(found[1]), nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return "", errors.New("the server does not start")
}

// alive returns an error when the server has died.
func (s *server) alive() error {
	select {
	case err := <-s.ended:
		s.ended <- err
		return fmt.Errorf("the server died: %w", err)
	default:
		return nil
	}
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	if s.cgroup != "" {
		_ = os.Remove(s.cgroup)
	}
	_ = os.RemoveAll(s.folder)
}

// peak is the most memory that the server had.
func (s *server) peak() string {
	if s.cgroup != "" {
		raw, err := os.ReadFile(s.cgroup + "/memory.max_usage_in_bytes")
		if n, e := strconv.Atoi(strings.TrimSpace(string(raw))); err == nil && e == nil {
			return fmt.Sprintf("%d MiB of its cgroup", n>>20)
		}
	}
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "VmHWM") {
			return strings.Join(strings.Fields(line)[1:], " ") + " resident, child processes not included"
		}
	}
	return "unknown"
}

// person is a user of the server.
type person struct {
	id, email, password, token string
}

// device is the token of a device of the person that counts.
func (p person) device() string {
	ring, err := tokens.NewSecretRing(secret)
	if err != nil {
		panic(err) // the secret is a constant
	}
	return ring.NewDeviceToken(tokens.KnownDevice{UserID: p.id, EmailKey: p.email, Device: "bench", Issued: time.Now().Add(-time.Hour)})
}

func (s *server) registerPeople(ctx context.Context, n int) ([]person, error) {
	var people []person
	for i := range n {
		p := person{email: fmt.Sprintf("user%d@example.org", i), password: "correct horse"}
		body := map[string]any{"email": p.email, "password": p.password, "firstName": "Ada", "lastName": "Lovelace"}
		status, answer, err := s.post(ctx, "/auth/register", "203.0.113.99", body)
		if err != nil || status != http.StatusCreated {
			return nil, fmt.Errorf("registering: status %d, %w", status, err)
		}
		p.id, p.token = answer.User.ID, answer.Token
		people = append(people, p)
	}
	return people, nil
}

// answer is the part of an answer that the bench reads.
type answer struct {
	Token string
	User  struct{ ID string }
}

// post sends a request as the proxy of a client in a network.
func (s *server) post(ctx context.Context, path, network string, body map[string]any) (int, answer, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return 0, answer{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, bytes.NewReader(raw))
	if err != nil {
		return 0, answer{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Forwarded-For", network)
	response, err := s.client.Do(r)
	if err != nil {
		return 0, answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	var a answer
	_ = json.Unmarshal(text, &a) // an error has none of it
	return response.StatusCode, a, err
}
