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

// ForwardingHeader is the header in which proxies name the client.
type ForwardingHeader string

// The two headers that ClientIP can read.
const (
	XForwardedFor ForwardingHeader = "x-forwarded-for"
	Forwarded     ForwardingHeader = "forwarded" // RFC 7239
)

// ClientIP finds the address of the client, for ClientIPFrom. Without trusted
// proxies it is the peer of the connection, whatever the headers say. A trusted
// peer is believed in the one header given, which is read from the right: each
// address counts only because the proxy to its right is trusted, and the first
// that is no trusted proxy is the client. If all are trusted, the leftmost is.
//
// The other header is never read, not even when the given one is absent. A proxy
// that writes X-Forwarded-For usually passes Forwarded on as the client sent it,
// and the other way round; some remove X-Forwarded-For and still pass Forwarded
// on. So a header's presence does not show that the proxy wrote it.
//
// When an entry names no address, the last proxy that was read stands for its
// clients, which at worst limits them together, and log gets one warning for
// each proxy. An obfuscated identifier (RFC 7239 section 6.3) names no client
// either: a proxy may draw a new one for each request.
//
// chi's middleware for X-Forwarded-For refuses entries with a port or brackets,
// which Azure writes always and AWS on request, and does not know Forwarded. Its
// older RealIP believed any peer (GO-2026-5774, -5775, -5777).
func ClientIP(trusted []netip.Prefix, header ForwardingHeader, log *slog.Logger) (func(http.Handler) http.Handler, error) {
	if header != XForwardedFor && header != Forwarded {
		return nil, fmt.Errorf("forwarding header %q, want %q or %q", header, XForwardedFor, Forwarded)
	}
	if log == nil {
		return nil, errors.New("finding clients without a log")
	}
	f := &clientFinder{trusted: trusted, header: header, log: log}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), clientIPKey{}, f.client(r))))
		})
	}, nil
}

// ClientIPFrom returns the address of the client whose request ctx belongs to,
// without a port, or "" when it is not known.
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

// client returns the address that r is from, or "" for a Unix socket.
func (f *clientFinder) client(r *http.Request) string {
	current, ok := peerAddr(r)
	if !ok {
		return ""
	}
	if f.header.otherOnly(r.Header) && isAmong(current, f.trusted) {
		f.warn(r, current, headerAbsent)
	}
	for addr, trouble := range f.header.hops(r.Header) {
		if !isAmong(current, f.trusted) {
			break
		}
		if trouble != "" {
			f.warn(r, current, trouble)
			break
		}
		current = addr
	}
	return current.String()
}

// warn logs the first time that proxy names no client. It leaves out what the
// header says, which may come from a client.
func (f *clientFinder) warn(r *http.Request, proxy netip.Addr, trouble hopTrouble) {
	if !f.warned.add(proxy) {
		return
	}
	f.log.LogAttrs(r.Context(), slog.LevelWarn, "a trusted proxy names no client that can be read",
		slog.String("proxy", proxy.String()), slog.String("header", string(f.header)), slog.String("reason", string(trouble)))
}

// otherOnly reports whether h has the header that f does not read and lacks its own.
func (f ForwardingHeader) otherOnly(h http.Header) bool {
	other := Forwarded
	if f == Forwarded {
		other = XForwardedFor
	}
	return len(h.Values(string(f))) == 0 && len(h.Values(string(other))) > 0
}

// peerAddr returns the address at the other end of r's connection. A Unix socket
// has none.
func peerAddr(r *http.Request) (netip.Addr, bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return peer.Addr().Unmap(), err == nil
}

// isAmong reports whether addr lies in one of the networks, in whatever zone: a
// prefix contains no address that has one.
func isAmong(addr netip.Addr, networks []netip.Prefix) bool {
	addr = addr.WithZone("")
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// maxFirstTimes bounds the addresses that firstTimes holds.
const maxFirstTimes = 64

// firstTimes holds the addresses that something was logged about. The zero value
// is ready for use, also concurrently.
type firstTimes struct {
	mu   sync.Mutex
	seen map[netip.Addr]bool
}

// add reports whether addr is new. When the set is full, no address is.
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
