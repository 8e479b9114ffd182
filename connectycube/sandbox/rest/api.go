// Package rest is the REST API of the sandbox: routes, encodings of requests, bodies
// of answers, the callback to an identity provider, and the storage service for
// files. It also injects the faults on requests. The state is in package core, and
// is changed under core's lock. The package knows the chat only as a Notifier.
//
// Start reading at the table in routes.go, then at API.ServeHTTP. The files are
// named for the resources.
package rest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"cubegate/connectycube/sandbox/core"
)

// Notifier passes changes by REST on to the chat. Its methods are called under the
// Application's lock.
type Notifier interface {
	Deliver(m *core.Message) // to the users in its dialog
	NotifyReaction(by int64, m *core.Message, added, removed string)
	NotifyRemoval(by int64, m *core.Message)
	Signal(h Headline) (id string)
}

// Headline is a message that no history keeps.
type Headline struct {
	From, To int64
	Module   string      // the part of the SDK that reads it
	Fields   core.Params // of its extraParams
}

// The modules of a Headline, by their names in stanzas.
const (
	systemModule = "SystemNotifications"
	callModule   = "WebRTCVideoChat"
)

// Options configure an API. Only HTTP has a default.
type Options struct {
	HTTP     *http.Client   // for callbacks to the identity provider
	Notifier Notifier       // the chat
	Online   func() []int64 // users who are in the chat, ascending
}

// API is the REST API of an Application.
type API struct {
	*core.Application
	callbacks   *http.Client
	notifier    Notifier
	online      func() []int64
	largeBodies largeBodies
}

// New returns the API of an application.
func New(app *core.Application, o Options) *API {
	return &API{
		Application: app,
		callbacks:   callbackClient(o.HTTP),
		notifier:    o.Notifier,
		online:      o.Online,
		largeBodies: make(largeBodies, maxLarge),
	}
}

// ServeHTTP answers one request, or injects the fault that matches it.
func (s *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w, r, e := s.record(w, r)
	defer e.end()
	if f, ok := s.TakeFault(func(f core.Fault) bool { return faultMeets(f, r) }); ok {
		e.fault = f.Kind
		s.inject(w, r, f)
		return
	}
	s.serveAPI(w, r)
}

// reply is a successful answer. Refusals are errors: see core.Refusal.
type reply struct {
	status  int
	body    any       // nil: no body
	expires time.Time // of the session that was used; zero if there was none
}

// serveAPI answers a request without faults.
func (s *API) serveAPI(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		defer s.Used()
	} else {
		defer s.Changed()
	}
	if isBucket(r.URL.Path) {
		s.serveBucket(w, r)
		return
	}
	answer, err := s.answer(w, r)
	if err != nil {
		Refuse(w, err)
		return
	}
	if !answer.expires.IsZero() {
		w.Header().Set("CB-Token-ExpirationDate", answer.expires.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	if to, ok := answer.body.(redirect); ok {
		to.write(w, answer.status)
		return
	}
	writeJSON(w, answer.status, answer.body)
}

func (s *API) answer(w http.ResponseWriter, r *http.Request) (reply, error) {
	handler, args, ok := findRoute(r.Method, r.URL.EscapedPath())
	if !ok {
		return reply{}, core.ErrNoResource
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return reply{}, errBadRequest
	}
	release, err := s.largeBodies.enter(r.Context(), len(body))
	if err != nil {
		return reply{}, err
	}
	defer release()
	p, err := readParams(r, body)
	if err != nil {
		return reply{}, errBadRequest
	}
	q := &request{
		ctx:      r.Context(),
		args:     args,
		form:     !bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")),
		params:   p,
		token:    r.Header.Get("CB-Token"), // without a token, the Dart SDK sends it empty
		key:      r.Header.Get("CB-AuthKey"),
		now:      s.Now(),
		origin:   OriginOf(r),
		suffixed: trimSuffix(r.URL.Path) != strings.TrimSuffix(r.URL.Path, "/"),

		adminKey: r.Header.Get("CB-Administration-API-Key"),
	}
	if len(args) > 0 {
		q.arg = args[len(args)-1]
	}
	return handler(s, q)
}

// AllowBrowsers lets pages of any origin call the API, as the real service does. The
// API uses no cookies, so an origin proves nothing.
func AllowBrowsers(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "CB-Token, CB-AuthKey, CB-SDK, ConnectyCube-REST-API-Version, Content-Type")
	h.Set("Access-Control-Expose-Headers", "CB-Token-ExpirationDate, Date")
	h.Set("Access-Control-Max-Age", "600")
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	if body == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	// An error here means that the client left, or will see an incomplete body.
	_ = json.NewEncoder(w).Encode(body)
}
