package connectycube_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube"
)

// observed returns a client whose exchanges a test reads, and the service behind it.
func observed(t *testing.T, usual http.RoundTripper) (*connectycube.Client, *[]connectycube.Exchange) {
	t.Helper()
	var seen []connectycube.Exchange
	c, err := connectycube.New(connectycube.Options{
		BaseURL: "https://cube.example", AppID: 7, AuthKey: key, Timeout: 2 * time.Second, HTTP: &http.Client{Transport: usual},
		Observe: func(e connectycube.Exchange) { seen = append(seen, e) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, &seen
}

// Each call is observed once, with its result and the time that it took.
func TestExchangesAreObserved(t *testing.T) {
	hangs := roundTrip(func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() })
	gone, leave := context.WithCancel(context.Background())
	leave()
	short := func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(context.Background(), time.Second)
	}
	for name, tt := range map[string]struct {
		answer http.RoundTripper
		ctx    func() (context.Context, context.CancelFunc)
		want   connectycube.Result
		took   time.Duration
	}{
		"success":                    {status(201, `{"user":{"id":5}}`), nil, connectycube.ResultOK, time.Millisecond},
		"email in use":               {status(422, `{"errors":["email has already been taken"]}`), nil, connectycube.ResultRefused, time.Millisecond},
		"too many requests":          {status(429, ``), nil, connectycube.ResultRateLimited, time.Millisecond},
		"its failure":                {status(503, ``), nil, connectycube.ResultFailed, time.Millisecond},
		"an answer that is not JSON": {status(200, `<html>`), nil, connectycube.ResultFailed, time.Millisecond},
		"no connection":              {fails(errors.New("refused")), nil, connectycube.ResultNoAnswer, time.Millisecond},
		"no answer in time":          {hangs, nil, connectycube.ResultNoAnswer, 2*time.Second + time.Millisecond},
		"the caller's deadline":      {hangs, short, connectycube.ResultNoAnswer, time.Second},
		"a caller that has left":     {hangs, func() (context.Context, context.CancelFunc) { return gone, leave }, connectycube.ResultCanceled, time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, seen := observed(t, after(time.Millisecond, tt.answer))
				ctx := context.Background()
				if tt.ctx != nil {
					var cancel context.CancelFunc
					ctx, cancel = tt.ctx()
					defer cancel()
				}
				_ = calls["SignUp"](ctx, c)
				if len(*seen) != 1 || (*seen)[0].Result != tt.want || tt.took >= time.Second && (*seen)[0].Took < tt.took/2 {
					t.Errorf("observed %+v, want %s after %v", *seen, tt.want, tt.took)
				}
			})
		})
	}
}

// While the breaker is open, calls are observed as suspended and take no time; Health tells
// the state, and a probe is observed like a call.
func TestSuspendedCallsAreObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, seen := observed(t, status(503, ``))
		for range 10 {
			_ = calls["SignUp"](t.Context(), c)
		}
		if !c.Health().Suspended || len(*seen) != 10 {
			t.Errorf("after 10 failures: %+v, %d observed", c.Health(), len(*seen))
		}
		_ = calls["SignUp"](t.Context(), c)
		if last := (*seen)[10]; last != (connectycube.Exchange{Result: connectycube.ResultSuspended}) {
			t.Errorf("observed %+v", last)
		}
		time.Sleep(6 * time.Second)
		_ = calls["SignUp"](t.Context(), c) // starts a probe, which fails
		synctest.Wait()
		if got := (*seen)[11:]; len(got) != 2 || got[0].Result != connectycube.ResultFailed || got[1].Result != connectycube.ResultSuspended {
			t.Errorf("a probe and a call are observed as %+v", got)
		}
	})
}

// Each call gets a header traceparent of its own, and none without a trace.
func TestCallsCarryTheTrace(t *testing.T) {
	var sent [][]string
	next := 0
	c, err := connectycube.New(connectycube.Options{
		BaseURL: "https://cube.example", AppID: 7, AuthKey: key,
		HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			sent = append(sent, r.Header.Values("traceparent"))
			return status(201, `{"user":{"id":5}}`).RoundTrip(r)
		})},
		Traceparent: func(context.Context) string { next++; return strings.Repeat("x", next-1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	for range 3 {
		if err := calls["SignUp"](t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if len(sent) != 3 || len(sent[0]) != 0 || strings.Join(sent[1], ",") != "x" || strings.Join(sent[2], ",") != "xx" {
		t.Errorf("sent %q", sent)
	}
}
