// Package connections measures the resident memory of an open connection in cubegate,
// for several things that its client has sent:
//
//	go run ./bench connections -n 8000
//
// It starts a new server for each kind, opens n connections to it and reads VmRSS from
// /proc, so it runs only on Linux. The kernel needs about 4 KiB more for each socket,
// which a cgroup counts as well.
package connections

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"cubegate/bench/benchserver"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// kind is a kind of connection: the client sends a text and then nothing more.
type kind struct{ name, sent string }

// mostFresh bounds the connections of a kind without a request line: of those the server
// keeps about a thousand.
const mostFresh = 1000

// startLimit is the time in which a server must work off its start.
const startLimit = 15 * time.Second

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
	{"idle after a response", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"HTTP/2, silent", http2Frames(nil)},
	{"HTTP/2, one byte of a body", http2Frames(func(f *http2.Framer) { beginPost(f, 0); writeData(f, "{") })},
	{"HTTP/2, 15 KB of short headers", http2Frames(func(f *http2.Framer) { beginPost(f, 400); writeData(f, "{") })},
	{"HTTP/2, all but a byte of 64 KB", http2Frames(func(f *http2.Framer) {
		beginPost(f, 0)
		for range 4 {
			writeData(f, strings.Repeat(" ", 16<<10-1))
		}
	})},
}

// http2Frames returns the bytes of an HTTP/2 client: the preface, its settings, and the
// frames of a request.
func http2Frames(request func(*http2.Framer)) string {
	var b strings.Builder
	b.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&b, nil)
	_ = f.WriteSettings() // a Builder does not fail, here and below
	if request != nil {
		request(f)
	}
	return b.String()
}

// beginPost writes the headers of a POST, and n more.
func beginPost(f *http2.Framer, n int) {
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	list := [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/api"}, {"content-type", "application/json"}}
	for i := range n {
		list = append(list, [2]string{"x" + strconv.Itoa(i), ""})
	}
	for _, h := range list {
		_ = e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
	}
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
}

func writeData(f *http2.Framer, text string) { _ = f.WriteData(1, false, []byte(text)) }

// packed returns the beginning of a gzip stream, for which the server allocates a window.
func packed() string {
	var b strings.Builder
	z := gzip.NewWriter(&b)
	for i := range 200 {
		_, _ = fmt.Fprint(z, i*i) // writing to a Builder does not fail
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

// Run runs the measurement with the flags of the command line.
func Run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("connections", flag.ExitOnError)
	binary := flags.String("server", "", "file of the server; without it, this module's is built")
	n := flags.Int("n", 8000, "connections; less than the limit of open files")
	if err := benchserver.Parse(flags, args); err != nil {
		return err
	}
	if *n < 1 {
		return errors.New("-n must be at least 1")
	}
	_, remove, err := benchserver.Workspace("connections", binary)
	if err != nil {
		return err
	}
	defer remove()
	fmt.Printf("%-28s %12s %16s\n", "connections", "responses", "KiB for each")
	for _, k := range kinds {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		m, err := measure(*binary, k, *n)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		fmt.Printf("%-28s %12d %16.1f\n", k.name, m.responses, m.KiB)
	}
	return nil
}

// Memory is what a connection of a kind costs.
type Memory struct {
	Kind string
	KiB  float64 // of resident memory for each

	responses int
}

// Measure measures the kinds whose names are given, with n connections each.
func Measure(binary string, n int, names ...string) (found []Memory, err error) {
	for _, k := range kinds {
		if !slices.Contains(names, k.name) {
			continue
		}
		m, err := measure(binary, k, n)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.name, err)
		}
		found = append(found, m)
	}
	return found, nil
}

func measure(binary string, k kind, n int) (m Memory, err error) {
	m.Kind = k.name
	if !strings.Contains(k.sent, "\r\n") {
		n = min(n, mostFresh)
	}
	folder, err := os.MkdirTemp("", "connections-")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(folder)
	server, err := benchserver.Start(folder, []string{binary}, "LOG_LEVEL=error", "MAX_CONNECTIONS="+strconv.Itoa(2*n+100))
	if err != nil {
		return m, err
	}
	defer func() { _ = server.Stop() }()
	addr := strings.TrimPrefix(server.URL, "http://")
	first, _, err := open(addr, kind{sent: "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"}) // later requests allocate less
	if err != nil {
		return m, err
	}
	defer first.Close()
	process := benchserver.Process(server.PID())
	if !process.Settle(startLimit) { // soon after its start, the server measures its hashes and returns memory
		return m, fmt.Errorf("the server still works %v after its start", startLimit)
	}
	before, err := process.Usage()
	if err != nil {
		return m, err
	}
	for range n {
		c, ok, err := open(addr, k)
		if err != nil {
			return m, err
		}
		defer c.Close()
		if ok {
			m.responses++
		}
	}
	most := before.Resident
	for range 10 { // the server still reads from accepted connections
		time.Sleep(100 * time.Millisecond)
		now, err := process.Usage()
		if err != nil {
			return m, err
		}
		most = max(most, now.Resident)
	}
	m.KiB = float64(most-before.Resident) / 1024 / float64(n)
	return m, nil
}

// open opens a connection of a kind and waits for the response, if the kind gets one.
func open(addr string, k kind) (c net.Conn, response bool, err error) {
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
