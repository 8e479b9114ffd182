package middleware

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync"
)

type clientIPKey struct{}

// ForwardingHeader is a header in which proxies name the client.
type ForwardingHeader string

// The two headers that ClientIP can read.
const (
	XForwardedFor ForwardingHeader = "x-forwarded-for"
	Forwarded     ForwardingHeader = "forwarded" // RFC 7239
)

// ClientIP stores the client's address in the context, for ClientIPFrom. Without
// trusted proxies it is the peer of the connection, whatever the headers state.
// ClientIP believes a trusted peer in the one given header. It reads that header from
// the right: each entry counts only if the proxy to its right is trusted, and the first
// untrusted address is the client. If all are trusted, the leftmost one is.
//
// ClientIP never reads the other header, even if the given one is absent. A proxy that
// writes X-Forwarded-For usually forwards the client's Forwarded unchanged, and vice
// versa; some proxies remove X-Forwarded-For and still forward Forwarded. So the
// presence of a header does not prove that the proxy wrote it.
//
// If an entry contains no address, the last proxy that was read replaces the client,
// which at worst limits its clients together, and log gets one warning per proxy. An
// obfuscated identifier (RFC 7239 section 6.3) identifies no client either: a proxy may
// use a new one for each request.
//
// chi's middleware for X-Forwarded-For refuses entries with a port or brackets, which
// Azure always writes and AWS on request, and does not support Forwarded. Its older
// RealIP believed any peer (GO-2026-5774, -5775, -5777).
func ClientIP(trusted []netip.Prefix, header ForwardingHeader, log *slog.Logger) (func(http.Handler) http.Handler, error) {
	if header != XForwardedFor && header != Forwarded {
		return nil, fmt.Errorf("forwarding header %q, want %q or %q", header, XForwardedFor, Forwarded)
	}
	if log == nil {
		return nil, errors.New("finding the client's address: no log")
	}
	f := &clientFinder{trusted: trusted, header: header, log: log}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), clientIPKey{}, f.client(r))))
		})
	}, nil
}

// ClientIPFrom returns the client's address without a port, or "" if it is unknown. ctx
// must come from a request that passed ClientIP.
func ClientIPFrom(ctx context.Context) string {
	client, _ := ctx.Value(clientIPKey{}).(string)
	return client
}

type clientFinder struct {
	trusted []netip.Prefix
	header  ForwardingHeader
	log     *slog.Logger
	warned  firstTimes
}

// client returns the address of r's client, or "" for a Unix socket.
func (f *clientFinder) client(r *http.Request) string {
	current, ok := peerAddr(r)
	if !ok {
		return ""
	}
	if f.header.otherOnly(r.Header) && isAmong(current, f.trusted) {
		f.warn(r, current, headerAbsent)
	}
	for addr, reason := range f.header.hops(r.Header) {
		if !isAmong(current, f.trusted) {
			break
		}
		if reason != "" {
			f.warn(r, current, reason)
			break
		}
		current = addr
	}
	return current.String()
}

// warn logs the first time that a proxy does not name its client. It omits the header's
// text, which may come from a client.
func (f *clientFinder) warn(r *http.Request, proxy netip.Addr, reason hopReason) {
	if !f.warned.add(proxy) {
		return
	}
	f.log.LogAttrs(r.Context(), slog.LevelWarn, "trusted proxy sent no readable client address",
		slog.String("proxy", proxy.String()), slog.String("header", string(f.header)), slog.String("reason", string(reason)))
}

// otherOnly reports whether h has only the header that f does not read.
func (f ForwardingHeader) otherOnly(h http.Header) bool {
	other := Forwarded
	if f == Forwarded {
		other = XForwardedFor
	}
	return len(h.Values(string(f))) == 0 && len(h.Values(string(other))) > 0
}

// peerAddr returns the peer's address. A Unix socket has none.
func peerAddr(r *http.Request) (netip.Addr, bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return peer.Addr().Unmap(), err == nil
}

// isAmong reports whether one of the networks contains addr, in any zone: a prefix
// contains no address with a zone.
func isAmong(addr netip.Addr, networks []netip.Prefix) bool {
	addr = addr.WithZone("")
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// maxFirstTimes bounds the addresses that firstTimes holds.
const maxFirstTimes = 64

// firstTimes holds the addresses for which a warning was logged. The zero value is
// ready for use, also concurrently.
type firstTimes struct {
	mu   sync.Mutex
	seen map[netip.Addr]bool
}

// add reports whether addr is new. A full set takes no further addresses.
func (f *firstTimes) add(addr netip.Addr) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen[addr] || len(f.seen) >= maxFirstTimes {
		return false
	}
	if f.seen == nil {
		f.seen = make(map[netip.Addr]bool)
	}
	f.seen[addr] = true
	return true
}
