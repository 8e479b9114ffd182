package crowds

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cubegate/bench/benchserver"
	"cubegate/tokens"
)

// secret signs the server's tokens, and the device tokens that the benchmark makes,
// because a device token of the server counts only after ten minutes.
const secret tokens.Secret = benchserver.JWTSecret

// server is a running server and a client.
type server struct {
	*benchserver.Server
	folder string
	cgroup string // its folder, or ""
	client *http.Client
}

// startServer starts the program, in a cgroup of a number of MiB unless memory is 0.
func startServer(program string, memory int) (_ *server, err error) {
	cores, err := benchserver.Pin()
	if err != nil {
		return nil, err
	}
	s := &server{client: &http.Client{
		Timeout:   60 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 2000, MaxConnsPerHost: 2000},
	}}
	if s.folder, err = os.MkdirTemp("", "crowds"); err != nil {
		return nil, err
	}
	line := benchserver.On(cores.Server, program)
	if memory > 0 {
		s.cgroup = "/sys/fs/cgroup/memory/" + filepath.Base(s.folder)
		if err := os.Mkdir(s.cgroup, 0o755); err != nil {
			return nil, fmt.Errorf("creating a memory cgroup (version 1, as root): %w", err)
		}
		if err := os.WriteFile(s.cgroup+"/memory.limit_in_bytes", []byte(strconv.Itoa(memory<<20)), 0o644); err != nil {
			return nil, err
		}
		line = append([]string{"sh", "-c", `echo $$ > ` + s.cgroup + `/cgroup.procs && exec "$@"`, "sh"}, line...)
	}
	s.Server, err = benchserver.Start(s.folder, line,
		"TRUSTED_PROXIES=127.0.0.1", "REGISTER_PER_NETWORK=0", "LOG_LEVEL=warn", "JWT_SECRET="+secret.Reveal())
	if err != nil {
		s.cleanUp()
		return nil, err
	}
	return s, nil
}

func (s *server) stop() {
	_ = s.Stop() // the caller has asked whether it is alive
	s.cleanUp()
}

func (s *server) cleanUp() {
	if s.cgroup != "" {
		_ = os.Remove(s.cgroup)
	}
	_ = os.RemoveAll(s.folder)
}

// peakMemory describes the peak memory of the server.
func (s *server) peakMemory() string {
	if s.cgroup != "" {
		raw, err := os.ReadFile(s.cgroup + "/memory.max_usage_in_bytes")
		if n, e := strconv.Atoi(strings.TrimSpace(string(raw))); err == nil && e == nil {
			return fmt.Sprintf("%d MiB of its cgroup", n>>20)
		}
	}
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID()))
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "VmHWM") {
			return strings.Join(strings.Fields(line)[1:], " ") + " resident, child processes not included"
		}
	}
	return "unknown"
}

// user is a user of the server.
type user struct {
	id, email, password, token string
}

// deviceToken returns the token of a device that the user has used for an hour.
func (u user) deviceToken() string {
	ring, err := tokens.NewSecretRing(secret)
	if err != nil {
		panic(err) // the secret is a constant
	}
	return ring.NewDeviceToken(tokens.KnownDevice{UserID: u.id, EmailKey: u.email, Device: "bench", Issued: time.Now().Add(-time.Hour)})
}

func (s *server) registerUsers(ctx context.Context, n int) ([]user, error) {
	var users []user
	for i := range n {
		u := user{email: fmt.Sprintf("user%d@example.org", i), password: "correct horse"}
		body := map[string]any{"email": u.email, "password": u.password, "firstName": "Ada", "lastName": "Lovelace"}
		status, got, err := s.post(ctx, "/auth/register", "203.0.113.99", body)
		if err != nil || status != http.StatusCreated {
			return nil, fmt.Errorf("registering: status %d, %w", status, err)
		}
		u.id, u.token = got.User.ID, got.Token
		users = append(users, u)
	}
	return users, nil
}

// response is the part of a response that the benchmark reads.
type response struct {
	Token string
	User  struct{ ID string }
}

// post sends a request as the proxy of a client in a network.
func (s *server) post(ctx context.Context, path, network string, body map[string]any) (int, response, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return 0, response{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+path, bytes.NewReader(raw))
	if err != nil {
		return 0, response{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Forwarded-For", network)
	res, err := s.client.Do(r)
	if err != nil {
		return 0, response{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	var got response
	_ = json.Unmarshal(text, &got) // an error has no such members
	return res.StatusCode, got, err
}
