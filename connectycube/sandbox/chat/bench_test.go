package chat_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"cubegate/connectycube/sandbox/chat"
	"cubegate/connectycube/xmpp"
)

// The benchmarks use TCP on the loopback, with clients and server in one process.

// wireClient is a cheap client: frames on a connection, no goroutine, and no buffers except
// the reader's.
type wireClient struct {
	conn net.Conn
	r    *bufio.Reader
	buf  []byte
}

func benchServer(b *testing.B, users int) (address string, a *archive) {
	a = newArchive()
	for i := range users {
		a.users[int64(1000+i)] = time.Time{}
		a.dialogs[team] = append(a.dialogs[team][:i:i], int64(1000+i))
	}
	a.forgetful = true
	s := chat.New(chat.Options{AppID: app, Domain: domain, Accounts: a, Archive: a, Rate: 1e6})
	srv := httptest.NewServer(s)
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Shutdown(ctx)
		srv.Close()
	})
	return strings.TrimPrefix(srv.URL, "http://"), a
}

func dialWire(b *testing.B, address string, user int64) *wireClient {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	c := &wireClient{conn: conn, r: bufio.NewReaderSize(conn, 512)}
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n")
	answer, err := http.ReadResponse(c.r, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		b.Fatal(answer, err)
	}
	for _, step := range [][2]string{
		{openFrame, "features"}, {authFrame(user, "password"), "<success"}, {openFrame, "features"},
		{`<iq type="set" id="b"><bind xmlns="` + xmpp.NSBind + `"/></iq>`, "<jid>"}, {`<presence/>`, "<presence"},
	} {
		c.send(step[0])
		for !strings.Contains(c.read(b), step[1]) {
		}
	}
	return c
}

func (c *wireClient) send(text string) {
	c.buf = append(c.buf[:0], 0x81)
	if len(text) < 126 {
		c.buf = append(c.buf, 0x80|byte(len(text)))
	} else {
		c.buf = binary.BigEndian.AppendUint16(append(c.buf, 0x80|126), uint16(len(text)))
	}
	c.buf = append(append(c.buf, 0, 0, 0, 0), text...) // a mask of zeros changes nothing
	_, _ = c.conn.Write(c.buf)                         // a failure appears when reading
}

func (c *wireClient) read(b *testing.B) string {
	var head [2]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		b.Fatal(err)
	}
	n := int(head[1])
	if n == 126 {
		var long [2]byte
		_, _ = io.ReadFull(c.r, long[:])
		n = int(binary.BigEndian.Uint16(long[:]))
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(c.r, payload); err != nil {
		b.Fatal(err)
	}
	return string(payload)
}

// sentAt finds the time in a benchmark's message.
func sentAt(frame string) (time.Time, bool) {
	_, rest, ok := strings.Cut(frame, "<body>")
	if !ok {
		return time.Time{}, false
	}
	var n int64
	_, err := fmt.Sscan(rest[:strings.IndexByte(rest, '<')], &n)
	return time.Unix(0, n), err == nil
}

func report(b *testing.B, latencies []time.Duration) {
	slices.Sort(latencies)
	b.ReportMetric(float64(latencies[len(latencies)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(latencies[len(latencies)*99/100].Microseconds())/1000, "p99-ms")
}

// mode is the speed of a benchmark: without a pace, as fast as the answers come.
type mode struct {
	name string
	pace time.Duration
}

// wait waits for the time of the i-th message.
func (m mode) wait(start time.Time, i int) {
	if m.pace > 0 {
		time.Sleep(time.Until(start.Add(time.Duration(i) * m.pace)))
	}
}

// BenchmarkOneToOne: full is one sender that waits for at most 100 messages; paced is 200
// messages a second.
func BenchmarkOneToOne(b *testing.B) {
	for _, mode := range []mode{{"full", 0}, {"paced", 5 * time.Millisecond}} {
		b.Run(mode.name, func(b *testing.B) {
			address, _ := benchServer(b, 2)
			sender, reader := dialWire(b, address, 1000), dialWire(b, address, 1001)
			window := make(chan struct{}, 100)
			b.ResetTimer()
			start := time.Now()
			go func() {
				for i := range b.N {
					window <- struct{}{}
					mode.wait(start, i)
					sender.send(chatTo(1001, id(i), fmt.Sprint(time.Now().UnixNano())))
				}
			}()
			latencies := make([]time.Duration, 0, b.N)
			for len(latencies) < b.N {
				if at, ok := sentAt(reader.read(b)); ok {
					latencies = append(latencies, time.Since(at))
					<-window
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			report(b, latencies)
		})
	}
}

// BenchmarkGroup100: an operation is one message to a room of 100 online users; full waits
// only for the echo, paced is 4 messages a second.
func BenchmarkGroup100(b *testing.B) {
	for _, mode := range []mode{{"full", 0}, {"paced", 250 * time.Millisecond}} {
		b.Run(mode.name, func(b *testing.B) {
			address, _ := benchServer(b, 100)
			got := make(chan time.Duration, 100)
			var first *wireClient
			for i := range 100 {
				c := dialWire(b, address, int64(1000+i))
				if first == nil {
					first = c
				}
				go func() {
					for range b.N {
						at, ok := time.Time{}, false
						for !ok {
							at, ok = sentAt(c.read(b))
						}
						got <- time.Since(at)
					}
				}()
			}
			b.ResetTimer()
			start := time.Now()
			var latencies []time.Duration
			for i := range b.N {
				mode.wait(start, i)
				first.send(groupTo(team, id(i), fmt.Sprint(time.Now().UnixNano())))
				for range 100 {
					latencies = append(latencies, <-got)
				}
			}
			b.ReportMetric(float64(100*b.N)/b.Elapsed().Seconds(), "deliveries/s")
			report(b, latencies)
		})
	}
}

// BenchmarkConnections1000 measures the memory of 1000 silent online users: heap and stacks
// after a collection.
func BenchmarkConnections1000(b *testing.B) {
	for range b.N {
		address, _ := benchServer(b, 1000)
		before := inUse()
		start := time.Now()
		for i := range 1000 {
			dialWire(b, address, int64(1000+i))
		}
		took := time.Since(start)
		time.Sleep(100 * time.Millisecond)
		b.ReportMetric(float64(inUse()-before)/1000/1024, "KiB/connection")
		b.ReportMetric(took.Seconds()*1000/1000, "ms/login")
	}
}

func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
