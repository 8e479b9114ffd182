package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"syscall"

	"cubegate/connectycube/sandbox/rest"
)

// Client returns a client whose requests never leave the process, whatever host
// they name. Faults work through it: a cut connection is an error that is
// syscall.ECONNRESET, half an answer ends with io.ErrUnexpectedEOF, and hanging
// respects the request's context. An answer is handed over when it is complete.
// A WebSocket may be dialled through it, for the chat at ChatPath; it must be
// closed by its caller.
func (s *Sandbox) Client() *http.Client {
	return &http.Client{Transport: inProcess{http.HandlerFunc(s.serve)}}
}

type inProcess struct{ handler http.Handler }

// RoundTrip runs the handler beside the caller, as a server would, so that a
// caller can leave while the handler works on.
func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	// cancelled with the caller's, until the handler takes the connection
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	stay := context.AfterFunc(r.Context(), cancel)
	served, err := serverSide(ctx, r)
	if err != nil {
		stay()
		cancel()
		return nil, err
	}
	w := &answer{Collector: rest.NewCollector(), upgrade: &upgrade{stay: stay, done: make(chan struct{})}}
	done := make(chan error, 1)
	go func() {
		defer cancel()
		defer stay()
		defer func() {
			if p := recover(); p == http.ErrAbortHandler && w.Status != 0 {
				w.torn = true
				done <- nil
			} else if p == http.ErrAbortHandler {
				done <- fmt.Errorf("sandbox: %w", syscall.ECONNRESET)
			} else if p != nil {
				done <- fmt.Errorf("sandbox: handler panicked: %v", p)
			}
		}()
		t.handler.ServeHTTP(w, served)
		done <- nil
	}()
	select {
	case <-w.upgrade.done:
		return w.switched(r), nil
	case <-ctx.Done():
		select {
		case <-w.upgrade.done:
			return w.switched(r), nil
		default:
		}
		if r.Context().Err() != nil {
			return nil, context.Cause(r.Context())
		}
		err = <-done // the handler ended, which cancels too
	case err = <-done:
	}
	switch {
	case w.upgrade.far != nil:
		return w.switched(r), nil // the handler is through with it already
	case err != nil:
		return nil, err
	case w.Status == http.StatusSwitchingProtocols:
		return nil, fmt.Errorf("sandbox: the caller left before the upgrade: %w", context.Canceled)
	}
	return w.response(r), nil
}

// serverSide gives the request as a server would see it. The body is read first:
// a handler that outlives the caller must not read the caller's memory.
func serverSide(ctx context.Context, r *http.Request) (*http.Request, error) {
	var body []byte
	if r.Body != nil {
		defer r.Body.Close()
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	served := r.Clone(ctx)
	served.Body = io.NopCloser(bytes.NewReader(body))
	served.ContentLength = int64(len(body))
	served.RequestURI = r.URL.RequestURI()
	served.RemoteAddr = "127.0.0.1:0"
	if served.Host == "" {
		served.Host = r.URL.Host
	}
	return served, nil
}

// answer collects what a handler writes.
type answer struct {
	rest.Collector
	torn bool // the handler broke off in the middle of it

	upgrade *upgrade // nil: the connection cannot be had
}

func (a *answer) response(r *http.Request) *http.Response {
	a.WriteHeader(http.StatusOK)
	body, length := io.Reader(&a.Body), int64(a.Body.Len())
	if a.torn {
		body, length = io.MultiReader(body, truncatedBody{}), -1
	}
	return &http.Response{
		Status:        strconv.Itoa(a.Status) + " " + http.StatusText(a.Status),
		StatusCode:    a.Status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        a.Header(),
		Body:          io.NopCloser(body),
		ContentLength: length,
		Request:       r,
	}
}

// truncatedBody is how an answer ends that was announced longer than it is.
type truncatedBody struct{}

func (truncatedBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
