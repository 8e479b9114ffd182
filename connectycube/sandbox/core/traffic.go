package core

import (
	"cmp"
	"slices"
	"strings"
)

const maxTraffic = 200 // rows of one TrafficPage

// TrafficQuery selects entries of the journal. Zero values select all.
type TrafficQuery struct {
	Before int64  // only entries with a smaller ID
	Limit  int    // at most 200, which is the default
	On     string // OnREST or OnChat
	User   int64
	Method string // in any letter case
	Status int    // a status, or its first digit: 4 selects 400 to 499; -1: no answer
	Path   string // a part of the path without its query, or of a stanza's beginning
	Fault  bool   // only entries with a fault
}

// TrafficRow is one entry of the journal without bodies.
type TrafficRow struct {
	Entry
	UserName string `json:"user_name,omitempty"`
}

// TrafficPage holds entries, the newest first.
type TrafficPage struct {
	Rows    []TrafficRow `json:"entries"`
	Matched int          `json:"matched"` // older than Before or not
	Total   int          `json:"total"`   // entries that the journal keeps
	Older   bool         `json:"older"`   // more entries match before the last one here
}

// Traffic returns a page of the journal, with secrets masked.
func (s *Application) Traffic(q TrafficQuery) TrafficPage {
	page := s.journal.page(q)
	for i := range page.Rows {
		e := &page.Rows[i].Entry
		e.Request, e.Response, e.Headers = "", "", ""
		e.mask()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range page.Rows {
		page.Rows[i].UserName = s.Registry.nameOf(page.Rows[i].UserID)
	}
	return page
}

// TrafficEntry returns one entry with secrets masked, and the same entry as a curl
// command for a sandbox at origin; the command of a stanza is empty.
func (s *Application) TrafficEntry(id int64, origin string) (row TrafficRow, curl string, ok bool) {
	found := s.journal.after(id-1, journalSize)
	if len(found) == 0 || found[0].ID != id {
		return TrafficRow{}, "", false
	}
	e := found[0]
	if e.On == OnREST {
		curl = s.curlOf(e, origin)
	}
	e.mask()
	s.mu.Lock()
	defer s.mu.Unlock()
	return TrafficRow{e, s.Registry.nameOf(e.UserID)}, curl, true
}

func (j *journal) page(q TrafficQuery) TrafficPage {
	limit := min(max(q.Limit, 0), maxTraffic)
	limit = cmp.Or(limit, maxTraffic)
	j.mu.Lock()
	defer j.mu.Unlock()
	page := TrafficPage{Rows: []TrafficRow{}, Total: len(j.entries)}
	for i := range slices.Backward(j.entries) {
		e := &j.entries[i]
		if !q.selects(e) {
			continue
		}
		page.Matched++
		switch {
		case q.Before > 0 && e.ID >= q.Before:
		case len(page.Rows) < limit:
			page.Rows = append(page.Rows, TrafficRow{Entry: *e})
		default:
			page.Older = true
		}
	}
	return page
}

func (q TrafficQuery) selects(e *Entry) bool {
	return (q.On == "" || q.On == e.On) &&
		(q.User == 0 || q.User == e.UserID) &&
		(q.Method == "" || strings.EqualFold(q.Method, e.Method)) &&
		(!q.Fault || e.Fault != "") &&
		q.selectsStatus(e) && q.selectsText(e)
}

func (q TrafficQuery) selectsStatus(e *Entry) bool {
	switch {
	case q.Status == 0:
		return true
	case e.On != OnREST:
		return false
	case q.Status < 0:
		return e.Status == 0
	}
	return e.Status == q.Status || e.Status/100 == q.Status
}

// selectsText looks at texts that contain no secrets: else a search could guess them.
func (q TrafficQuery) selectsText(e *Entry) bool {
	if q.Path == "" {
		return true
	}
	path, _, _ := strings.Cut(e.Path, "?")
	name, _, _ := strings.Cut(strings.TrimPrefix(e.Stanza, "<"), " ")
	return strings.Contains(strings.ToLower(path), strings.ToLower(q.Path)) || name != "" && strings.EqualFold(name, q.Path)
}
