package rest

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"cubegate/connectycube/sandbox/core"
)

// observation is a request that will become a journal entry.
type observation struct {
	s       *API
	w       *journalWriter
	request excerpt
	r       *http.Request
	fault   string
	began   time.Time
}

// record lets the journal observe the request and the answer.
func (s *API) record(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, *http.Request, *observation) {
	e := &observation{s: s, w: &journalWriter{ResponseWriter: w}, r: r, began: time.Now()}
	watched := *r
	if r.Body != nil {
		watched.Body = watchedBody{r.Body, &e.request}
	}
	return e.w, &watched, e
}

// end writes the entry, even if the handler panicked to cut the connection.
func (e *observation) end() {
	path := e.r.URL.EscapedPath()
	if e.r.URL.RawQuery != "" {
		path += "?" + e.r.URL.RawQuery
	}
	e.s.Note(core.Entry{
		At:       e.s.Now(),
		On:       core.OnREST,
		UserID:   e.s.userOfToken(e.r.Header.Get("CB-Token")),
		Method:   e.r.Method,
		Path:     path,
		Headers:  ownHeaders(e.r.Header),
		Status:   e.w.status,
		TookMS:   time.Since(e.began).Milliseconds(),
		Fault:    e.fault,
		Request:  e.request.text(),
		Response: e.w.body.text(),

		HasOwnKey: e.s.hasOwnKey(e.r.Header),
	})
}

// hasOwnKey reports whether the application's keys are in the headers, and no other ones.
func (s *API) hasOwnKey(h http.Header) bool {
	key, adminKey := h.Get("CB-AuthKey"), h.Get("CB-Administration-API-Key")
	return (key == "" || s.ownKey(key)) && (adminKey == "" || s.ownAdminKey(adminKey))
}

// userOfToken returns the user of a live session, or 0.
func (s *API) userOfToken(token string) int64 {
	if token == "" {
		return 0
	}
	s.Lock()
	defer s.Unlock()
	if live := s.Registry.Holder(token); live != nil && live.User != nil {
		return live.User.ID
	}
	return 0
}

// ownHeaders returns the names of ConnectyCube's headers, and the value of the SDK's
// name only.
func ownHeaders(h http.Header) string {
	var names []string
	for name := range h {
		if !strings.HasPrefix(name, "Cb-") {
			continue
		}
		if name == "Cb-Sdk" {
			name += ": " + h.Get(name)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// excerpt keeps the beginning of a stream.
type excerpt []byte

func (x *excerpt) keep(p []byte) {
	*x = append(*x, p[:min(len(p), 2*core.JournalText-len(*x))]...)
}

func (x *excerpt) text() string { return core.ValidText(string(*x)) }

type watchedBody struct {
	io.ReadCloser
	seen *excerpt
}

func (b watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.seen.keep(p[:n])
	return n, err
}

// journalWriter observes the answer. http.ResponseController reaches through it.
type journalWriter struct {
	http.ResponseWriter
	status int
	body   excerpt
}

func (w *journalWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *journalWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *journalWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.body.keep(p)
	return w.ResponseWriter.Write(p)
}
