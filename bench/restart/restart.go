// Package restart shows whether servers can be restarted without a failed request:
//
//	go run ./bench restart
//
// Two servers use the database of a third process and a sandbox. nginx is in front of
// them, with the configuration of docs/operations/restarts.md, and gets a steady load. Each
// server is restarted several times. A request that fails is a failure of the run.
package restart

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cubegate/bench/benchserver"
	"cubegate/bench/load"
	"cubegate/bench/peers"
)

// page has the configuration of nginx, in its first block of that kind.
const page = "docs/operations/restarts.md"

// Run runs the restarts with the flags of the command line.
func Run(ctx context.Context, args []string) error {
	var r restarts
	flags := flag.NewFlagSet("restart", flag.ExitOnError)
	flags.StringVar(&r.stack.Binary, "server", "", "file of the server; without it, this module's is built")
	flags.IntVar(&r.times, "times", 5, "restarts of each server, 1 to 100")
	flags.IntVar(&r.clients, "clients", 16, "clients, 1 to 256")
	if err := benchserver.Parse(flags, args); err != nil {
		return err
	}
	if r.times < 1 || r.times > 100 || r.clients < 1 || r.clients > 256 {
		return errors.New("want -times from 1 to 100, and -clients from 1 to 256")
	}
	folder, remove, err := benchserver.Workspace("restart", &r.stack.Binary)
	if err != nil {
		return err
	}
	defer remove()
	r.stack.Folder = folder
	return errors.Join(r.run(ctx), r.close())
}

type restarts struct {
	stack   benchserver.Stack
	times   int
	clients int

	ports    [2]int
	servers  [2]*benchserver.Server
	mongoURI string
	proxy    *benchserver.Server
	proxyURL string

	mu       sync.Mutex
	answers  map[string]int // by row
	failures []string
}

func (r *restarts) close() error {
	var err error
	if r.proxy != nil {
		err = r.proxy.Stop()
	}
	return errors.Join(err, r.stack.Close())
}

func (r *restarts) run(ctx context.Context) error {
	if err := r.start(); err != nil {
		return err
	}
	spec, err := peers.Cubegate()
	if err != nil {
		return err
	}
	spec.URL = r.proxyURL
	spec.Once = nil // of a row that is not sent
	clients, err := spec.Clients(ctx, r.clients)
	if err != nil {
		return err
	}
	defer load.CloseAll(clients)
	var ended atomic.Bool
	var all sync.WaitGroup
	r.answers = map[string]int{}
	for i, c := range clients {
		all.Go(func() { r.use(c, spec, i, &ended) })
	}
	time.Sleep(time.Second)
	began := time.Now()
	err = r.restartAll(ctx)
	took := time.Since(began)
	ended.Store(true)
	all.Wait()
	return errors.Join(err, r.report(took))
}

// rows are the requests of the load. A login takes its share of them, not of the time.
var rows = []string{"me", "verify", "refresh", "login", "me", "verify", "login_By_token", "hello", "refresh"}

func (r *restarts) use(c *load.Client, spec *load.Spec, number int, ended *atomic.Bool) {
	for n := number; !ended.Load(); n++ {
		name := rows[n%len(rows)]
		err := c.Send(spec.Rows[name])
		r.mu.Lock()
		r.answers[name]++
		if err != nil {
			r.failures = append(r.failures, fmt.Sprintf("%s %s: %v", time.Now().Format("15:04:05.000"), name, err))
		}
		r.mu.Unlock()
		time.Sleep(5 * time.Millisecond)
	}
}

func (r *restarts) start() (err error) {
	var port [4]int
	for i := range port {
		if port[i], err = benchserver.FreePort(); err != nil {
			return err
		}
	}
	r.ports = [2]int{port[0], port[1]}
	if _, r.mongoURI, err = r.stack.StartDatabase(port[2]); err != nil {
		return err
	}
	if err := r.stack.StartSandbox(); err != nil {
		return err
	}
	for i := range r.servers {
		if err := r.startServer(i); err != nil {
			return err
		}
	}
	if err := r.startProxy(port[3]); err != nil {
		return err
	}
	return r.stack.AskAt(r.proxyURL)
}

