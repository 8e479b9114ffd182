package connectycube_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube"
)

// service is a ConnectyCube with a scripted answer for each kind of request.
type service struct {
	mu      sync.Mutex
	answers map[string]http.RoundTripper // by kind; "" is for all others
	seen    []string                     // the kinds, in order
}

// The kinds of request that these tests tell apart; the kind of others is method and path.
const (
	probing   = "application session"
	loggingIn = "user session"
	signingUp = "POST /users"
)

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	kind := r.Method + " " + strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/prefix"), ".json")
	if kind == "POST /session" {
		body, _ := io.ReadAll(r.Body)
		if kind = probing; bytes.Contains(body, []byte(`"user"`)) {
			kind = loggingIn
		}
	}
	s.mu.Lock()
	s.seen = append(s.seen, kind)
	answer := s.answers[kind]
	if answer == nil {
		answer = s.answers[""]
	}
	s.mu.Unlock()
	return answer.RoundTrip(r)
}

// answer sets the answers of some kinds; the arguments are pairs.
func (s *service) answer(kind string, with http.RoundTripper) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[kind] = with
}

// takeSeen returns the kinds of the requests since the last call.
func (s *service) takeSeen() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen = nil
	return strings.Join(seen, ", ")
}

func status(code int, body string) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	})
}

func fails(err error) http.RoundTripper {
	return roundTrip(func(*http.Request) (*http.Response, error) { return nil, err })
}

// after returns an answer that is that of next after a delay.
func after(d time.Duration, next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return next.RoundTrip(r)
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	})
}

var (
	refused = fails(&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")})
	reset   = fails(&net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")})
	session = status(201, `{"session":{"token":"t","user_id":5,"user":{"id":5}}}`)
	signed  = status(201, `{"user":{"id":5}}`)
	torn    = roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 201, Header: http.Header{}, Body: io.NopCloser(io.MultiReader(strings.NewReader(`{"us`), broken{}))}, nil
	})
)

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// fixture is a client with a breaker, and the service behind it.
type fixture struct {
	*connectycube.Client
	service *service
	log     *bytes.Buffer // written under the breaker's lock, read after the calls
}

func newFixture(t *testing.T, usual http.RoundTripper) *fixture {
	t.Helper()
	w := &fixture{service: &service{answers: map[string]http.RoundTripper{"": usual}}, log: &bytes.Buffer{}}
	c, err := connectycube.New(connectycube.Options{
		BaseURL: "https://cube.example/prefix", AppID: 7, AuthKey: key,
		HTTP: &http.Client{Transport: w.service}, Log: slog.New(slog.NewTextHandler(w.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Client = c
	t.Cleanup(c.Close)
	return w
}

func (w *fixture) signUp() error { return calls["SignUp"](context.Background(), w.Client) }

func (w *fixture) logIn(cred connectycube.Credentials) error {
	_, err := w.CreateSession(context.Background(), cred)
	return err
}

// opened checks that the client refuses a call at once and sends nothing.
func (w *fixture) opened(t *testing.T) bool {
	t.Helper()
	synctest.Wait() // for a probe that takes no time
	w.service.takeSeen()
	begun := time.Now()
	err := w.signUp()
	sent := w.service.takeSeen()
	if sent != "" {
		return false
	}
	if took := time.Since(begun); !errors.Is(err, connectycube.ErrUnavailable) || took != 0 {
		t.Errorf("refused with %v after %v, want ErrUnavailable at once", err, took)
	}
	return true
}

// open lets the service fail until the breaker is open.
func (w *fixture) open(t *testing.T) {
	t.Helper()
	w.service.answer("", status(503, ""))
	for range 10 {
		_ = w.signUp()
	}
	if !w.opened(t) {
		t.Fatal("the breaker has not opened")
	}
}

var byTicket = connectycube.Credentials{Login: "a ticket", Password: password}

func TestBreakerOpensAfterFailuresInARow(t *testing.T) {
	for name, tt := range map[string]struct {
		failure http.RoundTripper
		row     int
	}{
		"no answer": {silent, 3}, "endless body": {stuck, 3}, "a late 500": {after(5*time.Second, status(500, "")), 3},
		"500": {status(500, ""), 10}, "503 with HTML": {status(503, "<html>"), 10}, "a 500 within time": {after(4*time.Second, status(500, "")), 10},
		"refused": {refused, 10}, "reset": {reset, 10}, "torn answer": {torn, 10},
	} {
		for call, do := range calls {
			t.Run(name+", "+call, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newFixture(t, tt.failure)
					for i := range tt.row {
						if i == tt.row-1 && w.log.Len() > 0 {
							t.Errorf("the breaker opened after %d failures", i)
						}
						if err := do(t.Context(), w.Client); !errors.Is(err, connectycube.ErrUnavailable) {
							t.Fatalf("call %d: %v", i, err)
						}
					}
					if time.Sleep(3 * time.Second); !w.opened(t) { // 3 s: a probe decides about logins
						t.Errorf("the breaker is closed after %d failures", tt.row)
					}
					if got := w.log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=WARN") || strings.Contains(got, key) {
						t.Errorf("log: %q, want one warning", got)
					}
				})
			})
		}
	}
}

