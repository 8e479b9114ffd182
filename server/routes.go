package server

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"cubegate/middleware"
	"cubegate/resolvers"
	"cubegate/resolvers/openapi"
	"cubegate/resolvers/playground"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
)

// apiPath is where GraphQL and its playground live.
const apiPath = "/api"

// routes is everything that answers, one line each.
func (p *program) routes() (http.Handler, error) {
	gql, err := resolvers.NewGraphQL(p.auth, p.cfg.Playground, p.log)
	if err != nil {
		return nil, err
	}
	cors, err := middleware.CORS(p.origins())
	if err != nil {
		return nil, fmt.Errorf("CORS_ORIGINS: %w", err)
	}
	clientIP, err := middleware.ClientIP(p.trusted(), middleware.ForwardingHeader(p.cfg.ForwardedHeader), p.log)
	if err != nil {
		return nil, fmt.Errorf("FORWARDED_HEADER: %w", err)
	}
	unnamedProxies, err := middleware.UnnamedProxies(p.trusted(), p.log)
	if err != nil {
		return nil, fmt.Errorf("TRUSTED_PROXIES: %w", err)
	}
	verify := p.auth.VerifyConnectyCube()
	requests := middleware.NewRequestLog(p.log)
	p.onClose(func(context.Context) error { requests.Close(); return nil })

	r := chi.NewRouter()
	r.Use(
		middleware.RequestID,
		clientIP,
		requests.Middleware,
		middleware.Headers,
		middleware.Discard,
		middleware.Recover(p.log, resolvers.Refuse(resolvers.Internal, "Something went wrong on our side", p.log)),
		cors,
		middleware.LenientPath,
		p.requests.Gate(neverRefused, resolvers.Refuse(resolvers.Unavailable, "The service is stopping; try again", p.log)),
		chimiddleware.GetHead,
		resolvers.Bearer,
		resolvers.CountRefusals(middleware.Refused),
	)
	r.NotFound(resolvers.Refuse(resolvers.NotFound, "There is nothing here; the API is at "+apiPath, p.log))
	r.MethodNotAllowed(p.methodNotAllowed(r))

	r.Get("/", resolvers.Home)
	r.Get("/healthz", p.health.Alive)
	r.Get("/readyz", p.health.Ready)
	// A POST of GraphQL counts as a login here: telling takes reading its document.
	logins := r.With(unnamedProxies)
	logins.Post(apiPath, gql.ServeHTTP)
	r.Get(verifyPath, verify)
	r.Post(verifyPath, verify)
	p.restRoutes(r, logins)
	r.Get("/.well-known/jwks.json", resolvers.JWKS(p.publicKeys))
	r.Get("/openapi.json", openapi.Document)
	r.Get("/docs", openapi.Page)
	if p.cfg.Playground {
		page := playground.Handler(apiPath)
		r.Get(apiPath, p.forBrowsers(page))
		r.Handle(apiPath+"/playground/*", page)
	}
	return r, nil
}

// restRoutes are the REST twins of the operations; those that log users in go to
// logins.
func (p *program) restRoutes(r, logins chi.Router) {
	rest := resolvers.NewREST(p.auth)
	r.Post("/auth/register", rest.Register)
	logins.Post("/auth/login", rest.Login)
	logins.Post("/auth/login-by-token", rest.LoginByToken)
	r.Post("/auth/refresh", rest.Refresh)
	r.Post("/auth/logout", rest.Logout)
	r.Get("/auth/me", rest.Me)
	r.Get("/auth/sessions", rest.Sessions)
	r.Delete("/auth/sessions", rest.LogoutEverywhere)
	r.Delete("/auth/sessions/{id}", rest.RevokeSession)
}

// neverRefused are those who must get in while the service stops: ConnectyCube,
// which a login that is going on waits for, and who looks after the process.
func neverRefused(r *http.Request) bool {
	return slices.Contains([]string{verifyPath, "/healthz", "/readyz"}, chi.RouteContext(r.Context()).RoutePath)
}

// trusted are the proxies whose word about the client counts; the settings'
// check has read them already.
func (p *program) trusted() []netip.Prefix {
	var list []netip.Prefix
	for _, s := range p.cfg.TrustedProxies {
		list = append(list, netip.MustParsePrefix(s))
	}
	return list
}

// origins are the pages elsewhere whose scripts may call us: those that are
// set, else any while nothing here is real.
func (p *program) origins() []string {
	if p.cfg.CORS.Origins == nil && p.cfg.HasEmbeddedDatabase() && p.cfg.HasSandbox() {
		return []string{"*"}
	}
	return p.cfg.CORS.Origins
}

// forBrowsers shows a page to who asks for one, and tells other clients what
// to do.
func (p *program) forBrowsers(page http.Handler) http.HandlerFunc {
	refuse := resolvers.Refuse(resolvers.MethodNotAllowed, "POST GraphQL here, as application/json; browsers get a playground", p.log)
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept")
		if resolvers.WantsPage(r) {
			page.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, r)
	}
}

// methodNotAllowed says what is allowed, which chi tells only its own handler.
func (p *program) methodNotAllowed(routes chi.Routes) http.HandlerFunc {
	refuse := resolvers.Refuse(resolvers.MethodNotAllowed, "Not by this method; see the header Allow", p.log)
	return func(w http.ResponseWriter, r *http.Request) {
		path := or(chi.RouteContext(r.Context()).RoutePath, r.URL.Path)
		var allowed []string
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			if routes.Match(chi.NewRouteContext(), method, path) {
				allowed = append(allowed, method)
			}
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		refuse(w, r)
	}
}
