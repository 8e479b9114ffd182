// Package control lets people and tests control the sandbox over HTTP: with the page
// at /, and with the control area below /_sandbox/ for seeds, faults, the clock, the
// journal, the outbox and settings. It decides who may use them, and to which host
// names the sandbox answers. The state is in package core.
//
// Start reading at Area.ServeHTTP.
package control

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"cubegate/connectycube/sandbox/core"
)

const (
	controlPrefix  = "/_sandbox"
	maxControlBody = 256 << 10 // bytes, as for a request to the API
)

// Serves reports whether a path belongs to the control area.
func Serves(path string) bool {
	return path == controlPrefix || strings.HasPrefix(path, controlPrefix+"/")
}

// Options configure an Area.
type Options struct {
	Token       string                       // admits clients on other machines; "": none
	Names       []string                     // host names of this machine, in addition to localhost
	Headers     map[string]string            // of Options.CIdP, whose values are masked
	Certificate []byte                       // in PEM; nil: none is served
	Origin      func(r *http.Request) string // the sandbox's origin in a request
	ChatPath    string                       // of the chat's WebSocket
	Server      string                       // URL of the server beside the sandbox; "": none
	Reachable   func() []string              // URLs for other machines; nil: none
	Drop        func(user int64) int         // cuts chat sockets and returns their number
	HalfOpen    func(user int64) int         // makes chat sockets silent and returns their number
	SignOut     func(user int64)             // ends chat connections for good
	Deliver     func(m *core.Message)        // to the users in its dialog, under the lock

	// Tell notifies the users in a dialog, under the lock, that a user is typing or has
	// stopped.
	Tell func(user int64, d *core.Dialog, composing bool)
}

// Area controls an Application: with the page at /, and the control area below
// /_sandbox/.
type Area struct {
	*core.Application
	token        string
	names        []string          // in lower case
	givenHeaders map[string]string // never changed
	origin       func(r *http.Request) string
	chatPath     string
	server       string
	reachable    func() []string
	signOut      func(user int64)
	hasCA        bool
	routes       http.Handler
	open         map[string]http.HandlerFunc // public paths
}

// New returns the control area of an application.
func New(app *core.Application, o Options) *Area {
	s := &Area{
		Application:  app,
		token:        o.Token,
		names:        ownNames(o.Names),
		givenHeaders: o.Headers,
		origin:       o.Origin,
		chatPath:     o.ChatPath,
		server:       o.Server,
		reachable:    o.Reachable,
		signOut:      o.SignOut,
		hasCA:        o.Certificate != nil,
		open:         openPages(o.Certificate),
	}
	if s.reachable == nil {
		s.reachable = func() []string { return nil }
	}
	s.routes = s.controlRoutes(o)
	return s
}

