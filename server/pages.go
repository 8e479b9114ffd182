package server

import (
	"net/http"
	"path"
	"runtime/debug"

	"cubegate/middleware"
	"cubegate/resolvers"
	"cubegate/resolvers/openapi"
	"cubegate/resolvers/playground"
	"cubegate/resolvers/transport"
	"cubegate/resolvers/welcome"
	"cubegate/server/config"

	"github.com/go-chi/chi/v5"
)

// docsPath is the route of the API reference.
const docsPath = "/docs"

// links are the pages beside a page, for its template.
type links struct {
	Playground bool
	Dashboard  string // its URL without a slash at its end; "" without a sandbox
}

// browserPages mounts the pages for browsers.
type browserPages struct {
	cfg    config.Config
	chat   resolvers.ChatEndpoints
	router chi.Router
}

func (p browserPages) links(r *http.Request) any {
	return links{Playground: p.cfg.HTTP.Playground, Dashboard: p.dashboard(r)}
}

// dashboard returns the URL of the sandbox's dashboard as the client sees it, or "".
func (p browserPages) dashboard(r *http.Request) string {
	if !p.cfg.HasSandbox() {
		return ""
	}
	return p.chat.SeenBy(r.Context()).APIURL
}

// mountStart mounts the page at /, and the greeting for clients that are no browsers.
func (p browserPages) mountStart() {
	page := welcome.New(welcome.Facts{
		StandIns: p.cfg.HasStandIns(), Playground: p.cfg.HTTP.Playground,
		Version: versionText(debug.ReadBuildInfo()), AppID: sandboxAppID, Dashboard: p.dashboard,
	})
	p.router.Get("/", forBrowsers(page, http.HandlerFunc(welcome.Greet), "Accept"))
	p.mountAssets("/welcome/*", page)
}

// mountReference mounts the description of the REST API and its page.
func (p browserPages) mountReference() {
	description := openapi.New(p.cfg.HTTP.PublicURL, path.Base(docsPath), p.links)
	p.router.Get("/openapi.json", description.Document)
	p.router.Get(docsPath, description.Page.ServeHTTP)
	p.mountAssets(docsPath+"/reference/*", description.Page)
}

// withPlayground mounts the assets of the playground. It returns a handler that serves
// its page to browsers, and queries to other clients. If the playground is off, all are
// other clients.
func (p browserPages) withPlayground(queries http.Handler) http.Handler {
	if !p.cfg.HTTP.Playground {
		return queries
	}
	page := playground.Handler(path.Base(APIPath), p.links)
	p.mountAssets(APIPath+"/playground/*", page)
	return forBrowsers(page, queries, "Authorization, Accept")
}

// mountAssets mounts the assets of a page, which may be larger than an answer of the API.
func (p browserPages) mountAssets(pattern string, page http.Handler) {
	p.router.With(middleware.WriteTimeout(assetTimeout)).Handle(pattern, page)
}

// forBrowsers serves the page to clients that ask for HTML, and lets others have their
// answer. vary names the headers that decide; the other handler names them itself.
func forBrowsers(page, others http.Handler, vary string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !transport.AcceptsHTML(r) {
			others.ServeHTTP(w, r)
			return
		}
		w.Header().Add("Vary", vary)
		page.ServeHTTP(w, r)
	}
}
