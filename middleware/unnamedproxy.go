package middleware

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
)

// proxyWindow is the number of requests after which a ProxyDetector decides.
const proxyWindow = 100

// A ProxyDetector finds a proxy that is missing from the settings: a peer that sends a
// forwarding header with more than half of all requests. All clients behind such a
// proxy share the limits of one address.
//
// It decides after each 100 requests, from these alone, so it holds at most 100 peers
// and also detects a proxy that starts later. It has no clock and does not log. The
// zero value is ready for use, also concurrently.
//
// A client that sends the header itself looks the same. So a result is a hint for the
// operator and no reason to believe the peer.
type ProxyDetector struct {
	mu         sync.Mutex
	requests   int
	forwarding map[netip.Addr]int // requests with a forwarding header, by peer
}

// Suspect is a peer that is probably a proxy.
type Suspect struct {
	Peer     netip.Addr
	Forwards int // requests of the window with a forwarding header of the peer
	Requests int // requests of the window, from all peers
}

// Observe counts one request from peer, with or without a forwarding header. At the end
// of a window it returns the suspect, if there is one. For a trusted proxy, call it
// with forwards false.
func (d *ProxyDetector) Observe(peer netip.Addr, forwards bool) (Suspect, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.requests++
	if forwards {
		if d.forwarding == nil {
			d.forwarding = make(map[netip.Addr]int)
		}
		d.forwarding[peer]++
	}
	if d.requests < proxyWindow {
		return Suspect{}, false
	}
	counted := d.forwarding
	d.requests, d.forwarding = 0, nil
	for peer, n := range counted {
		if 2*n > proxyWindow { // at most one peer can have more than half
			return Suspect{Peer: peer, Forwards: n, Requests: proxyWindow}, true
		}
	}
	return Suspect{}, false
}

// UnnamedProxies logs each peer that looks like a proxy and is not trusted, once per
// peer. Use it on the routes that log users in, where limits by address matter: other
// requests, such as health checks, would hide a proxy.
func UnnamedProxies(trusted []netip.Prefix, log *slog.Logger) (func(http.Handler) http.Handler, error) {
	if log == nil {
		return nil, errors.New("detecting proxies: no log")
	}
	var detector ProxyDetector
	var warned firstTimes
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if peer, ok := peerAddr(r); ok {
				forwards := !isAmong(peer, trusted) && (r.Header.Get(string(XForwardedFor)) != "" || r.Header.Get(string(Forwarded)) != "")
				suspect, found := detector.Observe(peer, forwards)
				if found && warned.add(suspect.Peer) {
					log.LogAttrs(r.Context(), slog.LevelWarn, "proxy missing from TRUSTED_PROXIES",
						slog.String("peer", suspect.Peer.String()), slog.Int("forwarded", suspect.Forwards), slog.Int("requests", suspect.Requests))
				}
			}
			next.ServeHTTP(w, r)
		})
	}, nil
}
