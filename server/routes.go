package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"cubegate/middleware"
	"cubegate/resolvers"
	"cubegate/resolvers/apierror"
	"cubegate/resolvers/transport"
	"cubegate/server/config"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
)

// APIPath is the route of GraphQL and its playground.
const APIPath = "/api"

// Write timeouts of routes, from the end of the request's headers to the end of
// the answer. Routes that do work have workTimeout, all others pageTimeout unless
// they say otherwise where they are mounted.
const (
	pageTimeout  = readTimeout + 5*time.Second // the body is read first; see middleware.Discard
	assetTimeout = 90 * time.Second            // the largest script has 1 MB without gzip
)

// routes returns the handler of the API: the middleware in its order, and one line
// for each route.
func (s *setup) routes() (http.Handler, error) {
	api, err := resolvers.NewAPI(resolvers.Options{Flows: s.flows, Client: clientOf, Chat: s.chat, Log: s.log, CallbackSecret: s.callbackSecret, Observe: s.metrics.operation})
	if err != nil {
		return nil, err
	}
	gql, err := api.GraphQL(s.cfg.HTTP.Playground)
	if err != nil {
		return nil, err
	}
	cors, err := corsOf(s.cfg)
	if err != nil {
		return nil, fmt.Errorf("CORS_ORIGINS: %w", err)
	}
	clientIP, err := middleware.ClientIP(trustedProxies(s.cfg), middleware.ForwardingHeader(s.cfg.HTTP.ForwardedHeader), s.log)
	if err != nil {
		return nil, fmt.Errorf("FORWARDED_HEADER: %w", err)
	}
	unnamedProxies, err := middleware.UnnamedProxies(trustedProxies(s.cfg), s.log)
	if err != nil {
		return nil, fmt.Errorf("TRUSTED_PROXIES: %w", err)
	}
	requests := middleware.NewRequestLog(s.log, requestLevel(ownRequests(s.cfg)...))
	s.onClose(func(context.Context) error { requests.Close(); return nil })

	r := chi.NewRouter()
	r.Use(
		s.api.connections.Streams, middleware.RequestID, middleware.Trace,
		clientIP,
		requests.Middleware,
		apierror.Report(apierror.Reporter{Count: middleware.Refused, Note: s.metrics.code}),
		middleware.SecurityHeaders,
		middleware.Discard,
		middleware.Recover(s.log, apierror.Handler(apierror.InternalServerError, "Something went wrong on our side", s.log)),
		cors,
		middleware.NormalizePath,
		s.requests.Middleware(exemptFromDrain),
		chimiddleware.GetHead,
		transport.Bearer,
	)
	r.NotFound(apierror.Handler(apierror.NotFound, "No such route; the API is at "+APIPath, s.log))
	r.MethodNotAllowed(methodNotAllowed(r, s.log))

	pages := browserPages{cfg: s.cfg, chat: s.chat, router: r}
	pages.mountStart()
	r.Get("/healthz", s.health.alive)
	r.Get("/readyz", s.health.ready)
	work := r.With(middleware.WriteTimeout(s.workTimeout()))
	// Each POST of GraphQL counts as a login here: only its document tells more.
	logins := work.With(unnamedProxies)
	logins.Post(APIPath, gql.ServeHTTP)
	api.Mount(work, logins)
	r.Get("/.well-known/jwks.json", s.serveKeys)
	pages.mountReference()
	work.Get(APIPath, pages.withPlayground(gql).ServeHTTP)
	return r, nil
}

// serveKeys serves the JWK set that verifies our tokens, empty if the secret signs them
// (RFC 7517, section 5).
func (s *setup) serveKeys(w http.ResponseWriter, _ *http.Request) {
	set := []byte(`{"keys":[]}`)
	if s.keys != nil {
		set = s.keys.JWKS()
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age=60") // a new key is published for longer than that before it signs
	_ = json.NewEncoder(w).Encode(json.RawMessage(set))   // the client may be gone
}

// workTimeout returns the write timeout of a route that may hash a password, ask
// ConnectyCube, or wait for a callback. It is longer than all that together, so
// that the answer is not lost.
func (s *setup) workTimeout() time.Duration {
	return readTimeout + s.cfg.Password.MaxWait + 2*s.upstreamTimeout() + 10*s.cfg.Mongo.Timeout
}

// exemptFromDrain reports whether the shutdown does not wait for a route: ConnectyCube's
// callback, which a running login waits for, and the health probes.
func exemptFromDrain(r *http.Request) bool {
	return slices.Contains([]string{VerifyPath, "/healthz", "/readyz"}, chi.RouteContext(r.Context()).RoutePath)
}

// trustedProxies returns the proxies that may name the client. Load has checked them.
func trustedProxies(cfg config.Config) []netip.Prefix {
	var list []netip.Prefix
	for _, cidr := range cfg.HTTP.TrustedProxies {
		list = append(list, netip.MustParsePrefix(cidr))
	}
	return list
}

// corsOf allows the origins of the settings. While both stand-ins run, nothing is real, so
// the default is any page if only this machine reaches the server, and else the pages of
// the networks that do.
func corsOf(cfg config.Config) (func(http.Handler) http.Handler, error) {
	switch {
	case cfg.HTTP.CORSOrigins != nil || !cfg.HasStandIns():
		return middleware.CORS(cfg.HTTP.CORSOrigins)
	case isLoopback(cfg.HTTP.Host):
		return middleware.CORS([]string{"*"})
	}
	return middleware.PrivateCORS(), nil
}

// methodNotAllowed returns a handler that lists the allowed methods; for OPTIONS that is
// the answer (RFC 9110, section 9.3.7). It asks routes, because chi passes the list to
// its own handler only.
func methodNotAllowed(routes chi.Routes, log *slog.Logger) http.HandlerFunc {
	refuse := apierror.Handler(apierror.MethodNotAllowed, "Method not allowed; the Allow header lists the allowed methods", log)
	return func(w http.ResponseWriter, r *http.Request) {
		route := cmp.Or(chi.RouteContext(r.Context()).RoutePath, r.URL.Path)
		var allowed []string
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			if routes.Match(chi.NewRouteContext(), method, route) {
				allowed = append(allowed, method)
			}
		}
		if slices.Contains(allowed, http.MethodGet) {
			allowed = append(allowed, http.MethodHead) // see GetHead
		}
		w.Header().Set("Allow", strings.Join(append(allowed, http.MethodOptions), ", "))
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		refuse(w, r)
	}
}
