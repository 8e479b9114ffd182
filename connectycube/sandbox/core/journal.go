package core

import (
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	journalSize   = 500     // entries
	JournalText   = 2 << 10 // bytes of a body or stanza that are shown
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

// ClearJournal forgets what happened.
func (s *Application) ClearJournal() { s.journal.clear() }

func cutText(text string) string {
	if len(text) <= JournalText {
		return text
	}
	return ValidText(text[:JournalText]) + " …"
}

// kept is as much of a text as the journal keeps: more than it shows, so that a
// secret at the edge is still recognised. It is a copy, or it would keep the
// rest alive.
func kept(text string) string { return strings.Clone(text[:min(len(text), 2*JournalText)]) }

// Note takes an entry into the journal.
func (s *Application) Note(e Entry) { s.journal.add(e) }
