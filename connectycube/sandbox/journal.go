package sandbox

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"cubegate/connectycube/sandbox/chat"
)

const (
	journalSize   = 500     // entries
	journalText   = 2 << 10 // bytes of a body or stanza that are shown
	journalMethod = 32      // bytes of a method, which a client may choose
)

// Entry is one thing that happened: a request to the REST API, a stanza of the
// chat, or a fault on one, which comes after the stanza as it arrived.
type Entry struct {
	ID     int64     `json:"id"` // counts up
	At     time.Time `json:"at"` // by the sandbox's clock
	On     string    `json:"on"` // OnREST or OnChat
	UserID int64     `json:"user_id,omitempty"`

	Method   string `json:"method,omitempty"`
	Path     string `json:"path,omitempty"`     // with its query
	Headers  string `json:"headers,omitempty"`  // names of those that are ConnectyCube's
	Status   int    `json:"status,omitempty"`   // 0: there was no answer
	TookMS   int64  `json:"took_ms,omitempty"`  // milliseconds
	Fault    string `json:"fault,omitempty"`    // the kind of the one that happened
	Request  string `json:"request,omitempty"`  // body, cut
	Response string `json:"response,omitempty"` // body, cut

	Direction string `json:"direction,omitempty"` // in: from the client; out: to it; none: of a fault
	Stanza    string `json:"stanza,omitempty"`    // cut
}

// journal keeps the last entries, 8 MiB at most: of each text of an entry 4 KiB,
// and a request has four. It has a lock of its own: stanzas must not
// wait for REST. Secrets are masked on the way out, not in, as few entries are
// ever looked at; a password in SASL is not even kept.
type journal struct {
	mu      sync.Mutex
	entries []Entry // a ring once it is full
	last    int64   // ID
}

func (j *journal) add(e Entry) {
	e.Method = strings.Clone(e.Method[:min(len(e.Method), journalMethod)])
	for _, text := range []*string{&e.Path, &e.Headers, &e.Request, &e.Response, &e.Stanza} {
		*text = kept(*text)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last++
	e.ID = j.last
	if len(j.entries) < journalSize {
		j.entries = append(j.entries, e)
		return
	}
	j.entries[(e.ID-1)%journalSize] = e
}

func (j *journal) after(id int64) []Entry {
	j.mu.Lock()
	found := []Entry{} // not nil, as that would become null
	for _, e := range j.entries {
		if e.ID > id {
			found = append(found, e)
		}
	}
	j.mu.Unlock()
	slices.SortFunc(found, func(a, b Entry) int { return int(a.ID - b.ID) })
	return found
}

// clear forgets the entries. IDs count on, at a place in the ring that fits.
func (j *journal) clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = nil
	j.last = (j.last + journalSize - 1) / journalSize * journalSize
}

// Journal lists what happened lately and has an ID above after, oldest first:
// at most 500 entries, with secrets masked and long texts cut.
func (s *Sandbox) Journal(after int64) []Entry {
	found := s.journal.after(after)
	for i := range found {
		e := &found[i]
		e.Path = maskPath(e.Path)
		e.Request, e.Response = cutText(maskBody(e.Request, false)), cutText(maskBody(e.Response, e.Status >= 400))
		e.Stanza = cutText(maskPatterns(e.Stanza))
	}
	return found
}

// ClearJournal forgets what happened.
func (s *Sandbox) ClearJournal() { s.journal.clear() }

func cutText(text string) string {
	if len(text) <= journalText {
		return text
	}
	return clean(text[:journalText]) + " …"
}

// tap takes a stanza of the chat into the journal.
func (s *Sandbox) tap(d chat.Direction, user int64, xml string) {
	direction := "in"
	if d == chat.ToClient {
		direction = "out"
	}
	if user == 0 && d == chat.FromClient { // the password is on its way
		xml = maskPatterns(xml[:min(len(xml), 4*journalText)])
	}
	s.journal.add(Entry{At: s.now(), On: OnChat, UserID: user, Direction: direction, Stanza: xml})
}

// kept is as much of a text as the journal keeps: more than it shows, so that a
// secret at the edge is still recognised. It is a copy, or it would keep the
// rest alive.
func kept(text string) string { return strings.Clone(text[:min(len(text), 2*journalText)]) }

// exchange is a request on its way into the journal.
type exchange struct {
	s       *Sandbox
	w       *journalWriter
	request excerpt
	r       *http.Request
	fault   string
	began   time.Time
}

// record makes the journal see what a handler reads and writes.
func (s *Sandbox) record(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, *http.Request, *exchange) {
	e := &exchange{s: s, w: &journalWriter{ResponseWriter: w}, r: r, began: time.Now()}
	watched := *r
	if r.Body != nil {
		watched.Body = watchedBody{r.Body, &e.request}
	}
	return e.w, &watched, e
}

// end writes the entry, also when the handler panicked to cut the connection.
func (e *exchange) end() {
	path := e.r.URL.EscapedPath()
	if e.r.URL.RawQuery != "" {
		path += "?" + e.r.URL.RawQuery
	}
	e.s.journal.add(Entry{
		At:       e.s.now(),
		On:       OnREST,
		UserID:   e.s.userOfToken(e.r.Header.Get("CB-Token")),
		Method:   e.r.Method,
		Path:     path,
		Headers:  ownHeaders(e.r.Header),
		Status:   e.w.status,
		TookMS:   time.Since(e.began).Milliseconds(),
		Fault:    e.fault,
		Request:  e.request.text(),
		Response: e.w.body.text(),
	})
}

// userOfToken is the user of a live session, or 0.
func (s *Sandbox) userOfToken(token string) int64 {
	if token == "" {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if live := s.registry.holder(token); live != nil && live.user != nil {
		return live.user.id
	}
	return 0
}

// ownHeaders names the headers that say who is calling. Only the SDK's own name
// is shown.
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

// excerpt keeps the beginning of what passes.
type excerpt []byte

func (x *excerpt) keep(p []byte) {
	*x = append(*x, p[:min(len(p), 2*journalText-len(*x))]...)
}

func (x *excerpt) text() string { return clean(string(*x)) }

type watchedBody struct {
	io.ReadCloser
	seen *excerpt
}

func (b watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.seen.keep(p[:n])
	return n, err
}

// journalWriter sees what is answered. http.ResponseController reaches through it.
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

// getJournal takes ?after=ID, so that a page can ask for what is new.
func (s *Sandbox) getJournal(w http.ResponseWriter, r *http.Request) {
	after, err := queryNumber(r, "after", 0)
	if err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"entries": s.Journal(after)})
}

func (s *Sandbox) deleteJournal(w http.ResponseWriter, _ *http.Request) {
	s.ClearJournal()
	writeJSON(w, http.StatusOK, map[string]any{"entries": []Entry{}})
}
