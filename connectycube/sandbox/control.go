package sandbox

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

const controlPrefix = "/_sandbox"

func isControl(path string) bool {
	return path == controlPrefix || strings.HasPrefix(path, controlPrefix+"/")
}

func (s *Sandbox) controlRoutes() http.Handler {
	mux := http.NewServeMux()
	for pattern, answer := range map[string]http.HandlerFunc{
		"GET /_sandbox/state":      s.getState,
		"POST /_sandbox/reset":     s.postReset,
		"POST /_sandbox/seed":      s.postSeed,
		"GET /_sandbox/clock":      s.getClock,
		"POST /_sandbox/clock":     s.postClock,
		"GET /_sandbox/journal":    s.getJournal,
		"DELETE /_sandbox/journal": s.deleteJournal,
		"GET /_sandbox/faults":     s.getFaults,
		"POST /_sandbox/faults":    s.postFault,
		"PUT /_sandbox/faults":     s.putFaults,
		"DELETE /_sandbox/faults":  s.deleteFaults,
		"POST /_sandbox/drop":      postSockets(s.Drop),
		"POST /_sandbox/half-open": postSockets(s.HalfOpen),
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

func (s *Sandbox) getCIdP(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	c := s.cidp.own()
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, c.hideHeaders(s.givenHeaders))
}

func (s *Sandbox) putCIdP(w http.ResponseWriter, r *http.Request) {
	var c CIdP
	if !readControl(w, r, &c) {
		return
	}
	c, err := c.restoreHeaders(s.givenHeaders)
	if err == nil {
		err = s.SetCIdP(c)
	}
	if err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, c.own().hideHeaders(s.givenHeaders))
}

// readControl decodes the body strictly: a misspelt field would be a fault that
// does not happen and a test that proves nothing.
func readControl(w http.ResponseWriter, r *http.Request, out any) bool {
	return readControlUpTo(maxBody, w, r, out)
}

func readControlUpTo(most int64, w http.ResponseWriter, r *http.Request, out any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, most))
	dec.DisallowUnknownFields()
	err := dec.Decode(out)
	if err == nil {
		if _, after := dec.Token(); after != io.EOF {
			err = errors.New("something follows the JSON object")
		}
	}
	if err != nil {
		controlError(w, http.StatusBadRequest, "body: "+strings.TrimPrefix(err.Error(), "json: "))
		return false
	}
	return true
}

func controlError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, map[string]string{"error": text})
}

// serveControl lets in whoever holds the control token, and without one whoever
// is on this machine: by address, not through a proxy, and under a name of this
// machine, so that a page whose name was rebound to 127.0.0.1 stays out. Pages of
// other origins, ports of this machine among them, stay out in any case; our own
// page, seen from another machine, is let in by the token.
func (s *Sandbox) serveControl(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if show, ok := s.open[r.URL.Path]; ok {
		show(w, r)
		return
	}
	if !sameOrigin(r) {
		controlError(w, http.StatusForbidden, "the control area is not for web pages")
		return
	}
	local := isLoopback(r.RemoteAddr) && isLoopback(r.Host) && !proxied(r.Header)
	if !local && !s.holdsControlToken(r.Header.Get("X-Sandbox-Token")) {
		controlError(w, http.StatusForbidden, "the control area is for this machine, or for holders of the control token")
		return
	}
	s.control.ServeHTTP(w, r)
}

func (s *Sandbox) holdsControlToken(given string) bool {
	if s.controlToken == "" {
		return false
	}
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(s.controlToken)) // of equal length, whatever was given
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// sameOrigin says whether no page is asking, or one that was got from this very
// address. Browsers leave Origin out of plain GETs, and name the site with them.
func sameOrigin(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none": // none: somebody typed the address
	default:
		return false
	}
	for _, origin := range r.Header.Values("Origin") {
		if !strings.EqualFold(origin, originOf(r)) {
			return false
		}
	}
	return true
}

func proxied(h http.Header) bool {
	return h.Get("X-Forwarded-For") != "" || h.Get("Forwarded") != "" || h.Get("X-Real-Ip") != ""
}
