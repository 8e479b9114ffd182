package server

import (
	"cmp"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"cubegate/server/config"
)

// banner prints what runs, where, and what to do next. Each stand-in has one line.
func (s *Server) banner(w io.Writer) {
	at, state := s.api.shownURL(), "is ready."
	if s.notes.refusedSetting != "" {
		state = "runs, but is not ready: ConnectyCube does not accept " + s.notes.refusedSetting + ". Registrations are refused."
	}
	fmt.Fprintf(w, "\ncubegate %s\n\n  GraphQL and playground  %s/api\n", state, at)
	for _, url := range s.api.networkURLs() {
		fmt.Fprintf(w, "                          %s/api\n", url)
	}
	fmt.Fprintf(w, "  REST, described         %s/docs\n  ConnectyCube verifies   %s%s\n\n", at, cmp.Or(s.cfg.HTTP.PublicURL, at), VerifyPath)
	rows := [][2]string{{"Version", versionText(debug.ReadBuildInfo())}, {"Database", s.databaseText()}, {"ConnectyCube", s.cubeText()}}
	if s.cfg.HasSandbox() {
		for _, url := range urlsOfOthers(s.cfg, s.sandbox) {
			rows = append(rows, [2]string{"", "also at " + url})
		}
		rows = append(rows, [2]string{"Network", s.reach()})
	}
	if s.bansEndHere() {
		rows = append(rows, [2]string{"Bans", "a disabled user can still log in at ConnectyCube itself, with the password that it has:"},
			[2]string{"", "fill in the form of docs/identity-provider.md and set CONNECTYCUBE_CIDP_SECRET, or set"}, [2]string{"", "CONNECTYCUBE_PASSWORD=derived."})
	}
	if s.authority != nil {
		rows = append(rows, [2]string{"TLS", "clients must trust " + s.authority.File() + " once,"},
			[2]string{"", "SHA-256 " + s.authority.Fingerprint() + "."}, [2]string{"", "docs/phones.md tells how, on each kind of device."})
	}
	if s.ops != nil {
		rows = append(rows, [2]string{"Metrics", s.ops.shownURL() + "/metrics"})
	}
	if s.notes.secretGenerated {
		rows = append(rows, [2]string{"JWT secret", "made for you and kept in " + s.cfg.DataDir + "; set JWT_SECRET to use your own."})
	}
	for _, row := range append(rows, [2]string{"Next", s.next()}) {
		fmt.Fprintf(w, "  %-14s%s\n", row[0], row[1])
	}
	fmt.Fprintln(w, "\nStop with Ctrl-C.")
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
		return fmt.Sprintf("sandbox at %s, application %d, key %s; set APP_ID and AUTH_KEY to use ConnectyCube.", s.sandbox.localURL(), sandboxAppID, sandboxAuthKey)
	}
	return fmt.Sprintf("application %d at %s, chat at %s", s.cfg.ConnectyCube.AppID, s.cfg.ConnectyCube.APIURL, s.cfg.ConnectyCube.ChatURL)
}

// next says what to do after the start.
func (s *Server) next() string {
	switch {
	case s.notes.refusedSetting != "":
		return "correct " + s.notes.refusedSetting + " and start again; \"cubegate doctor\" checks all settings."
	case s.cfg.HasStandIns():
		return fmt.Sprintf("open %s in a browser to make a first user and to find all pages.", s.api.shownURL())
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
