package benchserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// JWTSecret signs the tokens of the servers of a Stack.
const JWTSecret = "a secret of the bench alone: c8Jq2vKx9wZr4mTn"

const cidpSecret = "a-secret-of-the-bench-alone-4pXs7uLq1nVd8eRk"

// Stack is a sandbox in a process of its own, as ConnectyCube is another service, and the
// servers that use it.
type Stack struct {
	Binary string
	Folder string // of the bench; each process has a folder below it
	Cores  Cores

	Sandbox *Server
	running []*Server
}

// StartSandbox starts the sandbox with an environment, such as SANDBOX_PORT.
func (s *Stack) StartSandbox(env ...string) (err error) {
	if s.Sandbox, err = s.start("sandbox", On(s.Cores.Load, s.Binary, "sandbox"), append(env, "LOG_LEVEL=warn")...); err != nil {
		return fmt.Errorf("starting the sandbox: %w", err)
	}
	return nil
}

// StartServer starts a server on the sandbox, with an embedded database in the folder of
// its name, unless env says otherwise.
func (s *Stack) StartServer(name string, env ...string) (*Server, error) {
	server, err := s.start(name, On(s.Cores.Server, s.Binary), append(s.Env(), env...)...)
	if err != nil {
		return nil, fmt.Errorf("starting the server %s: %w", name, err)
	}
	return server, nil
}

// Env returns the settings of a server on the sandbox: it believes its clients about their
// addresses, and has no limits that one machine with many users would meet.
func (s *Stack) Env() []string {
	return []string{
		"APP_ID=1001", "AUTH_KEY=sandbox-auth-key", "CONNECTYCUBE_API_URL=" + s.Sandbox.URL,
		"JWT_SECRET=" + JWTSecret, "CONNECTYCUBE_CIDP_SECRET=" + cidpSecret,
		"CONNECTYCUBE_SIGN_UPS_PER_MINUTE=0", "REGISTER_PER_NETWORK=0", "TRUSTED_PROXIES=127.0.0.1", "CORS_ORIGINS=none",
	}
}

// StartDatabase starts a server for its embedded database alone, and returns the connection
// string.
func (s *Stack) StartDatabase(port int) (*Server, string, error) {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	server, err := s.start("database", On(s.Cores.Server, s.Binary), "MONGO_EMBEDDED_LISTEN="+address, "JWT_SECRET="+JWTSecret)
	if err != nil {
		return nil, "", fmt.Errorf("starting the database: %w", err)
	}
	return server, "mongodb://" + address + "/cubegate", nil
}

func (s *Stack) start(name string, line []string, env ...string) (*Server, error) {
	folder := filepath.Join(s.Folder, name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	server, err := Start(folder, line, env...)
	if err == nil {
		s.running = append(s.running, server)
	}
	return server, err
}

// Close ends all processes, the latest first: the sandbox serves the others.
func (s *Stack) Close() error {
	var errs []error
	for i := len(s.running) - 1; i >= 0; i-- {
		if s.running[i].Alive() == nil {
			errs = append(errs, s.running[i].Stop())
		}
	}
	return errors.Join(errs...)
}

// AskAt makes the sandbox ask a server about logins, as ConnectyCube does.
func (s *Stack) AskAt(url string) error {
	return s.Control(http.MethodPut, "cidp", map[string]any{
		"enabled": true, "method": http.MethodPost, "url": url + "/auth/verify-connectycube",
		"headers":         map[string]string{"X-CIdP-Secret": cidpSecret},
		"request_params":  map[string]string{"token": "#{login}", "email": "#{email}", "password": "#{password}"},
		"response_params": map[string]string{"uid": "#{user.id}"},
	})
}

// Control sends a request to the control area of the sandbox.
func (s *Stack) Control(method, path string, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.Sandbox.URL+"/_sandbox/"+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10)); answer.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s of the sandbox: %d %s", method, path, answer.StatusCode, text)
	}
	return nil
}

// FreePort returns a TCP port of 127.0.0.1 that nothing listens on.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Answers waits until a URL answers below 500.
func Answers(url string, limit time.Duration) error {
	client := &http.Client{Timeout: 5 * time.Second}
	var last error
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		answer, err := client.Get(url)
		if err != nil {
			last = err
			continue
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if last = fmt.Errorf("%s: %s", url, answer.Status); answer.StatusCode < http.StatusInternalServerError {
			return nil
		}
	}
	return fmt.Errorf("no good answer within %v: %w", limit, last)
}
