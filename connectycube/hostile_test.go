package connectycube_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube"
)

// silent never answers. It ends with the request's context.
var silent = roundTrip(func(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
})

// stuck answers with a body that never ends.
var stuck = roundTrip(func(r *http.Request) (*http.Response, error) {
	body, w := io.Pipe()
	context.AfterFunc(r.Context(), func() { w.CloseWithError(r.Context().Err()) })
	return &http.Response{StatusCode: 201, Header: http.Header{}, Body: body}, nil
})

func TestTimeoutCoversTheBody(t *testing.T) {
	for name, rt := range map[string]http.RoundTripper{"no answer": silent, "endless body": stuck} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := via(t, rt)
				start := time.Now()
				err := calls["CreateSession"](t.Context(), c)
				if !errors.Is(err, connectycube.ErrUnavailable) {
					t.Errorf("error = %v, want ErrUnavailable", err)
				}
				// The caller's deadline has not passed, so the error must not show one.
				if errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error = %v, want no deadline of the caller's in it", err)
				}
				if took := time.Since(start); took != 10*time.Second {
					t.Errorf("took %v, want the default of 10s", took)
				}
				if h := c.Health(); h.State != connectycube.HealthFailing {
					t.Errorf("health = %+v", h)
				}
			})
		})
	}
}

func TestCallersContextStaysVisible(t *testing.T) {
	for name, rt := range map[string]http.RoundTripper{"no answer": silent, "endless body": stuck} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := via(t, rt)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				err := calls["SignUp"](ctx, c)
				if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, connectycube.ErrUnavailable) {
					t.Errorf("error = %v, want the deadline and ErrUnavailable", err)
				}
				ctx, cancel = context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				err = calls["SignUp"](ctx, c)
				if !errors.Is(err, context.Canceled) || !errors.Is(err, connectycube.ErrUnavailable) {
					t.Errorf("error = %v, want the cancellation and ErrUnavailable", err)
				}
				if h := c.Health(); h.State != connectycube.HealthUnknown {
					t.Errorf("health = %+v, want unknown: the caller did not wait for the service", h)
				}
			})
		})
	}
}

// against returns a client for a handler behind a real socket.
func against(t *testing.T, h http.HandlerFunc) *connectycube.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return to(t, srv.URL, time.Minute)
}

func to(t *testing.T, base string, timeout time.Duration) *connectycube.Client {
	t.Helper()
	c, err := connectycube.New(connectycube.Options{BaseURL: base, AppID: 7, AuthKey: key, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const good = `{"session":{"token":"t","user_id":5}}`

func TestHostileAnswers(t *testing.T) {
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		}
	}
	tests := []struct {
		name   string
		handle http.HandlerFunc
	}{
		{"half a body", raw(fmt.Sprintf("HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s", len(good), good[:10]))},
		{"content-length too large", raw("HTTP/1.1 201 Created\r\nContent-Length: 1000000\r\n\r\n" + good)},
		{"content-length too small", raw("HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\n" + good)},
		{"torn chunk", raw("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + good)},
		{"half a refusal", raw("HTTP/1.1 422 Unprocessable\r\nContent-Length: 900\r\n\r\n{\"errors\":[\"email must be uni")},
		{"no answer", raw("")},
		{"not HTTP", raw("220 mail.example.org ESMTP\r\n")},
		{"bad status", raw("HTTP/1.1 20 Created\r\n\r\n")},
		{"endless headers", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 128<<10))
			_, _ = io.WriteString(w, good)
		}},
		{"huge body", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(201)
			_, _ = io.WriteString(w, `{"session":{"token":"t","user_id":5},"x":"`+strings.Repeat("x", 1<<20)+`"}`)
		}},
		{"huge refusal", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(422)
			_, _ = io.WriteString(w, `{"errors":["must be unique`+strings.Repeat("x", 1<<20)+`"]}`)
		}},
		{"small body that unpacks to a huge one", func(w http.ResponseWriter, _ *http.Request) {
			var packed bytes.Buffer
			z := gzip.NewWriter(&packed)
			_, _ = z.Write([]byte(`{"session":{"token":"t","user_id":5}}`))
			_, _ = z.Write(bytes.Repeat([]byte(" "), 16<<20))
			_ = z.Close()
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed.Bytes())
		}},
		{"html", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<html>log in to the wifi</html>")
		}},
		{"nothing", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201) }},
		{"204", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var hits atomic.Int32
			c := against(t, func(w http.ResponseWriter, r *http.Request) {
				hits.Add(1)
				tt.handle(w, r)
			})
			err := calls["CreateSession"](t.Context(), c)
			if got := matching(err); len(got) != 1 || got[0] != connectycube.ErrUnavailable {
				t.Errorf("error = %v, want only ErrUnavailable", err)
			}
			if hits.Load() != 1 {
				t.Errorf("the server saw %d requests, want 1", hits.Load())
			}
		})
	}
}

