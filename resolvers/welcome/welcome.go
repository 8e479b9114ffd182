// Package welcome is the page that a browser gets at GET /: links to the other pages, and,
// while nothing is real, what runs and a button that registers a first user.
//
// The package decides what a visitor learns. If the application or the database is real,
// that is nothing but the links: neither the version, which tells an attacker what to try,
// nor the database, nor the application. Other clients get the greeting of the NestJS
// original. It knows no settings: package server passes [Facts].
package welcome

import (
	"embed"
	"io"
	"net/http"

	"cubegate/resolvers/pages"
)

//go:embed index.html welcome.css welcome.js
var files embed.FS

// Facts are what the page may show. The fields after Playground count only while both
// stand-ins run.
type Facts struct {
	StandIns   bool // the database is the embedded one, and ConnectyCube the sandbox
	Playground bool // it is on

	Version   string
	AppID     int64                      // the sandbox's application
	Dashboard func(*http.Request) string // its URL, as the client of a request sees it
}

// view is what the template reads.
type view struct {
	StandIns, Playground bool
	Version, Dashboard   string
	AppID                int64
}

// New returns the page, with its assets in the folder "welcome" below it.
func New(f Facts) *pages.Page {
	return pages.New(pages.Options{
		Folder: "welcome", Files: files, Template: "index.html",
		Assets: []string{"welcome.css", "welcome.js"},
		Data: func(r *http.Request) any {
			v := view{StandIns: f.StandIns, Playground: f.Playground}
			if f.StandIns {
				v.Version, v.AppID, v.Dashboard = f.Version, f.AppID, f.Dashboard(r)
			}
			return v
		},
	})
}

// Greet answers a client that does not ask for HTML, like GET / of the NestJS original.
func Greet(w http.ResponseWriter, _ *http.Request) {
	w.Header().Add("Vary", "Accept")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, "Hello World!") // the client may be gone
}
