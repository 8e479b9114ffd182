package playground

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed assets/*.gz assets/LICENSES.txt playground.css playground.js icon.svg
var files embed.FS

// embedded lists the assets of the page, by their paths in files. A path that ends in
// .gz is stored compressed; the page uses the name without that suffix.
var embedded = []string{
	"assets/graphiql.css.gz",
	"assets/graphiql.js.gz",
	"assets/react.js.gz",
	"assets/react-dom.js.gz",
	"assets/LICENSES.txt",
	"playground.css",
	"playground.js",
	"icon.svg",
}

// contentTypes replaces the table of package mime, which reads that of the system and
// so differs between machines.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
	".txt": "text/plain; charset=utf-8",
}

// An asset is one file that the page loads. Its URL contains the checksum of its
// content, so browsers may cache it forever.
type asset struct {
	url         string // last element of its URL: name-sum.ext
	contentType string
	tag         string // checksum of the stored content

	gzipped []byte                 // nil if stored without compression
	plain   func() ([]byte, error) // decompresses once, at the first call
}

// load returns the embedded assets by name.
func load() map[string]*asset {
	assets := make(map[string]*asset, len(embedded))
	for _, file := range embedded {
		stored, err := files.ReadFile(file)
		if err != nil {
			panic(err) // missing in go:embed above
		}
		name, compressed := strings.CutSuffix(path.Base(file), ".gz")
		ext := path.Ext(name)
		a := &asset{contentType: contentTypes[ext], tag: sum(stored)}
		a.url = strings.TrimSuffix(name, ext) + "-" + a.tag + ext
		a.plain = func() ([]byte, error) { return stored, nil }
		if compressed {
			a.gzipped = stored
			a.plain = sync.OnceValues(func() ([]byte, error) { return unpack(stored) })
		}
		assets[name] = a
	}
	return assets
}

// ServeHTTP serves the asset as it is stored, or decompressed for the rare client that
// does not accept gzip.
func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", `"`+a.tag+`"`)

	content := a.gzipped
	if a.gzipped != nil {
		h.Add("Vary", "Accept-Encoding")
	}
	if a.gzipped != nil && acceptsGzip(r.Header.Values("Accept-Encoding")) {
		h.Set("ETag", `"`+a.tag+`-gzip"`) // other bytes, so another strong tag (RFC 9110, 8.8.3.3)
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Length", strconv.Itoa(len(content))) // ServeContent omits it from encoded answers
	} else {
		var err error
		if content, err = a.plain(); err != nil {
			http.Error(w, "asset is damaged", http.StatusInternalServerError)
			return
		}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// acceptsGzip evaluates Accept-Encoding as in RFC 9110, section 12.5.3. Without the
// header it returns false, because such a client, curl for example, would show
// compressed bytes.
func acceptsGzip(headers []string) bool {
	star := false
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		coding, params, _ := strings.Cut(part, ";")
		accepted := true
		for param := range strings.SplitSeq(params, ";") {
			key, value, _ := strings.Cut(strings.TrimSpace(param), "=")
			if strings.EqualFold(key, "q") {
				weight, err := strconv.ParseFloat(value, 64)
				accepted = err == nil && weight > 0
			}
		}
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			return accepted // a named coding takes precedence over *, in any order
		case "*":
			star = accepted
		}
	}
	return star
}

func unpack(gzipped []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(gzipped))
	if err != nil {
		return nil, fmt.Errorf("decompressing: %w", err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("decompressing: %w", err)
	}
	return content, nil
}
