// Package openapi owns the description of the REST API, openapi.json in the form of
// OpenAPI 3.1, and a page that shows it in a browser and sends requests: Swagger UI, from
// files that are embedded in the binary.
//
// Of the renderers that are kept, Swagger UI alone works with style-src 'self': Scalar,
// RapiDoc and OpenAPI Explorer write style attributes, and Scalar is three times as large.
// .ci/vendored.go makes assets/ from its npm package.
//
// The package knows neither the routes nor the payloads: tests of the whole program compare
// the description with both, and those of package resolvers compare its error codes with the
// table of operations. Start reading at [New].
package openapi

import (
	"bytes"
	"embed"
	"encoding/json"
	"net/http"
	"time"

	"cubegate/resolvers/pages"
)

//go:embed openapi.json
var document []byte

//go:embed index.html reference.css reference.js assets/*.gz assets/LICENSES.txt
var files embed.FS

// Description is the description and its page, ready to be served.
type Description struct {
	Page *pages.Page // its assets are in the folder "reference" below it

	document []byte
}

// relativeServer is the server in the embedded description: the folder in which the
// client found it. It is right behind every proxy, also with a path prefix.
const relativeServer = `"url": "."`

// New returns the description of a server. publicURL is the URL at which clients reach
// it, without a slash at its end, or "" if it is unknown. base is the last element of the
// page's path, such as "docs". links are what the page needs to know of other pages.
func New(publicURL, base string, links func(*http.Request) any) *Description {
	served := document
	if publicURL != "" {
		quoted, _ := json.Marshal(publicURL) // a string always encodes
		served = bytes.Replace(document, []byte(relativeServer), append([]byte(`"url": `), quoted...), 1)
	}
	return &Description{document: served, Page: pages.New(pages.Options{
		Path: base, Folder: "reference", Files: files, Template: "index.html",
		Assets: []string{
			"assets/swagger-ui.css.gz",
			"assets/swagger-ui.js.gz",
			"assets/LICENSES.txt",
			"reference.css",
			"reference.js",
		},
		Data: links,
	})}
}

// Document serves the description.
func (d *Description) Document(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.document))
}
