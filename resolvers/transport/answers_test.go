package transport

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestReserveRefusesBeyondTheBound(t *testing.T) {
	var a answerRoom
	var taken []*reservation
	for {
		r, ok := a.reserve(maxAnswer) // more values than one answer can have
		if !ok {
			break
		}
		taken = append(taken, r)
	}
	if len(taken) != maxUnwritten/maxAnswer {
		t.Errorf("%d answers of %d bytes fit", len(taken), maxAnswer)
	}
	if _, ok := a.reserve(0); ok {
		t.Error("a small answer gets room beyond the bound")
	}
	taken[0].release()
	taken[0].release()
	r, ok := a.reserve(1)
	if !ok {
		t.Fatal("no room was released")
	}
	r.release()
	for _, r := range taken {
		r.release()
	}
	if left := a.unwritten.Load(); left != 0 {
		t.Errorf("%d bytes are still taken", left)
	}
}

// pipes is a listener for connections inside the process, which work with a fake clock.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (pipes) Close() error   { return nil }
func (pipes) Addr() net.Addr { return &net.TCPAddr{} }

// readAnswer requests an answer of a size, reads it in steps of one second, and returns
// the time that this took and whether the answer was complete.
func readAnswer(t *testing.T, size, bytesPerSecond int) (took time.Duration, whole bool) {
	t.Helper()
	var a answerRoom
	listener := make(pipes, 1)
	server := &http.Server{WriteTimeout: time.Hour, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		r, _ := a.reserve(1)
		defer r.release()
		w.Header().Set("Content-Length", strconv.Itoa(size))
		a.write(w, r, bytes.Repeat([]byte("x"), size))
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	client, inside := net.Pipe()
	listener <- inside
	started := time.Now()
	if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	got := 0
	for {
		n, err := io.CopyN(io.Discard, client, int64(bytesPerSecond))
		got += int(n)
		if err != nil {
			break
		}
		time.Sleep(time.Second)
	}
	took = time.Since(started)
	client.Close()
	close(listener)
	if err := server.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	<-served
	synctest.Wait() // the server's end does not wait for the handler
	if left := a.unwritten.Load(); left != 0 {
		t.Errorf("%d bytes are still taken", left)
	}
	return took, got > size // with the header
}

func TestWriteDisconnectsASlowReader(t *testing.T) {
	for _, tt := range []struct {
		name           string
		bytesPerSecond int
		whole          bool
	}{
		{"quick", 1 << 20, true},
		{"just quick enough", minReadRate, true},
		{"too slow", minReadRate / 2, false},
		{"hardly at all", 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const size = 512 << 10
				took, whole := readAnswer(t, size, tt.bytesPerSecond)
				if whole != tt.whole {
					t.Errorf("whole %v, want %v", whole, tt.whole)
				}
				if limit := writeGrace + size/minReadRate*time.Second + time.Second; took > limit {
					t.Errorf("took %v, want at most %v", took, limit)
				}
			})
		})
	}
}

// A refused body may take longer than the answer may: the client still gets the reason.
func TestRefusalOutlivesASlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h := newHandler(t)
		listener := make(pipes, 1)
		server := &http.Server{WriteTimeout: time.Hour, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r.WithContext(r.Context()))
			_, _ = io.Copy(io.Discard, r.Body) // as middleware.Discard
		})}
		served := make(chan error, 1)
		go func() { served <- server.Serve(listener) }()
		client, inside := net.Pipe()
		listener <- inside
		const parts, size = 20, 64 << 10
		head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", parts*size)
		var sender sync.WaitGroup
		sender.Go(func() {
			_, err := io.WriteString(client, head)
			for n := 0; n < parts && err == nil; n++ {
				time.Sleep(time.Second)
				_, err = client.Write(bytes.Repeat([]byte(" "), size))
			}
		})
		answer, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil || answer.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("a body of %d seconds: %v, %v", parts, answer, err)
		}
		client.Close()
		close(listener)
		_ = server.Close()
		<-served
		sender.Wait()
	})
}