func (s *Area) controlRoutes(o Options) http.Handler {
	mux := http.NewServeMux()
	for pattern, answer := range map[string]http.HandlerFunc{
		"GET /_sandbox/state":      s.getState,
		"POST /_sandbox/reset":     s.postReset,
		"POST /_sandbox/seed":      s.postSeed,
		"GET /_sandbox/overview":   s.getOverview,
		"GET /_sandbox/clock":      s.getClock,
		"POST /_sandbox/clock":     s.postClock,
		"DELETE /_sandbox/clock":   s.deleteClock,
		"GET /_sandbox/journal":    s.getJournal,
		"DELETE /_sandbox/journal": s.deleteJournal,
		"GET /_sandbox/traffic":    s.getTraffic,

		"GET /_sandbox/traffic/{id}":           s.getTrafficEntry,
		"GET /_sandbox/users":                  s.getUsers,
		"GET /_sandbox/users/{id}":             s.getUser,
		"DELETE /_sandbox/users/{id}":          s.deleteUser,
		"PUT /_sandbox/users/{id}/disabled":    s.putDisabled,
		"POST /_sandbox/users/{id}/session":    s.postSession,
		"GET /_sandbox/dialogs":                s.getDialogs,
		"GET /_sandbox/dialogs/{id}/messages":  s.getMessages,
		"POST /_sandbox/dialogs/{id}/messages": postMessage(s.Application, o.Deliver),
		"PUT /_sandbox/dialogs/{id}/typing":    putTyping(s.Application, o.Tell),
		"GET /_sandbox/fault-kinds":            s.getFaultKinds,
		"DELETE /_sandbox/faults/{id}":         s.deleteFault,

		"GET /_sandbox/faults":     s.getFaults,
		"POST /_sandbox/faults":    s.postFault,
		"PUT /_sandbox/faults":     s.putFaults,
		"DELETE /_sandbox/faults":  s.deleteFaults,
		"POST /_sandbox/drop":      postSockets(o.Drop),
		"POST /_sandbox/half-open": postSockets(o.HalfOpen),
		"GET /_sandbox/cidp":       s.getCIdP,
		"PUT /_sandbox/cidp":       s.putCIdP,
		"GET /_sandbox/settings":   s.getSettings,
		"PUT /_sandbox/settings":   s.putSettings,
		"GET /_sandbox/outbox":     s.getOutbox,
		"DELETE /_sandbox/outbox":  s.deleteOutbox,
	} {
		mux.HandleFunc(pattern, answer)
	}
	return mux
}

// readControl decodes the body strictly: with a misspelled field, a fault would not
// happen and a test would prove nothing.
func readControl(w http.ResponseWriter, r *http.Request, out any) bool {
	return readControlUpTo(maxControlBody, w, r, out)
}

func readControlUpTo(most int64, w http.ResponseWriter, r *http.Request, out any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, most))
	dec.DisallowUnknownFields()
	err := dec.Decode(out)
	if err == nil {
		if _, after := dec.Token(); after != io.EOF {
			err = errors.New("data after the JSON object")
		}
	}
	if err != nil {
		controlError(w, http.StatusBadRequest, "body: "+strings.TrimPrefix(err.Error(), "json: "))
		return false
	}
	return true
}

func controlError(w http.ResponseWriter, status int, text string) {
	answerJSON(w, status, map[string]string{"error": text})
}

// ServeHTTP admits clients with the control token, and without a token those on this
// machine: with a loopback IP, without a proxy, and under a host name of this machine,
// because a web page can point its own name at 127.0.0.1. It rejects pages of other
// origins, including other ports of this machine. Our own page on another machine
// needs the token.
func (s *Area) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if Serves(r.URL.Path) {
		w.Header().Set("Cache-Control", "no-store")
	}
	if show, ok := s.open[r.URL.Path]; ok {
		show(w, r)
		return
	}
	if !s.sameOrigin(r) {
		controlError(w, http.StatusForbidden, "the control area is not for web pages")
		return
	}
	local := isLoopback(r.RemoteAddr) && isLoopback(r.Host) && !proxied(r.Header)
	if !local && !s.holdsControlToken(r.Header.Get("X-Sandbox-Token")) {
		controlError(w, http.StatusForbidden, "the control area is for this machine, or for holders of the control token")
		return
	}
	s.routes.ServeHTTP(w, r)
}

func (s *Area) holdsControlToken(given string) bool {
	if s.token == "" {
		return false
	}
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(s.token)) // equal lengths, as the comparison needs
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// sameOrigin reports whether the request comes from no page, or from a page of this
// origin. Browsers send no Origin with plain GETs, but name the site in another header.
func (s *Area) sameOrigin(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none": // none: the user entered the URL
	default:
		return false
	}
	for _, origin := range r.Header.Values("Origin") {
		if !strings.EqualFold(origin, s.origin(r)) {
			return false
		}
	}
	return true
}

func proxied(h http.Header) bool {
	return h.Get("X-Forwarded-For") != "" || h.Get("Forwarded") != "" || h.Get("X-Real-Ip") != ""
}

func answerJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	// An error here means that the client left.
	_ = json.NewEncoder(w).Encode(body)
}
