// Package playground is the page that a browser gets at GET /api: GraphiQL with example
// operations. All its assets are embedded in the binary, so it works without npm and
// internet access.
//
// The package owns the page, its assets and the security policy of the page. It knows
// neither the schema nor the rights of users: the page is one more client of POST /api,
// and the example operations in playground.js are its only copy of the contract.
//
// Start reading at Handler; the page is index.html and playground.js. build.go makes
// assets/, GraphiQL and React, from npm packages. GraphiQL is version 4, because
// version 5 is five times as large and needs style-src 'unsafe-inline'.
package playground

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:generate go run build.go

// policy allows the page to load assets of this server, to call the API, and nothing
// else. The editor uses data: to underline mistakes.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed index.html
var indexHTML string

// folderName is the last element of the folder of the assets, below the page.
const folderName = "playground/"

// Handler serves the page, and its assets in the folder "playground" below it, for GET
// and HEAD; other methods get 405. base is the last element of the page's path, such as
// "api". Every path outside of the folder gets the page, and neither letter case nor
// doubled slashes matter. Routes must keep the whole path in the request:
//
//	r.Get("/api", h.ServeHTTP)
//	r.Head("/api", h.ServeHTTP)
//	r.Handle("/api/playground/*", h)
//
// The page refers to its assets by relative URLs, so a proxy may serve it under a path
// prefix that this server does not know.
func Handler(base string) http.Handler {
	assets := load()
	page, pageOfFolder := newPage(render(base+"/"+folderName, assets)), newPage(render(folderName, assets))
	byURL := make(map[string]*asset, len(assets))
	for _, a := range assets {
		byURL[a.url] = a
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the playground allows GET and HEAD only", http.StatusMethodNotAllowed)
			return
		}
		folder, name := path.Split(r.URL.Path)
		switch inFolder := strings.Contains(strings.ToLower(folder), "/"+folderName); {
		case !inFolder && name == "": // such as /api/, against which a browser resolves URLs
			pageOfFolder(w, r)
		case !inFolder:
			page(w, r)
		case byURL[name] != nil: // a lookup in a fixed table: no name can reach other files
			byURL[name].ServeHTTP(w, r)
		default:
			http.NotFound(w, r)
		}
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
		h.Set("Cache-Control", "no-cache") // it contains the URLs of this build's assets
		h.Set("ETag", tag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}
}

// render executes index.html, where {{asset "name"}} stands for the URL of an asset. It
// panics on an unknown name.
func render(folder string, assets map[string]*asset) []byte {
	assetURL := func(name string) string { return folder + assets[name].url }
	parsed := template.Must(template.New("index.html").Funcs(template.FuncMap{"asset": assetURL}).Parse(indexHTML))
	var page bytes.Buffer
	if err := parsed.Execute(&page, nil); err != nil {
		panic(err)
	}
	return page.Bytes()
}

// sum returns SHA-256 cut to 96 bits, which is enough to distinguish builds.
func sum(content []byte) string {
	full := sha256.Sum256(content)
	return hex.EncodeToString(full[:12])
}
