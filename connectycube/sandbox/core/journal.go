package core

import (
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	journalSize   = 500     // entries
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
}

// journal keeps the last entries in at most 8 MiB: 4 KiB for each text, of which a
// request has four. It has its own lock, so that stanzas do not wait for REST.
// Journal masks secrets when it reads entries, because few entries are ever read. A
// SASL password is not stored at all.
type journal struct {
	mu      sync.Mutex
	entries []Entry // a ring when it is full
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

// clear removes the entries. IDs continue at the start of the ring.
func (j *journal) clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = nil
	j.last = (j.last + journalSize - 1) / journalSize * journalSize
}

// Journal returns the latest events with an ID above after, oldest first: at most
// 500 entries, with secrets masked and long texts shortened.
func (s *Application) Journal(after int64) []Entry {
	found := s.journal.after(after)
	for i := range found {
		e := &found[i]
		e.Path = maskPath(e.Path)
		e.Request, e.Response = cutText(maskBody(e.Request, false)), cutText(maskBody(e.Response, e.Status >= 400))
		e.Stanza = cutText(MaskPatterns(e.Stanza))
	}
	return found
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