// Answers other than a 5xx prove that the service works and end a row of failures.
func TestBreakerTakes4xxForAnAnswer(t *testing.T) {
	for _, code := range []int{400, 401, 403, 404, 408, 422, 429} {
		synctest.Test(t, func(t *testing.T) {
			w := newFixture(t, status(code, `{"errors":["x"]}`))
			for range 50 {
				for _, do := range calls {
					_ = do(t.Context(), w.Client)
				}
			}
			for range 3 {
				w.service.answer("", status(500, ""))
				for range 9 {
					_ = w.signUp()
				}
				w.service.answer("", status(code, ""))
				_ = w.signUp()
			}
			if w.opened(t) || w.log.Len() > 0 {
				t.Errorf("%d opens the breaker: %s", code, w.log)
			}
		})
	}
}

// A caller that leaves, or whose deadline has passed, proves nothing.
func TestBreakerIgnoresCallersThatLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, silent)
		for i := range 50 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if i%2 == 0 {
				cancel()
			}
			for name, do := range calls {
				if err := do(ctx, w.Client); !errors.Is(err, connectycube.ErrUnavailable) || !errors.Is(err, ctx.Err()) {
					t.Errorf("%s: %v", name, err)
				}
			}
			cancel()
		}
		w.service.answer("", signed)
		if w.opened(t) {
			t.Error("callers that leave open the breaker")
		}
	})
}

// Our own verify route is late or fails, so ConnectyCube's answer to a login does
// not come or is a 500. Other requests succeed, so the breaker stays closed.
func TestBreakerIgnoresLoginsThatOurVerifyRouteBroke(t *testing.T) {
	for name, failure := range map[string]http.RoundTripper{
		"late": silent, "500": status(500, ""), "late, then 500": after(9*time.Second, status(500, `{"errors":["custom identity provider"]}`)),
	} {
		for by, cred := range map[string]connectycube.Credentials{"ticket": byTicket, "password": byEmail} {
			t.Run(name+", by "+by, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newFixture(t, signed)
					w.service.answer(loggingIn, failure)
					w.service.answer(probing, session)
					const logins = 50
					for range logins {
						if err := w.logIn(cred); err == nil || strings.Contains(err.Error(), "the last calls failed") {
							t.Fatalf("a login: %v, want the failure of the login itself", err)
						}
					}
					synctest.Wait()
					seen := w.service.takeSeen()
					if n := strings.Count(seen, loggingIn); n != logins {
						t.Errorf("%d logins were sent, want %d", n, logins)
					}
					if n := strings.Count(seen, probing); n == 0 || n > logins/3 {
						t.Errorf("%d probes were sent, want one for 3 logins at most", n)
					}
					if w.opened(t) || w.log.Len() > 0 {
						t.Errorf("the breaker is open: %s", w.log)
					}
				})
			})
		}
	}
}

// The service hangs and there are only logins: the probe confirms the failure.
func TestBreakerOpensWhenLoginsHangAndTheProbeDoesToo(t *testing.T) {
	for _, cred := range []connectycube.Credentials{byTicket, byEmail} {
		synctest.Test(t, func(t *testing.T) {
			w := newFixture(t, silent)
			for range 3 {
				_ = w.logIn(cred)
			}
			time.Sleep(3 * time.Second) // the timeout of the probe
			if seen := w.service.takeSeen(); strings.Count(seen, probing) != 1 {
				t.Errorf("sent: %s; want one probe", seen)
			}
			if !w.opened(t) {
				t.Error("the breaker is closed")
			}
		})
	}
}

