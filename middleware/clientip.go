package middleware

import (
	"context"
	"net/http"
	"net/netip"

	chimiddleware "github.com/go-chi/chi/v5/middleware"
)

type clientIPKey struct{}

// ClientIP finds out who sent a request. X-Forwarded-For counts only when the
// peer itself is one of the trusted proxies, and is then read from the right,
// past other trusted ones; with none trusted the peer is the client. When the
// header of a trusted proxy says nothing usable, the proxy stands for its
// clients, which at worst limits them together.
//
// chi's older RealIP believed whatever anyone sent (GO-2026-5774, -5775, -5777).
func ClientIP(trusted []netip.Prefix) func(http.Handler) http.Handler {
	find := chimiddleware.ClientIPFromRemoteAddr
	if len(trusted) > 0 {
		prefixes := make([]string, len(trusted))
		for i, p := range trusted {
			prefixes[i] = p.String()
		}
		find = chimiddleware.ClientIPFromXFF(prefixes...)
	}
	return func(next http.Handler) http.Handler {
		return find(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			client := chimiddleware.GetClientIP(r.Context())
			if client == "" {
				client = peer(r)
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), clientIPKey{}, client)))
		}))
	}
}

func peer(r *http.Request) string {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil { // a Unix socket's peer has no address
		return ""
	}
	return addr.Addr().Unmap().String()
}

// ClientIPFrom returns the address of the client whose request ctx belongs to,
// without a port, or "" when there is none to know.
func ClientIPFrom(ctx context.Context) string {
	client, _ := ctx.Value(clientIPKey{}).(string)
	return client
}
