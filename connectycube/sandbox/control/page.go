package control

import (
	"bytes"
	"embed"
	"io/fs"
	"net/http"
	"time"
)

// The page consists of files without a build step; .ci/vendored.go makes those in
// page/vendor. It shows the data of the control area and contains none, so it is public.
//
//go:embed page
var pageFiles embed.FS

// openPages returns the public paths: the page, and the certificate that clients must
// trust to reach the sandbox.
func openPages(certificate []byte) map[string]http.HandlerFunc {
	pages := map[string]http.HandlerFunc{
		"/": pageFile("page/index.html", "text/html; charset=utf-8"),
	}
	for pattern, kind := range map[string]string{
		"page/*.js":        "text/javascript; charset=utf-8",
		"page/vendor/*.js": "text/javascript; charset=utf-8",
		"page/*.css":       "text/css; charset=utf-8",
	} {
		files, _ := fs.Glob(pageFiles, pattern) // the patterns are valid
		for _, file := range files {
			pages[controlPrefix+"/"+file] = pageFile(file, kind)
		}
	}
	if certificate != nil {
		pages[controlPrefix+"/ca.pem"] = fileHandler("ca.pem", "application/x-x509-ca-cert", bytes.Clone(certificate))
	}
	return pages
}

func pageFile(path, kind string) http.HandlerFunc {
	content, err := pageFiles.ReadFile(path)
	if err != nil {
		panic(err) // the file is embedded
	}
	return fileHandler(path, kind, content)
}

// fileHandler serves one file. The policy lets a page run its own script only, because
// the page shows names and messages from others.
func fileHandler(name, kind string, content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("Content-Type", kind)
		h.Set("Cache-Control", "no-cache")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "+
			"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	}
}
