package sandbox

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

const controlPrefix = "/_sandbox"

func isControl(path string) bool {
	return path == controlPrefix || strings.HasPrefix(path, controlPrefix+"/")
}

// State is what the sandbox holds, without secrets.
type State struct {
	Users    []UserState `json:"users"` // by id
	Sessions int         `json:"sessions"`
}

// UserState is one user of State.
type UserState struct {
	ID         int64   `json:"id"`
	Email      *string `json:"email"`
	Login      *string `json:"login"`
	ExternalID *string `json:"external_id"`
	FullName   *string `json:"full_name"`
}

// State reports who exists and how many sessions live.
func (s *Sandbox) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.registry.sweep(time.Now())
	state := State{Users: make([]UserState, 0, len(s.registry.users)), Sessions: len(s.registry.sessions)}
	byID := func(a, b *user) int { return cmp.Compare(a.id, b.id) }
	for _, u := range slices.SortedFunc(maps.Values(s.registry.users), byID) {
		state.Users = append(state.Users, UserState{
			ID:         u.id,
			Email:      orNull(u.email),
			Login:      orNull(u.login),
			ExternalID: orNull(u.externalID),
			FullName:   orNull(u.fullName),
		})
	}
	return state
}

// faultJSON is a Fault in the control area.
type faultJSON struct {
	Method  string `json:"method"`
	Path    string `json:"path"`
	Kind    string `json:"kind"`
	Status  int    `json:"status"`
	DelayMS int64  `json:"delay_ms"`
	Times   int    `json:"times"`
}

func (s *Sandbox) controlRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_sandbox/state", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.State())
	})
	mux.HandleFunc("GET /_sandbox/faults", func(w http.ResponseWriter, _ *http.Request) {
		list := []faultJSON{}
		for _, f := range s.Faults() {
			list = append(list, faultJSON{f.Method, f.Path, f.Kind, f.Status, f.Delay.Milliseconds(), f.Times})
		}
		writeJSON(w, http.StatusOK, map[string]any{"faults": list})
	})
	mux.HandleFunc("POST /_sandbox/faults", s.postFault)
	mux.HandleFunc("DELETE /_sandbox/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		writeJSON(w, http.StatusOK, map[string]any{"faults": []faultJSON{}})
	})
	mux.HandleFunc("GET /_sandbox/cidp", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		c := s.cidp.own()
		s.mu.Unlock()
		writeJSON(w, http.StatusOK, c)
	})
	mux.HandleFunc("PUT /_sandbox/cidp", s.putCIdP)
	return mux
}

func (s *Sandbox) postFault(w http.ResponseWriter, r *http.Request) {
	var f faultJSON
	if !readControl(w, r, &f) {
		return
	}
	if f.DelayMS < 0 || f.DelayMS > maxDelay.Milliseconds() { // before the product can overflow
		controlError(w, http.StatusBadRequest, "fault: delay_ms must be 0 to 60000")
		return
	}
	err := s.AddFault(Fault{f.Method, f.Path, f.Kind, f.Status, time.Duration(f.DelayMS) * time.Millisecond, f.Times})
	if err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	writeJSON(w, http.StatusCreated, f)
}

func (s *Sandbox) putCIdP(w http.ResponseWriter, r *http.Request) {
	var c CIdP
	if !readControl(w, r, &c) {
		return
	}
	if err := s.SetCIdP(c); err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, c.own())
}

// readControl decodes the body strictly: a misspelt field would be a fault that
// does not happen and a test that proves nothing.
func readControl(w http.ResponseWriter, r *http.Request, out any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
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
// other origins stay out in any case.
func (s *Sandbox) serveControl(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if !localOrigins(r.Header) {
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

func localOrigins(h http.Header) bool {
	for _, origin := range h.Values("Origin") {
		if u, err := url.Parse(origin); err != nil || !isLoopback(u.Host) {
			return false
		}
	}
	return h.Get("Sec-Fetch-Site") != "cross-site"
}

func proxied(h http.Header) bool {
	return h.Get("X-Forwarded-For") != "" || h.Get("Forwarded") != "" || h.Get("X-Real-Ip") != ""
}

// isLoopback takes an address or a Host header, with or without a port.
func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
