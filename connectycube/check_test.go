package connectycube_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cubegate/connectycube"
	"cubegate/connectycube/sandbox"
)

const checkedKey = "Zebra7Quartz-key"

// checked returns a client of the service at base, over the network. A handshake on a busy machine
// may take longer than the usual timeouts.
func checked(t *testing.T, base string) *connectycube.Client {
	t.Helper()
	c, err := connectycube.New(connectycube.Options{
		BaseURL: base, AppID: 7, AuthKey: checkedKey, Timeout: time.Minute, Breaker: connectycube.BreakerOptions{ProbeTimeout: time.Minute},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// answering returns the URL of a service that answers every request in one way.
func answering(t *testing.T, status int, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if status >= 300 && status < 400 {
			w.Header().Set("Location", "https://elsewhere.example.org/")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestCheckNamesTheWrongOption(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := answering(t, 404, "")
	closed := httptest.NewServer(nil)
	const page = "<html><body>Welcome</body></html>"
	tests := map[string]struct {
		base   string
		option connectycube.Option // "": the service is away, or refuses for another reason
		reason string
	}{
		"wrong key":               {answering(t, 401, `{"errors":["Unauthorized"]}`), connectycube.OptionAuthKey, "refuses the key"},
		"wrong key, older":        {answering(t, 422, `{"errors":["Unexpected signature"]}`), connectycube.OptionAuthKey, "refuses the key"},
		"unknown application":     {answering(t, 422, `{"errors":{"base":["No application found"]}}`), connectycube.OptionAppID, "no such application"},
		"another path":            {answering(t, 404, `{"errors":["Not Found"]}`), connectycube.OptionBaseURL, "no API of ConnectyCube answers there (status 404)"},
		"a web server":            {answering(t, 404, page), connectycube.OptionBaseURL, "status 404"},
		"a web site":              {answering(t, 200, page), connectycube.OptionBaseURL, "status 200"},
		"another API":             {answering(t, 200, `{"hello":"world"}`), connectycube.OptionBaseURL, "status 200"},
		"a redirection":           {answering(t, 301, ""), connectycube.OptionBaseURL, "status 301"},
		"a site without POST":     {answering(t, 405, page), connectycube.OptionBaseURL, "status 405"},
		"a site with a login":     {answering(t, 401, page), connectycube.OptionBaseURL, "status 401"},
		"a closed site":           {answering(t, 403, page), connectycube.OptionBaseURL, "status 403"},
		"a private authority":     {secure.URL, connectycube.OptionBaseURL, "certificate"},
		"https to a plain server": {strings.Replace(plain, "http:", "https:", 1), connectycube.OptionBaseURL, "does not speak TLS"},
		"another protocol":        {"http://" + banner(t, "220 mail.example.org ESMTP\r\n"), connectycube.OptionBaseURL, "does not speak HTTP"},
		"a static site":           {answering(t, 501, page), connectycube.OptionBaseURL, "status 501"},
		"a slow site":             {answering(t, 408, page), "", ""},
		"outage":                  {answering(t, 503, `{"errors":["down"]}`), "", ""},
		"bad gateway":             {answering(t, 502, page), "", ""},
		"rate limit":              {answering(t, 429, page), "", ""},
		"another refusal":         {answering(t, 403, `{"errors":["Forbidden"]}`), "", ""},
		"closed port":             {closed.URL, "", ""},
	}
	closed.Close() // last, or another server could get its port
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := checked(t, tt.base)
			err := c.Check(t.Context())
			wrong, _ := errors.AsType[*connectycube.WrongOptionError](err)
			if tt.option == "" {
				if err == nil || wrong != nil {
					t.Errorf("Check error = %v, want one that blames no option", err)
				}
				return
			}
			if wrong == nil || wrong.Option != tt.option || !strings.Contains(wrong.Reason, tt.reason) || !errors.Is(err, connectycube.ErrMisconfigured) || errors.Is(err, connectycube.ErrUnavailable) {
				t.Fatalf("Check error = %v, want one about %s with %q", err, tt.option, tt.reason)
			}
			if strings.Contains(err.Error(), checkedKey) || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error shows the key, or has several lines: %q", err)
			}
		})
	}
}

// An unknown host name is a wrong URL, but not that of the real service or of a proxy.
func TestCheckOfAnUnknownName(t *testing.T) {
	unknown := &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "api.example", IsNotFound: true}}
	proxy := &net.OpError{Op: "proxyconnect", Err: unknown}
	for _, tt := range []struct {
		base  string
		err   error
		wrong bool
	}{
		{"https://api.example", unknown, true}, {"https://api.connectycube.com", unknown, false}, {"https://api.example", proxy, false},
		{"https://api.example", &net.DNSError{Err: "server misbehaving", Name: "api.example", IsTemporary: true}, false},
	} {
		fails := roundTrip(func(*http.Request) (*http.Response, error) { return nil, tt.err })
		c, err := connectycube.New(connectycube.Options{BaseURL: tt.base, AppID: 7, AuthKey: checkedKey, HTTP: &http.Client{Transport: fails}})
		if err != nil {
			t.Fatal(err)
		}
		if _, wrong := errors.AsType[*connectycube.WrongOptionError](c.Check(t.Context())); wrong != tt.wrong {
			t.Errorf("%s, %v: a wrong option: %t, want %t", tt.base, tt.err, wrong, tt.wrong)
		}
		c.Close()
	}
}

