// Package playground is the page that a browser gets at GET /api: GraphiQL with example
// operations. All its assets are embedded in the binary, so it works without npm and
// internet access.
//
// The package owns the page and its assets. It knows neither the schema nor the rights of
// users: the page is one more client of POST /api, and the example operations in
// examples.js are its only copy of the contract.
//
// Start reading at Handler; the page is index.html and playground.js. .ci/vendored.go makes
// assets/, GraphiQL and React, from npm packages. GraphiQL is version 4, because
// version 5 is five times as large and needs style-src 'unsafe-inline'.
package playground

import (
	"embed"
	"net/http"

	"cubegate/resolvers/pages"
)

//go:embed index.html assets/*.gz assets/LICENSES.txt *.css *.js
var files embed.FS

// Handler serves the page, and its assets in the folder "playground" below it. base is the
// last element of the page's path, such as "api". links are what the page needs to know of
// other pages.
func Handler(base string, links func(*http.Request) any) http.Handler {
	return pages.New(pages.Options{
		Path: base, Folder: "playground", Files: files, Template: "index.html",
		Assets: []string{
			"assets/graphiql.css.gz",
			"assets/graphiql.js.gz",
			"assets/react.js.gz",
			"assets/react-dom.js.gz",
			"assets/LICENSES.txt",
			"playground.css",
			"storage.js",
			"examples.js",
			"tokens.js",
			"repair.js",
			"playground.js",
		},
		Data: links,
	})
}
