package middleware_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"cubegate/middleware"
)

func TestProxyDetector(t *testing.T) {
	proxy, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::7")
	type requests struct {
		peer     netip.Addr
		forwards bool
		n        int
	}
	tests := []struct {
		name string
		all  []requests
		want []int // requests with the header, of each suspect
	}{
		{"all through one proxy", []requests{{proxy, true, 100}}, []int{100}},
		{"too few to judge", []requests{{proxy, true, 99}}, nil},
		{"just more than half", []requests{{other, false, 49}, {proxy, true, 51}}, []int{51}},
		{"just half", []requests{{proxy, true, 50}, {other, false, 50}}, nil},
		{"half of its requests without the header", []requests{{proxy, true, 50}, {proxy, false, 50}}, nil},
		{"no header", []requests{{proxy, false, 300}}, nil},
		{"two that share", []requests{{proxy, true, 50}, {other, true, 50}}, nil},
		{"one that comes later", []requests{{other, false, 1000}, {proxy, true, 100}}, []int{100}},
		{"one that stays", []requests{{proxy, true, 200}}, []int{100, 100}},
		{"few in each of two windows", []requests{{proxy, true, 40}, {other, false, 60}, {proxy, true, 40}, {other, false, 60}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var d middleware.ProxyDetector
			var got []int
			for _, r := range tt.all {
				for range r.n {
					suspect, found := d.Observe(r.peer, r.forwards)
					if !found {
						continue
					}
					got = append(got, suspect.Forwards)
					if suspect.Peer != proxy || suspect.Requests != 100 {
						t.Errorf("suspect = %+v", suspect)
					}
				}
			}
			if len(got) != len(tt.want) || len(got) > 0 && got[0] != tt.want[0] {
				t.Errorf("suspects with %v requests, want %v", got, tt.want)
			}
		})
	}
}

func TestUnnamedProxies(t *testing.T) {
	const message = "proxy missing from TRUSTED_PROXIES"
	xff, rfc7239 := http.Header{"X-Forwarded-For": {"203.0.113.9"}}, http.Header{"Forwarded": {"for=203.0.113.9"}}
	tests := []struct {
		name   string
		peers  []string // in turn
		header http.Header
		want   int
	}{
		{"a proxy", []string{"192.0.2.1:1"}, xff, 1},
		{"with Forwarded", []string{"192.0.2.1:1"}, rfc7239, 1},
		{"from several ports", []string{"192.0.2.1:1", "192.0.2.1:2", "[::ffff:192.0.2.1]:3"}, xff, 1},
		{"a client", []string{"192.0.2.1:1"}, http.Header{}, 0},
		{"a trusted proxy", []string{"10.0.0.1:1"}, xff, 0},
		{"a trusted proxy carries half", []string{"192.0.2.1:1", "10.0.0.1:1"}, xff, 0},
		{"Unix socket", []string{"@"}, xff, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			watch, err := middleware.UnnamedProxies(proxies, slog.New(slog.NewTextHandler(&out, nil)))
			if err != nil {
				t.Fatal(err)
			}
			served := 0
			h := watch(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ }))
			for i := range 1000 {
				h.ServeHTTP(httptest.NewRecorder(), requestFrom(tt.peers[i%len(tt.peers)], tt.header))
			}
			if got := strings.Count(out.String(), message); got != tt.want || served != 1000 {
				t.Errorf("%d warnings, %d served, want %d and 1000: %s", got, served, tt.want, out.String())
			}
			if strings.Contains(out.String(), "203.0.113.9") {
				t.Errorf("the log quotes the header: %s", out.String())
			}
		})
	}
	if _, err := middleware.UnnamedProxies(nil, nil); err == nil {
		t.Error("a nil log is accepted")
	}
}

func TestProxyDetectorIsConcurrent(t *testing.T) {
	var d middleware.ProxyDetector
	var mu sync.Mutex
	var group sync.WaitGroup
	found := 0
	for range 10 {
		group.Go(func() {
			for range 100 {
				if _, ok := d.Observe(netip.MustParseAddr("192.0.2.1"), true); ok {
					mu.Lock()
					found++
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	if found != 10 {
		t.Errorf("found %d times in 1000 requests, want 10", found)
	}
}