// TestReadingStopsAtTheBound: an endless answer must cost neither memory nor the
// whole timeout.
func TestReadingStopsAtTheBound(t *testing.T) {
	for _, status := range []int{201, 422} {
		endless := &counted{}
		c := via(t, roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: endless}, nil
		}))
		if err := calls["SignUp"](t.Context(), c); !errors.Is(err, connectycube.ErrUnavailable) {
			t.Errorf("error = %v, want ErrUnavailable", err)
		}
		if endless.read > 2<<20 || !endless.closed {
			t.Errorf("%d bytes were read, closed: %v", endless.read, endless.closed)
		}
	}
}

// counted is a body without an end, up to a size that would fill a test machine.
type counted struct {
	read   int
	closed bool
}

func (c *counted) Read(p []byte) (int, error) {
	if c.read += len(p); c.read > 64<<20 {
		return 0, io.EOF
	}
	return len(p), nil
}

func (c *counted) Close() error { c.closed = true; return nil }

// TestNoCookieJoinsTwoCalls: a cookie jar of the caller would connect one user's
// request with another's.
func TestNoCookieJoinsTwoCalls(t *testing.T) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.Cookies()) > 0 {
			t.Errorf("cookies were sent: %v", r.Cookies())
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
		_, _ = io.WriteString(w, good)
	}))
	defer srv.Close()
	c, err := connectycube.New(connectycube.Options{BaseURL: srv.URL, AppID: 7, AuthKey: key, HTTP: &http.Client{Jar: jar}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := calls["CreateSession"](t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRedirectsAreNotFollowed: after a 307, a client that follows it would send the
// key and a password to any host that the answer names.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var leaked atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		leaked.Add(1)
		_, _ = io.WriteString(w, good)
	}))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		srv := httptest.NewServer(http.RedirectHandler(elsewhere.URL, status))
		followsByItself := &http.Client{}
		c, err := connectycube.New(connectycube.Options{BaseURL: srv.URL, AppID: 7, AuthKey: key, HTTP: followsByItself})
		if err != nil {
			t.Fatal(err)
		}
		for name, call := range calls {
			if err := call(t.Context(), c); !errors.Is(err, connectycube.ErrUnavailable) {
				t.Errorf("%s after %d: error = %v, want ErrUnavailable", name, status, err)
			}
		}
		if followsByItself.CheckRedirect != nil {
			t.Error("the caller's own client was changed")
		}
		srv.Close()
	}
	if leaked.Load() > 0 {
		t.Errorf("%d requests were sent elsewhere", leaked.Load())
	}
}

func TestSlowBodyMeetsTheTimeout(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(201)
		for i := range len(good) - 1 {
			_, _ = io.WriteString(w, good[i:i+1])
			_ = http.NewResponseController(w).Flush()
		}
		<-release // the last byte never comes
	}))
	defer srv.Close()
	defer close(release)
	err := calls["CreateSession"](t.Context(), to(t, srv.URL, 200*time.Millisecond))
	if !errors.Is(err, connectycube.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error = %v, want ErrUnavailable and no deadline of the caller's", err)
	}
}

func TestUntrustedCertificate(t *testing.T) {
	var hits atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	err := calls["CreateSession"](t.Context(), to(t, srv.URL, time.Minute))
	if !errors.Is(err, connectycube.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error = %v, want ErrUnavailable that names the certificate", err)
	}
	if hits.Load() > 0 {
		t.Error("credentials were sent over an unverified connection")
	}
}

func TestNobodyListens(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	err = calls["UserByExternalID"](t.Context(), to(t, "http://"+ln.Addr().String(), time.Minute))
	if got := matching(err); len(got) != 1 || got[0] != connectycube.ErrUnavailable {
		t.Errorf("error = %v, want only ErrUnavailable", err)
	}
	if strings.Contains(err.Error(), "http://") {
		t.Errorf("error = %v, want no URL with a query in it", err)
	}
}
