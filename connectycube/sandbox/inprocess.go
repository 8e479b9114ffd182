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

// Client returns a client whose requests never leave the process, whatever their
// host. Faults work with it: a cut connection is syscall.ECONNRESET, a truncated answer
// ends with io.ErrUnexpectedEOF, and a hanging one ends with the request's context. The
// client returns an answer when it is complete. A WebSocket dialed with it, to the chat
// at ChatPath, must be closed by its caller.
func (s *Sandbox) Client() *http.Client {
	return &http.Client{Transport: inProcess{http.HandlerFunc(s.serve)}}
}

type inProcess struct{ handler http.Handler }

// RoundTrip runs the handler in a goroutine, as a server would, so that the handler
// continues if the caller leaves.
func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	// Canceled with the caller's context, until the handler takes the connection.
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
		err = <-done // the end of the handler cancels, too
	case err = <-done:
	}
	switch {
	case w.upgrade.far != nil:
		return w.switched(r), nil // the handler has already ended
	case err != nil:
		return nil, err
	case w.Status == http.StatusSwitchingProtocols:
		return nil, fmt.Errorf("sandbox: caller left before the upgrade: %w", context.Canceled)
	}
	return w.response(r), nil
}

// serverSide returns the request in the form that a server sees. It reads the body
// first: a handler that outlives the caller must not read the caller's memory.
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

// answer records the answer of a handler.
type answer struct {
	rest.Collector
	torn bool // the handler aborted within the body

	upgrade *upgrade // nil: the connection cannot be hijacked
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

// truncatedBody ends a body before its announced length.
type truncatedBody struct{}

func (truncatedBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