// When the service works again, the next call sends a probe, waits for it, and is
// then sent once.
func TestBreakerClosesAfterAProbe(t *testing.T) {
	for name, probe := range map[string]http.RoundTripper{
		"at once": session, "after 400 ms": after(400*time.Millisecond, session), "a refusal": status(401, `{"errors":["Unauthorized"]}`), "429": status(429, ""),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newFixture(t, nil)
				w.open(t)
				w.service.answer("", signed)
				w.service.answer(probing, probe)
				time.Sleep(5 * time.Second)
				if w.log.Reset(); !w.opened(t) { // OpenFor ends one tick later
					t.Fatal("the breaker is half open too early")
				}
				time.Sleep(time.Millisecond)
				if err := w.signUp(); err != nil {
					t.Errorf("the first call: %v", err)
				}
				if seen := w.service.takeSeen(); seen != probing+", "+signingUp {
					t.Errorf("sent: %s; want the probe and then the sign-up, once each", seen)
				}
				for range 3 {
					if err := w.signUp(); err != nil {
						t.Errorf("a call afterwards: %v", err)
					}
				}
				if seen := w.service.takeSeen(); strings.Contains(seen, probing) {
					t.Errorf("sent afterwards: %s", seen)
				}
				if got := w.log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=INFO") {
					t.Errorf("log: %q, want one line", got)
				}
			})
		})
	}
}

// During an outage of ten minutes, callers never wait longer than the grace, none
// of their requests is sent, and the log has one line.
func TestBreakerStaysOpenWhileProbesFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		w.open(t)
		w.service.answer("", silent)
		slow, refusals := 0, 0
		for begun := time.Now(); time.Since(begun) < 10*time.Minute; refusals++ {
			at := time.Now()
			if err := w.signUp(); !errors.Is(err, connectycube.ErrUnavailable) {
				t.Fatalf("while probes fail: %v", err)
			}
			switch took := time.Since(at); {
			case took > 500*time.Millisecond:
				t.Fatalf("a caller waited %v", took)
			case took > 0:
				slow++
			}
			time.Sleep(100 * time.Millisecond)
		}
		seen := w.service.takeSeen()
		probes := strings.Count(seen, probing)
		if strings.Contains(seen, signingUp) || probes < 60 || probes > 120 {
			t.Errorf("%d probes in ten minutes; sign-ups sent: %t", probes, strings.Contains(seen, signingUp))
		}
		if slow > probes || refusals < 1000 {
			t.Errorf("%d of %d callers waited for %d probes, want one each at most", slow, refusals, probes)
		}
		if got := w.log.String(); strings.Count(got, "\n") != 1 {
			t.Errorf("log: %q, want one line", got)
		}
	})
}

// Many callers meet a half-open breaker: one probe is sent, and all callers are served.
func TestBreakerSendsOneProbeForManyCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		w.open(t)
		w.service.answer("", signed)
		w.service.answer(probing, after(300*time.Millisecond, session))
		time.Sleep(6 * time.Second)
		w.service.takeSeen()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if err := w.signUp(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		seen := w.service.takeSeen()
		if strings.Count(seen, probing) != 1 || strings.Count(seen, signingUp) != 20 || !strings.HasPrefix(seen, probing) {
			t.Errorf("sent: %s", seen)
		}
	})
}

// Close stops a probe that hangs, and no other probe starts.
func TestCloseEndsTheProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		w.open(t)
		w.service.answer("", silent)
		time.Sleep(6 * time.Second)
		_ = w.signUp()
		begun := time.Now()
		w.Close()
		if took := time.Since(begun); took != 0 {
			t.Errorf("Close took %v", took)
		}
		w.service.takeSeen()
		time.Sleep(time.Minute)
		if err := w.signUp(); !errors.Is(err, connectycube.ErrUnavailable) || w.service.takeSeen() != "" {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestBreakerOptionsAreChecked(t *testing.T) {
	for _, o := range []connectycube.BreakerOptions{{Failures: -1}, {LateFailures: -1}, {OpenFor: -1}, {ProbeTimeout: -1}} {
		if _, err := connectycube.New(connectycube.Options{AppID: 7, AuthKey: key, Breaker: o}); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// The thresholds are those of the options.
func TestBreakerHasTheThresholdsItIsGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{answers: map[string]http.RoundTripper{"": status(500, "")}}
		c, err := connectycube.New(connectycube.Options{
			AppID: 7, AuthKey: key, HTTP: &http.Client{Transport: s},
			Breaker: connectycube.BreakerOptions{Failures: 2, OpenFor: time.Minute, ProbeTimeout: time.Second},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		w := &fixture{Client: c, service: s}
		_, _ = w.signUp(), w.signUp()
		s.answer("", session)
		if time.Sleep(time.Minute); !w.opened(t) {
			t.Error("the breaker is not open for a minute after 2 failures")
		}
		s.answer("", silent)
		time.Sleep(time.Second)
		_ = w.signUp()
		if time.Sleep(time.Second); !w.opened(t) { // the probe has failed, so the breaker is open again
			t.Error("the probe took longer than its timeout")
		}
	})
}
