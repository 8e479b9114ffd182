// Package playground is the page that a browser gets at GET /api: GraphiQL with
// the API's operations ready to run. Everything it loads is embedded in the
// binary, so it works without npm and without internet.
//
// The package owns the page, its assets and the policy under which a browser
// runs them. It knows nothing of the schema or of who may call it: the page is
// one more client of POST /api, and the example operations in playground.js are
// its only copy of the contract.
//
// Start reading at Handler; the page itself is index.html and playground.js.
// assets/ holds GraphiQL and React as build.go makes them from the npm packages.
// GraphiQL is version 4: version 5 is five times the size and needs
// style-src 'unsafe-inline', which is much for a page for developers.
package playground

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"strings"
	"time"
)

//go:generate go run build.go

// policy lets the page load what the binary serves, call the API, and nothing
// else. data: is for the editor's underlining of mistakes.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed index.html
var indexHTML string

// Handler serves the page, and what the page loads under base+"/playground/",
// both for GET and HEAD; other methods get 405. base is an absolute path without
// a trailing slash, such as "/api". Which spellings of the two addresses arrive
// here is the router's choice: all but those under the folder get the page, in
// any case of letters. Route them with the whole path left in the request:
//
//	r.Get("/api", h.ServeHTTP)
//	r.Head("/api", h.ServeHTTP)
//	r.Handle("/api/playground/*", h)
func Handler(base string) http.Handler {
	assets := load()
	folder := base + "/playground/"
	page := newPage(render(folder, assets))
	byURL := make(map[string]*asset, len(assets))
	for _, a := range assets {
		byURL[a.url] = a
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the playground is only read", http.StatusMethodNotAllowed)
			return
		}
		if len(r.URL.Path) < len(folder) || !strings.EqualFold(r.URL.Path[:len(folder)], folder) {
			page(w, r)
			return
		}
		// A lookup in a fixed table, so no name can lead out of it.
		if a, ok := byURL[r.URL.Path[len(folder):]]; ok {
			a.ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
	})
}

func newPage(content []byte) http.HandlerFunc {
	tag := `"` + sum(content) + `"`
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache") // it names the assets of this very build
		h.Set("ETag", tag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}
}

// render fills index.html, where {{asset "name"}} stands for an asset's address.
// It panics on a name that no asset has.
func render(folder string, assets map[string]*asset) []byte {
	address := func(name string) string { return folder + assets[name].url }
	parsed := template.Must(template.New("index.html").Funcs(template.FuncMap{"asset": address}).Parse(indexHTML))
	var page bytes.Buffer
	if err := parsed.Execute(&page, nil); err != nil {
		panic(err)
	}
	return page.Bytes()
}

// sum shortens SHA-256 to 96 bits: enough to tell builds apart.
func sum(content []byte) string {
	full := sha256.Sum256(content)
	return hex.EncodeToString(full[:12])
}
