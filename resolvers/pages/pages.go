// Package pages serves the pages for browsers: a template and its assets, from files that
// the program embeds. It owns their security policy, their caching and their relative
// URLs. It knows neither what a page shows nor the API that a page calls.
//
// Start reading at [New].
package pages

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// policy allows a page to load assets of this server, to call its API, and nothing else.
// GraphiQL and Swagger UI use data: for small images.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// shared are assets that the template of each page can use.
//
//go:embed icon.svg theme.css
var shared embed.FS

// Options describe a page. Path and Data may be empty.
type Options struct {
	Path   string   // last element of the page's path, such as "api"; "" at the root
	Folder string   // of the assets, below the page, such as "playground"
	Files  fs.FS    // has the template and the assets
	Assets []string // their paths in Files; one that ends in .gz is stored compressed

	// Template is the path of the page in Files. In it, {{asset "name"}} is the URL of an
	// asset, and {{root}} that of the server with a slash at its end.
	Template string

	Data func(*http.Request) any // for the template; nil: the page is the same for all requests
}

// A Page is one page with its assets.
type Page struct {
	folder string
	data   func(*http.Request) any
	files  func() *loaded // reads them at the first call
}

// loaded are the files of a page.
type loaded struct {
	byURL    map[string]*asset
	atPath   *rendering
	atFolder *rendering
}

// New returns a page. Its handler serves GET and HEAD; other methods get 405. Neither
// letter case nor doubled slashes in the path matter. Routes must keep the whole path in
// the request:
//
//	r.Get("/api", page.ServeHTTP)
//	r.Handle("/api/playground/*", page)
//
// The page refers to its assets by relative URLs, so a proxy may serve it under a path
// prefix that this server does not know. The first request reads the files, because most
// servers get none; it panics if they do not fit together.
func New(o Options) *Page {
	return &Page{folder: o.Folder + "/", data: o.Data, files: sync.OnceValue(func() *loaded { return loadPage(o) })}
}

func loadPage(o Options) *loaded {
	assets := load(o.Files, o.Assets)
	maps.Copy(assets, load(shared, []string{"icon.svg", "theme.css"}))
	byURL := make(map[string]*asset, len(assets))
	for _, a := range assets {
		byURL[a.url] = a
	}
	folder := o.Folder + "/"
	below, up := o.Path+"/"+folder, "../"
	if o.Path == "" {
		below, up = folder, "./"
	}
	return &loaded{byURL, newRendering(o, assets, place{below, "./"}), newRendering(o, assets, place{folder, up})}
}

func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "this page allows GET and HEAD only", http.StatusMethodNotAllowed)
		return
	}
	files := p.files()
	folder, name := path.Split(r.URL.Path)
	switch inFolder := strings.Contains(strings.ToLower(folder), "/"+p.folder); {
	case !inFolder && name == "": // such as /api/, against which a browser resolves URLs
		p.serve(w, r, files.atFolder)
	case !inFolder:
		p.serve(w, r, files.atPath)
	case files.byURL[name] != nil: // a lookup in a fixed table: no name can reach other files
		files.byURL[name].ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (p *Page) serve(w http.ResponseWriter, r *http.Request, page *rendering) {
	content := page.fixed
	if p.data != nil {
		content = page.render(p.data(r))
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache") // it contains the URLs of this build's assets
	h.Set("ETag", `"`+sum(bytes.NewReader(content))+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// place holds relative URLs as a page at one path needs them.
type place struct{ folder, root string }

// rendering is the page for one place.
type rendering struct {
	parsed *template.Template
	fixed  []byte // without data
}

func newRendering(o Options, assets map[string]*asset, at place) *rendering {
	functions := template.FuncMap{
		"asset": func(name string) string { return at.folder + assets[name].url }, // panics on an unknown name
		"root":  func() string { return at.root },
	}
	parsed := template.Must(template.New(path.Base(o.Template)).Funcs(functions).ParseFS(o.Files, o.Template))
	page := &rendering{parsed: parsed}
	if o.Data == nil {
		page.fixed = page.render(nil)
	}
	return page
}

// render panics if the template does not fit the data.
func (p *rendering) render(data any) []byte {
	var page bytes.Buffer
	if err := p.parsed.Execute(&page, data); err != nil {
		panic(err)
	}
	return page.Bytes()
}