// startServer starts a server with small hashes, so that the load is many requests and
// not mainly argon2id.
func (r *restarts) startServer(i int) (err error) {
	r.servers[i], err = r.stack.StartServer("server"+strconv.Itoa(i+1), "PORT="+strconv.Itoa(r.ports[i]), "MONGO_URI="+r.mongoURI,
		"PASSWORD_MEMORY=1024", "PASSWORD_ITERATIONS=1", "LOG_LEVEL=warn", "TRUSTED_PROXIES=127.0.0.1")
	if err != nil {
		return err
	}
	return benchserver.Answers(r.servers[i].URL+"/readyz", time.Minute)
}

var listen = regexp.MustCompile(`listen 127\.0\.0\.1:\d+;`)

// startProxy starts nginx as this user, with the configuration of the page on free ports.
func (r *restarts) startProxy(port int) error {
	program, err := exec.LookPath("nginx")
	if err != nil {
		if program = "/usr/sbin/nginx"; !fileExists(program) {
			return errors.New("nginx is not installed: apt-get install nginx-light")
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		return fmt.Errorf("reading the configuration of nginx, from the root of the repository: %w", err)
	}
	_, block, _ := strings.Cut(string(text), "```nginx\n")
	block, _, found := strings.Cut(block, "```")
	if !found || strings.Count(block, "127.0.0.1:3000") != 1 || strings.Count(block, "127.0.0.1:3010") != 1 || !listen.MatchString(block) {
		return fmt.Errorf("%s has no nginx block with the ports 3000 and 3010", page)
	}
	block = strings.NewReplacer("127.0.0.1:3000", r.address(r.ports[0]), "127.0.0.1:3010", r.address(r.ports[1])).Replace(block)
	block = listen.ReplaceAllString(block, "listen "+r.address(port)+";")
	folder := filepath.Join(r.stack.Folder, "nginx")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	var paths strings.Builder
	for _, name := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&paths, "    %s_temp_path %s/%s;\n", name, folder, name)
	}
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;\n" // the folder is this user's alone
	}
	config := user + "daemon off;\npid " + folder + "/pid;\nerror_log stderr notice;\nworker_processes 1;\nevents {}\nhttp {\n    access_log off;\n" + paths.String() + block + "}\n"
	file := filepath.Join(folder, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	if r.proxy, err = benchserver.StartOther(folder, []string{program, "-e", "stderr", "-p", folder, "-c", file}); err != nil {
		return err
	}
	r.proxyURL = "http://" + r.address(port)
	if err := benchserver.Answers(r.proxyURL+"/readyz", 10*time.Second); err != nil {
		return fmt.Errorf("nginx: %w\n%s", err, r.proxy.LastLines())
	}
	return nil
}

func fileExists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func (r *restarts) address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// afterReady is the wait that the page asks for: its fail_timeout and a second.
const afterReady = 3 * time.Second

// restartAll restarts the servers in turn.
func (r *restarts) restartAll(ctx context.Context) error {
	for n := range r.times {
		for i, s := range r.servers {
			if ctx.Err() != nil {
				return errors.New("interrupted")
			}
			began := time.Now()
			if err := s.Stop(); err != nil {
				return fmt.Errorf("stopping server %d: %w\n%s", i+1, err, s.LastLines())
			}
			stopped := time.Since(began)
			if err := r.startServer(i); err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "restart: round %d, server %d: signal at %s, ended after %v, ready %v later\n", n+1, i+1, began.Format("15:04:05.000"),
				stopped.Round(time.Millisecond), (time.Since(began) - stopped).Round(time.Millisecond))
			time.Sleep(afterReady)
		}
	}
	return nil
}

// report prints the counts, and returns an error if a request has failed, or if the load
// was none.
func (r *restarts) report(took time.Duration) error {
	total := 0
	fmt.Printf("%d restarts of each of 2 servers behind nginx within %v, %d clients:\n\n| request | sent |\n| --- | ---: |\n", r.times, took.Round(time.Second), r.clients)
	for _, name := range slices.Sorted(maps.Keys(r.answers)) {
		fmt.Printf("| %s | %d |\n", name, r.answers[name])
		total += r.answers[name]
	}
	fmt.Printf("| all | %d |\n| failed | %d |\n", total, len(r.failures))
	if least := r.times * r.clients; total < least {
		return fmt.Errorf("only %d requests were sent, want at least %d", total, least)
	}
	if len(r.failures) > 0 {
		text := strings.Join(r.failures[:min(20, len(r.failures))], "\n")
		for _, s := range append(r.servers[:], r.proxy) {
			text += fmt.Sprintf("\n\nlog:\n%s", s.LastLines())
		}
		return fmt.Errorf("%d requests failed, the first:\n%s", len(r.failures), text)
	}
	return nil
}
