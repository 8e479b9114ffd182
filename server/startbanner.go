package server

import (
	"cmp"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"cubegate/server/config"
)

// bannerColumns is the width of the banner: that of a terminal that was never resized.
const bannerColumns = 80

// banner prints what runs, where, and what to do next. Each stand-in has one row.
func (s *Server) banner(w io.Writer) {
	state := "is ready."
	if s.notes.refusedSetting != "" {
		state = "runs, but is not ready: ConnectyCube does not accept " + s.notes.refusedSetting + ". Registrations are refused."
	}
	fmt.Fprintf(w, "\n%s\n\n", strings.Join(wrap("cubegate "+state, bannerColumns), "\n"))
	printRows(w, 24, s.bannerURLs())
	fmt.Fprintln(w)
	printRows(w, 14, s.bannerFacts())
	fmt.Fprintln(w, "\nStop with Ctrl-C.")
}

// bannerURLs are the rows with the URLs that a person opens or enters elsewhere.
func (s *Server) bannerURLs() [][2]string {
	at := s.api.shownURL()
	rows := urlRows("GraphQL and playground", append([]string{at}, s.api.networkURLs()...), "/api")
	rows = append(rows, [2]string{"REST reference", at + docsPath})
	if s.cfg.HasSandbox() {
		rows = append(rows, [2]string{"Dashboard (sandbox)", s.sandbox.shownURL()})
	}
	return append(rows, [2]string{"ConnectyCube verifies", cmp.Or(s.cfg.HTTP.PublicURL, at) + VerifyPath})
}

// bannerFacts are the rows that say what runs, and what to do next.
func (s *Server) bannerFacts() [][2]string {
	rows := [][2]string{{"Version", versionText(debug.ReadBuildInfo())}, {"Database", s.databaseText()}, {"ConnectyCube", s.cubeText()}}
	if s.cfg.HasSandbox() {
		for _, url := range urlsOfOthers(s.cfg, s.sandbox) {
			rows = append(rows, [2]string{"", "also at " + url})
		}
		rows = append(rows, [2]string{"Application", fmt.Sprintf("%d, key %s", sandboxAppID, sandboxAuthKey)}, [2]string{"Network", s.reach()})
	}
	if s.bansEndHere() {
		rows = append(rows, [2]string{"Bans", "a disabled user can still log in at ConnectyCube itself, with the password that it has: " +
			"fill in the form of docs/identity-provider.md and set CONNECTYCUBE_CIDP_SECRET, or set CONNECTYCUBE_PASSWORD=derived."})
	}
	if s.authority != nil {
		rows = append(rows, [2]string{"TLS", "clients must trust " + s.authority.File() + " once; docs/phones.md tells how, on each kind of device."},
			[2]string{"SHA-256", s.authority.Fingerprint()})
	}
	if s.ops != nil {
		rows = append(rows, [2]string{"Metrics", s.ops.shownURL() + "/metrics"})
	}
	if s.notes.secretGenerated {
		rows = append(rows, [2]string{"JWT secret", "made for you and kept in " + s.cfg.DataDir + "; set JWT_SECRET to use your own."})
	}
	return append(rows, [2]string{"Next", s.next()})
}

// urlRows are a row for each URL, of which the first one has the name.
func urlRows(name string, urls []string, path string) (rows [][2]string) {
	for _, url := range urls {
		rows = append(rows, [2]string{name, url + path})
		name = ""
	}
	return rows
}

// printRows prints names in a first column of the given width, and beside each its text in
// as many lines as it needs.
func printRows(w io.Writer, width int, rows [][2]string) {
	for _, row := range rows {
		for i, line := range wrap(row[1], bannerColumns-width-len("  ")) {
			name := row[0]
			if i > 0 {
				name = ""
			}
			fmt.Fprintf(w, "  %-*s%s\n", width, name, line)
		}
	}
}

func (s *Server) databaseText() string {
	if s.cfg.HasEmbeddedDatabase() {
		return "embedded, in " + databaseFile(s.cfg) + "; set MONGO_URI to use MongoDB."
	}
	return fmt.Sprintf("MongoDB at %s, database %s", mongoHosts(s.cfg.Mongo.URI.Reveal()), s.cfg.Mongo.Database)
}

// mongoHosts returns the hosts of a connection string, which config.Load has checked,
// without user, password and options.
func mongoHosts(uri string) string {
	_, rest, _ := strings.Cut(uri, "://")
	rest, _, _ = strings.Cut(rest, "?")
	rest, _, _ = strings.Cut(rest, "/")
	return printable(rest[strings.LastIndex(rest, "@")+1:], 60)
}

func (s *Server) cubeText() string {
	if s.cfg.HasSandbox() {
		return "sandbox at " + s.sandbox.localURL() + ", in this process; set APP_ID and AUTH_KEY to use ConnectyCube."
	}
	return fmt.Sprintf("application %d at %s, chat at %s", s.cfg.ConnectyCube.AppID, s.cfg.ConnectyCube.APIURL, s.cfg.ConnectyCube.ChatURL)
}

// next says what to do after the start.
func (s *Server) next() string {
	switch {
	case s.notes.refusedSetting != "":
		return "correct " + s.notes.refusedSetting + " and start again; \"cubegate doctor\" checks all settings."
	case s.cfg.HasStandIns():
		return fmt.Sprintf("open %s in a browser: make a first user, and find all pages.", s.api.shownURL())
	}
	return "run \"cubegate doctor\" beside this server; it checks the settings, the database and ConnectyCube's dashboard."
}

// bansEndHere reports whether a ban, as far as the settings tell, does not reach
// ConnectyCube: it has the users' own passwords, has no call that disables a user, and
// asks no identity provider.
func (s *Server) bansEndHere() bool {
	return !s.cfg.HasSandbox() && s.cfg.ConnectyCube.Password == "shared" && s.cfg.ConnectyCube.CIDPSecret.IsZero()
}

// urlsOfOthers returns the URLs at which other machines reach the sandbox.
func urlsOfOthers(cfg config.Config, box *endpoint) []string {
	if cfg.Sandbox.PublicURL != "" {
		return append([]string{cfg.Sandbox.PublicURL}, box.networkURLs()...)
	}
	return box.networkURLs()
}

// reach tells how far the listeners of the server and its sandbox reach.
func (s *Server) reach() string {
	server, sandbox := !s.api.addr().IP.IsLoopback(), !s.sandbox.addr().IP.IsLoopback()
	switch {
	case server && sandbox:
		return "Other machines reach the server and the sandbox."
	case server:
		return "Other machines reach the server, but not the sandbox; set SANDBOX_HOST, too."
	case sandbox:
		return "Other machines reach the sandbox, but not the server; set HOST, too."
	}
	return "Nothing leaves this machine, and no other reaches it; --lan lets phones and others in."
}