// While an option is wrong, no call is sent. A later Check that finds it right, or the
// service away, lets calls through again.
func TestCheckStopsCallsWhileAnOptionIsWrong(t *testing.T) {
	box := sandbox.New(sandbox.Options{AppID: 7, AuthKey: checkedKey})
	var status, requests atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if code := status.Load(); code != 0 {
			http.Error(w, `{"errors":["Unauthorized"]}`, int(code))
			return
		}
		box.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	c := checked(t, s.URL)
	sent := func() (int32, error) {
		before := requests.Load()
		_, err := c.UserByExternalID(t.Context(), "ext-1")
		return requests.Load() - before, err
	}
	status.Store(401)
	if err := c.Check(t.Context()); !errors.Is(err, connectycube.ErrMisconfigured) {
		t.Fatalf("Check error = %v", err)
	}
	if n, err := sent(); n != 0 || !errors.Is(err, connectycube.ErrMisconfigured) || errors.Is(err, connectycube.ErrUnavailable) {
		t.Errorf("with a wrong key: %d requests, error %v", n, err)
	}
	status.Store(503)
	_ = c.Check(t.Context())
	if n, err := sent(); n == 0 || !errors.Is(err, connectycube.ErrUnavailable) {
		t.Errorf("while the service is away: %d requests, error %v", n, err)
	}
	status.Store(0)
	if err := c.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := sent(); n == 0 || !errors.Is(err, connectycube.ErrNotFound) {
		t.Errorf("with the right key: %d requests, error %v", n, err)
	}
}

// A canceled Check says nothing about the options.
func TestCanceledCheck(t *testing.T) {
	c := checked(t, answering(t, 401, `{"errors":["Unauthorized"]}`))
	if err := c.Check(t.Context()); !errors.Is(err, connectycube.ErrMisconfigured) {
		t.Fatalf("Check error = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Check(ctx); !errors.Is(err, connectycube.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("Check error = %v, want that of the context", err)
	}
	if _, err := c.UserByExternalID(t.Context(), "ext-1"); !errors.Is(err, connectycube.ErrMisconfigured) {
		t.Errorf("after the canceled Check: %v, want what the Check before found", err)
	}
}

// banner is a TCP server of another protocol, which answers with text.
func banner(t *testing.T, text string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1024))
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		}
	}()
	return listener.Addr().String()
}
