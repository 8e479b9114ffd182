// Command connections measures what an open connection costs cubegate in resident
// memory, by what its client has sent:
//
//	go build -o /tmp/cubegate . && go run ./bench/connections -binary /tmp/cubegate -n 8000
//
// It starts the program anew for each kind, opens n connections to it and reads
// VmRSS from /proc, so it runs on Linux only. What the kernel keeps for each socket
// comes on top: about 4 KiB, which a cgroup counts as well.
package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// kind is what each client sends before it falls silent.
type kind struct{ name, sent string }

const post = "POST /api HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

var kinds = []kind{
	{"silent", ""},
	{"part of the headers", post},
	{"15 KB of long headers", post + strings.Repeat("X-Filler-Header: "+strings.Repeat("x", 80)+"\r\n", 150)},
	{"15 KB of short headers", post + shortHeaders(3000)},
	{"one byte of a body", post + "Content-Length: 100\r\n\r\n{"},
	{"all but a byte of 64 KB", post + "Content-Length: 65536\r\n\r\n" + strings.Repeat(" ", 65535)},
	{"all headers, and that body", post + shortHeaders(3000) + "Content-Length: 65536\r\n\r\n" + strings.Repeat(" ", 65535)},
	{"a packed body's beginning", post + "Content-Encoding: gzip\r\nContent-Length: 1000\r\n\r\n" + packed()},
	{"kept alive after an answer", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"},
}

// packed returns the first bytes of a gzip stream, which make the server
// allocate its window.
func packed() string {
	var b strings.Builder
	z := gzip.NewWriter(&b)
	for i := range 200 {
		_, _ = fmt.Fprint(z, i*i) // a Builder does not fail
	}
	_ = z.Close()
	return b.String()[:b.Len()-20]
}

func shortHeaders(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strconv.FormatInt(int64(i), 36) + ":\r\n")
	}
	return b.String()
}

func main() {
	binary := flag.String("binary", "./cubegate", "the program, built")
	n := flag.Int("n", 8000, "connections, less than the limit for open files")
	flag.Parse()
	fmt.Printf("%-28s %12s %16s\n", "connections", "answered", "KiB for each")
	for _, k := range kinds {
		if err := measure(*binary, k, *n); err != nil {
			fmt.Fprintf(os.Stderr, "connections: %s: %v\n", k.name, err)
			os.Exit(1)
		}
	}
}

func measure(binary string, k kind, n int) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	folder, err := os.MkdirTemp("", "connections-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	server, addr, err := start(ctx, binary, folder, n)
	if err != nil {
		return err
	}
	defer func() {
		cancel() // kills the server
		_ = server.Wait()
	}()
	first, _, err := open(addr, kind{sent: "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"}) // loads what the first request needs
	if err != nil {
		return err
	}
	defer first.Close()
	before, err := resident(server.Process.Pid)
	if err != nil {
		return err
	}
	answered := 0
	for range n {
		c, ok, err := open(addr, k)
		if err != nil {
			return err
		}
		defer c.Close()
		if ok {
			answered++
		}
	}
	most := before
	for range 10 { // the server works off what it has accepted
		time.Sleep(100 * time.Millisecond)
		now, err := resident(server.Process.Pid)
		if err != nil {
			return err
		}
		most = max(most, now)
	}
	fmt.Printf("%-28s %12d %16.1f\n", k.name, answered, float64(most-before)/float64(n))
	return nil
}

var banner = regexp.MustCompile(`http://localhost:(\d+)/api`)

// start runs the program without settings and returns its address.
func start(ctx context.Context, binary, folder string, n int) (*exec.Cmd, string, error) {
	server := exec.CommandContext(ctx, binary)
	server.Dir = folder
	server.Env = []string{"PORT=0", "SANDBOX_PORT=0", "LOG_LEVEL=error", "MAX_CONNECTIONS=" + strconv.Itoa(n+100)}
	out, err := server.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := server.Start(); err != nil {
		return nil, "", err
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if found := banner.FindStringSubmatch(lines.Text()); found != nil {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return server, "127.0.0.1:" + found[1], nil
		}
	}
	return nil, "", errors.Join(errors.New("the program did not print its address"), server.Wait())
}

// open opens a connection, and reports whether the kind is one that gets an
// answer, which it waits for.
func open(addr string, k kind) (c net.Conn, answered bool, err error) {
	if c, err = net.Dial("tcp", addr); err != nil {
		return nil, false, err
	}
	defer func() {
		if err != nil {
			_ = c.Close()
		}
	}()
	if _, err := io.WriteString(c, k.sent); err != nil {
		return nil, false, err
	}
	if !strings.HasPrefix(k.sent, "GET") {
		return c, false, nil
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, err = c.Read(make([]byte, 1<<10))
	return c, err == nil, err
}

// resident returns the resident memory of a process in KiB.
func resident(pid int) (int, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(raw), "VmRSS:")
	fields := strings.Fields(after)
	if len(fields) == 0 {
		return 0, errors.New("no VmRSS in /proc")
	}
	return strconv.Atoi(fields[0])
}
