// Command load sends as many requests as a running cubegate answers, one kind after the
// other, and prints the rates and times side by side:
//
//	go run ./bench/load -url http://127.0.0.1:3000 -for 5s -connections 32
//
// Start the server with PASSWORD_MEMORY=8 PASSWORD_ITERATIONS=1 to measure logins without
// the hash. The command registers one user. It sends only to loopback addresses, so that
// it cannot be used against others. The kinds "refused" are logins that the limit of wrong
// passwords refuses; -kinds refused measures only these.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

func main() {
	base := flag.String("url", "http://127.0.0.1:3000", "URL of the server, on this machine")
	during := flag.Duration("for", 5*time.Second, "time for each kind of request, at most 1m")
	connections := flag.Int("connections", 32, "requests at once, at most 256")
	only := flag.String("kinds", "", "measure only the kinds whose name contains this")
	flag.Parse()
	l := load{base: *base, during: min(*during, time.Minute), connections: min(*connections, 256), only: *only}
	if err := l.run(); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

type load struct {
	base        string
	during      time.Duration
	connections int
	only        string
	client      *http.Client
}

// kind is one kind of request.
type kind struct {
	name   string
	method string
	path   string
	body   string
	code   string // of the wanted error, or ""
}

func (l *load) run() error {
	u, err := url.Parse(l.base)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errors.New("-url must be a loopback address")
	}
	l.client = &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: l.connections, MaxConnsPerHost: l.connections},
	}
	kinds, err := l.kinds()
	if err != nil {
		return err
	}
	fmt.Printf("%-16s %10s %10s %10s %8s %10s\n", "request", "per second", "p50", "p99", "failed", "of first")
	var first float64
	for _, k := range kinds {
		if !strings.Contains(k.name, l.only) {
			continue
		}
		took, failed := l.measure(k)
		if len(took) == 0 {
			return fmt.Errorf("%s: no request succeeded", k.name)
		}
		rate := float64(len(took)) / l.during.Seconds()
		if first == 0 {
			first = rate
		}
		fmt.Printf("%-16s %10.0f %10s %10s %8d %9.0f%%\n", k.name, rate,
			took[len(took)/2].Round(10*time.Microsecond), took[len(took)*99/100].Round(10*time.Microsecond), failed, 100*rate/first)
	}
	return nil
}

// kinds registers a user and returns the kinds of requests.
func (l *load) kinds() ([]kind, error) {
	email := strings.ToLower(rand.Text()) + "@example.org"
	credentials := map[string]string{"email": email, "password": "correct horse"}
	user := map[string]string{"email": email, "password": "correct horse", "firstName": "Ada", "lastName": "Lovelace"}
	register := graphql("register", `mutation($body: UserRegisterInput!) { register(body: $body) { message } }`, user)
	if _, err := l.ask(context.Background(), register); err != nil {
		return nil, err
	}
	login := graphql("login", `mutation($body: LoginUserDto!) { login(body: $body) { token connectySession } }`, credentials)
	raw, err := l.ask(context.Background(), login)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct{ Login struct{ Token string } }
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, err
	}
	kinds := []kind{
		graphql("hello", `{hello}`, nil),
		{name: "verify", method: http.MethodGet, path: "/auth/verify-connectycube?token=" + url.QueryEscape(answer.Data.Login.Token)},
		login,
		graphql("login_By_token", `mutation($body: LoginUserDto!) { login_By_token(body: $body) { token connectySession } }`, credentials),
	}
	refused, err := l.refused()
	return append(kinds, refused...), err
}

// refused sends wrong passwords for an unknown email until the limit refuses them, and
// returns logins with this email.
func (l *load) refused() ([]kind, error) {
	credentials := map[string]string{"email": strings.ToLower(rand.Text()) + "@example.org", "password": "wrong password"}
	login := graphql("refused, GraphQL", `mutation($body: LoginUserDto!) { login(body: $body) { token connectySession } }`, credentials)
	login.code = "RATE_LIMITED"
	for range 1000 {
		if _, err := l.ask(context.Background(), login); err == nil {
			raw, err := json.Marshal(credentials)
			return []kind{login, {"refused, REST", http.MethodPost, "/auth/login", string(raw), login.code}}, err
		}
	}
	return nil, errors.New("the server does not limit wrong passwords: LOGIN_FAILURES must not be 0")
}

func graphql(name, document string, body any) kind {
	raw, err := json.Marshal(map[string]any{"query": document, "variables": map[string]any{"body": body}})
	if err != nil {
		panic(err) // strings and maps of strings always encode
	}
	return kind{name: name, method: http.MethodPost, path: "/api", body: string(raw)}
}

// measure sends requests for the time of l.during. It returns the times of the wanted
// responses, the shortest first, and the number of the others.
func (l *load) measure(k kind) ([]time.Duration, int) {
	ctx, cancel := context.WithTimeout(context.Background(), l.during)
	defer cancel()
	var (
		mu     sync.Mutex
		all    []time.Duration
		failed int
		wg     sync.WaitGroup
	)
	for range l.connections {
		wg.Go(func() {
			var took []time.Duration
			bad := 0
			for ctx.Err() == nil {
				started := time.Now()
				_, err := l.ask(ctx, k)
				switch {
				case err == nil:
					took = append(took, time.Since(started))
				case ctx.Err() == nil:
					bad++
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all, failed = append(all, took...), failed+bad
		})
	}
	wg.Wait()
	slices.Sort(all)
	return all, failed
}

// ask sends one request, and returns an error unless the response is the wanted one.
func (l *load) ask(ctx context.Context, k kind) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, k.method, l.base+k.path, strings.NewReader(k.body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	a, err := l.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	raw, err := io.ReadAll(a.Body)
	if err != nil {
		return nil, err
	}
	failed := a.StatusCode != http.StatusOK || strings.Contains(string(raw), `"errors"`)
	if failed != (k.code != "") || !strings.Contains(string(raw), k.code) {
		return nil, fmt.Errorf("%s: %d %s", k.name, a.StatusCode, raw)
	}
	return raw, nil
}
