package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The kinds of Fault.
const (
	FaultStatus     = "status"      // answers with Status and a body of the usual shape; no work is done
	FaultHang       = "hang"        // answers never, until the caller leaves or a minute has passed; no work is done
	FaultReset      = "reset"       // cuts the connection; no work is done
	FaultLostAnswer = "lost-answer" // does the work, then cuts the connection
	FaultSlow       = "slow"        // waits for Delay, then does everything as usual
	FaultEmpty      = "empty"       // answers 200, or Status, without a body; no work is done
	FaultHTML       = "html"        // answers 502, or Status, with a page for people; no work is done
)

const (
	maxFaults = 100
	maxDelay  = time.Minute
	hangTime  = time.Minute
)

// Fault is something that goes wrong on purpose. Faults are tried in the order
// they were added; the first that matches a request happens to it.
type Fault struct {
	Method string        // "" or "*": any
	Path   string        // without .json, any case, may end in *; "" or "*": any
	Kind   string        // one of the kinds above
	Status int           // of status (required), empty (2xx) and html; ignored by the others
	Delay  time.Duration // before anything else happens, at most a minute; required for slow
	Times  int           // how often it happens; 0: until cleared
}

type armedFault struct {
	Fault
	left int // meaningful when Times > 0
}

func (f Fault) validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("fault: "+format, args...)) }
	highest := 0 // status
	switch f.Kind {
	case FaultStatus, FaultHTML:
		highest = 599
	case FaultEmpty:
		highest = 299
	case FaultHang, FaultReset, FaultLostAnswer, FaultSlow:
	default:
		wrong("kind must be status, hang, reset, lost-answer, slow, empty or html")
	}
	optional := f.Status == 0 && f.Kind != FaultStatus
	if highest > 0 && !optional && (f.Status < 200 || f.Status > highest) {
		wrong("status of kind %q must be 200 to %d", f.Kind, highest)
	}
	if f.Delay < 0 || f.Delay > maxDelay || f.Kind == FaultSlow && f.Delay == 0 {
		wrong("delay must be at most %s, and more than 0 for slow", maxDelay)
	}
	if f.Times < 0 {
		wrong("times must not be negative")
	}
	if f.Path != "" && f.Path != "*" && f.Path[0] != '/' {
		wrong("path must begin with / or be *")
	}
	if len(f.Method) > 20 || len(f.Path) > 500 {
		wrong("method or path is too long")
	}
	return errors.Join(errs...)
}

// AddFault arms a fault. The error says everything that is wrong with it, or
// that a hundred are armed already.
func (s *Sandbox) AddFault(f Fault) error {
	if err := f.validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) >= maxFaults {
		return fmt.Errorf("fault: %d are armed, which is the most", maxFaults)
	}
	s.faults = append(s.faults, &armedFault{f, f.Times})
	return nil
}

// ClearFaults disarms all faults. Requests they hold are not let go.
func (s *Sandbox) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Faults lists what is armed; Times is how often it will still happen.
func (s *Sandbox) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Fault, len(s.faults))
	for i, f := range s.faults {
		list[i] = f.Fault
		list[i].Times = f.left
	}
	return list
}

// takeFault finds the fault for a request and counts it.
func (s *Sandbox) takeFault(r *http.Request) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if !f.matches(r.Method, r.URL.Path) {
			continue
		}
		if f.Times > 0 {
			if f.left--; f.left == 0 {
				s.faults = slices.Delete(s.faults, i, i+1)
			}
		}
		return f.Fault, true
	}
	return Fault{}, false
}

func (f Fault) matches(method, path string) bool {
	if f.Method != "" && f.Method != "*" && !strings.EqualFold(f.Method, method) {
		return false
	}
	if f.Path == "" || f.Path == "*" {
		return true
	}
	path = strings.ToLower(trimSuffix(path))
	want := strings.ToLower(f.Path)
	if prefix, wild := strings.CutSuffix(want, "*"); wild {
		return strings.HasPrefix(path, prefix)
	}
	return path == trimSuffix(want)
}

// misbehave makes the fault happen to the request.
func (s *Sandbox) misbehave(w http.ResponseWriter, r *http.Request, f Fault) {
	if f.Delay > 0 {
		// a caller that leaves ends the wait, not the work: the service would
		// have read the request by then
		wait(r.Context(), f.Delay)
	}
	switch f.Kind {
	case FaultSlow:
		s.serveAPI(w, r)
	case FaultLostAnswer:
		s.serveAPI(&blackHole{header: http.Header{}}, r)
		cut(w)
	case FaultReset:
		cut(w)
	case FaultHang:
		// only a request that was read whole lets the server notice that the
		// caller has left
		_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBody))
		wait(r.Context(), hangTime)
		cut(w)
	case FaultStatus:
		refuse(w, asList(f.Status, http.StatusText(f.Status)))
	case FaultEmpty:
		w.WriteHeader(cmp.Or(f.Status, http.StatusOK))
	case FaultHTML:
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

// cut ends the connection without an answer, on TCP with a reset. Where the
// connection cannot be had, as with HTTP/2 or in the process, the server's own
// way of breaking off must do.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the close would look like an end of file
	}
	_ = conn.Close()
}

// blackHole takes the answer of work whose answer gets lost.
type blackHole struct{ header http.Header }

func (b *blackHole) Header() http.Header         { return b.header }
func (b *blackHole) Write(p []byte) (int, error) { return len(p), nil }
func (b *blackHole) WriteHeader(int)             {}
