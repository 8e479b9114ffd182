package rest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cubegate/connectycube/sandbox/core"
)

const hangTime = time.Minute

// maxRepeated bounds the body of a request that is handled twice, in bytes.
const maxRepeated = 32 << 20

// inject makes the fault happen to the request.
func (s *API) inject(w http.ResponseWriter, r *http.Request, f core.Fault) {
	if f.Delay > 0 {
		// A client that leaves ends the wait and not the work: the service would
		// have read the request by then.
		wait(r.Context(), f.Delay)
	}
	switch f.Kind {
	case core.FaultSlow:
		s.serveAPI(w, r)
	case core.FaultLostAnswer:
		s.serveAPI(&discardWriter{header: http.Header{}}, r)
		cut(w)
	case core.FaultTruncated:
		whole := &Collector{header: w.Header()}
		s.serveAPI(whole, r)
		truncate(w, whole)
	case core.FaultDuplicate:
		s.serveTwice(w, r)
	case core.FaultReset:
		cut(w)
	case core.FaultHang:
		// The server notices that the client has left only after it has read the
		// whole request.
		_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBody))
		wait(r.Context(), hangTime)
		cut(w)
	case core.FaultStatus:
		Refuse(w, core.AsList(f.Status, http.StatusText(f.Status)))
	case core.FaultEmpty:
		w.WriteHeader(cmp.Or(f.Status, http.StatusOK))
	case core.FaultHTML:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		status := cmp.Or(f.Status, http.StatusBadGateway)
		w.WriteHeader(status)
		fmt.Fprintf(w, "<html><head><title>%d</title></head><body><h1>%s</h1></body></html>\n", status, http.StatusText(status))
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// cut ends the connection without an answer, on TCP with a reset. If it cannot hijack
// the connection, as with HTTP/2 or within the process, it aborts the handler.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(interface{ SetLinger(seconds int) error }); ok {
		_ = tcp.SetLinger(0) // otherwise the client would see an end of file
	}
	_ = conn.Close()
}

// truncate announces the length of the whole answer and sends half of it. It cuts the
// connection if the answer has no body.
func truncate(w http.ResponseWriter, whole *Collector) {
	if whole.Body.Len() == 0 {
		cut(w)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(whole.Body.Len()))
	w.WriteHeader(whole.Status)
	_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler) // no cut: a reset could overtake the first half
}

// serveTwice handles a request twice and sends the second answer: behind a proxy that
// repeats, the client never sees the first.
func (s *API) serveTwice(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRepeated))
	if err != nil {
		Refuse(w, errBadRequest)
		return
	}
	for _, to := range []http.ResponseWriter{&discardWriter{header: http.Header{}}, w} {
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		s.serveAPI(to, again)
	}
}

// discardWriter discards an answer.
type discardWriter struct{ header http.Header }

func (d *discardWriter) Header() http.Header         { return d.header }
func (d *discardWriter) Write(p []byte) (int, error) { return len(p), nil }
func (d *discardWriter) WriteHeader(int)             {}

func faultMeets(f core.Fault, r *http.Request) bool {
	if f.Target() != core.OnREST || f.Method != "" && f.Method != "*" && !strings.EqualFold(f.Method, r.Method) {
		return false
	}
	if f.Path == "" || f.Path == "*" {
		return true
	}
	path := strings.ToLower(trimSuffix(r.URL.Path))
	want := strings.ToLower(f.Path)
	if prefix, wild := strings.CutSuffix(want, "*"); wild {
		return strings.HasPrefix(path, prefix)
	}
	return path == trimSuffix(want)
}

// Collector records the answer of a handler.
type Collector struct {
	header http.Header
	Status int
	Body   bytes.Buffer
}

// NewCollector returns an empty Collector.
func NewCollector() Collector { return Collector{header: http.Header{}} }

// Header, WriteHeader and Write implement http.ResponseWriter.
func (c *Collector) Header() http.Header { return c.header }

func (c *Collector) WriteHeader(status int) {
	if c.Status == 0 {
		c.Status = status
	}
}

func (c *Collector) Write(p []byte) (int, error) {
	c.WriteHeader(http.StatusOK)
	return c.Body.Write(p)
}
