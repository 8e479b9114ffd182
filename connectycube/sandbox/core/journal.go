package core

import (
	"strings"
	"sync"
	"time"
)

const (
	journalSize   = 10_000  // entries
	journalBytes  = 8 << 20 // of all entries, as Entry.weight counts them
	journalAnswer = 500     // entries of Journal
	JournalText   = 2 << 10 // bytes of a body or stanza in answers
	journalMethod = 32      // bytes of a method, which the client chooses
)

// Entry is one event: a request to the REST API, a stanza of the chat, or a fault
// on a stanza, which follows the entry of that stanza.
type Entry struct {
	ID     int64     `json:"id"` // counts up
	At     time.Time `json:"at"` // on the sandbox's clock
	On     string    `json:"on"` // OnREST or OnChat
	UserID int64     `json:"user_id,omitempty"`

	Method   string `json:"method,omitempty"`
	Path     string `json:"path,omitempty"`     // with its query
	Headers  string `json:"headers,omitempty"`  // names of ConnectyCube's headers
	Status   int    `json:"status,omitempty"`   // 0: no answer
	TookMS   int64  `json:"took_ms,omitempty"`  // milliseconds
	Fault    string `json:"fault,omitempty"`    // kind of the fault
	Request  string `json:"request,omitempty"`  // body, shortened
	Response string `json:"response,omitempty"` // body, shortened

	Direction string `json:"direction,omitempty"` // in: from the client; out: to it; empty: a fault
	Stanza    string `json:"stanza,omitempty"`    // shortened

	HasOwnKey bool `json:"-"` // the header CB-AuthKey or CB-Administration-API-Key had the application's own key
}

// journal keeps the last entries, within two bounds: their number and their bytes. A
// request has at most four texts of 4 KiB. The journal has its own lock, so that
// stanzas do not wait for REST. Secrets are masked when entries are read, because few
// entries ever are. A SASL password is not stored at all.
type journal struct {
	mu      sync.Mutex
	entries []Entry // ascending IDs without gaps
	bytes   int
	last    int64 // ID
}

// weight estimates the bytes that e keeps in memory.
func (e *Entry) weight() int {
	return 320 + len(e.Method) + len(e.Path) + len(e.Headers) + len(e.Request) + len(e.Response) + len(e.Stanza)
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
	j.entries = append(j.entries, e)
	j.bytes += e.weight()
	for len(j.entries) > journalSize || j.bytes > journalBytes {
		j.bytes -= j.entries[0].weight()
		j.entries[0] = Entry{} // the array stays until append replaces it
		j.entries = j.entries[1:]
	}
}

// after returns copies of the latest entries with an ID above id, at most most.
func (j *journal) after(id int64, most int) []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	newer := j.entries[j.index(id+1):]
	return append([]Entry{}, newer[max(0, len(newer)-most):]...) // not nil, as that would become null
}

// index returns the place of the first entry whose ID is at least id. The caller holds
// the lock.
func (j *journal) index(id int64) int {
	first := j.last - int64(len(j.entries)) + 1
	return int(min(max(0, id-first), int64(len(j.entries))))
}

// clear removes the entries. IDs continue.
func (j *journal) clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries, j.bytes = nil, 0
}

// Journal returns the latest events with an ID above after, oldest first: at most
// 500 entries, with secrets masked and long texts shortened.
func (s *Application) Journal(after int64) []Entry {
	found := s.journal.after(after, journalAnswer)
	for i := range found {
		found[i].mask()
	}
	return found
}

// mask masks the secrets of e and shortens its texts.
func (e *Entry) mask() {
	e.Path = maskPath(e.Path)
	e.Request, e.Response = cutText(maskBody(e.Request, false)), cutText(maskBody(e.Response, e.Status >= 400))
	e.Stanza = cutText(MaskPatterns(e.Stanza))
}

// ClearJournal removes all entries.
func (s *Application) ClearJournal() { s.journal.clear() }

func cutText(text string) string {
	if len(text) <= JournalText {
		return text
	}
	return ValidText(text[:JournalText]) + " …"
}

// kept returns the part of a text that the journal stores: more than it shows, so
// that a secret at the edge is still recognized. The copy lets the garbage collector
// free the rest.
func kept(text string) string { return strings.Clone(text[:min(len(text), 2*JournalText)]) }

// Note adds an entry to the journal.
func (s *Application) Note(e Entry) { s.journal.add(e) }
