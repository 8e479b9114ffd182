package rest

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"cubegate/connectycube/sandbox/core"
)

// The limits of a search: https://developers.connectycube.com/server/chat.
const (
	searchLeast   = 5 // characters of the text: more than 4
	searchDialogs = 10
	searchMonths  = 3
	searchMost    = 100 // results of each kind
)

// search is a valid query of /chat/search.
type search struct {
	text     string
	dialogs  []string // nil: all
	from, to int64    // Unix seconds, both included
	limit    int
}

// parseSearch parses a search. start_date is the later date: the search goes back in
// time.
func parseSearch(p core.Params) (search, error) {
	q := search{text: p.Text("search_text"), dialogs: p.List("chat_dialog_ids"), to: 1 << 62}
	switch {
	case utf8.RuneCountInString(q.text) < searchLeast:
		return search{}, badQuery("search_text must be longer than 4 characters")
	case len(q.dialogs) > searchDialogs:
		return search{}, badQuery("chat_dialog_ids has more than 10 ids")
	case p.Has("start_date") && !p.Has("end_date"):
		return search{}, badQuery("start_date goes with end_date only")
	}
	if err := readDates(p, &q.to, &q.from); err != nil {
		return search{}, err
	}
	if p.Has("start_date") && time.Unix(q.from, 0).AddDate(0, searchMonths, 0).Unix() < q.to {
		return search{}, badQuery("start_date and end_date are more than 3 months apart")
	}
	var err error
	_, q.limit, err = paging(p, "skip", searchMost)
	return q, err
}

// in reports whether the search finds a text of this time and dialog.
func (q *search) in(text string, at time.Time, dialogID string) bool {
	n := at.Unix()
	return n >= q.from && n <= q.to &&
		(q.dialogs == nil || slices.Contains(q.dialogs, dialogID)) &&
		strings.Contains(text, q.text)
}

// searchChat searches the caller's dialogs, newest first (assumed). How the service
// finds users is not documented, so this finds none.
func searchChat(s *API, q *request, live *core.Session) (reply, error) {
	query, err := parseSearch(q.params)
	if err != nil {
		return reply{}, err
	}
	me := live.User.ID
	var dialogs []*core.Dialog
	var messages []*core.Message
	for d := range s.Archive.DialogsOf(me) {
		if query.in(s.nameFor(d, me), d.Updated, d.ID) {
			dialogs = append(dialogs, d)
		}
		for _, m := range d.Messages {
			if !m.DeletedFor.Has(me) && query.in(m.Body, m.Created, d.ID) {
				messages = append(messages, m)
			}
		}
	}
	slices.SortFunc(dialogs, func(a, b *core.Dialog) int { return cmp.Or(b.Updated.Compare(a.Updated), cmp.Compare(b.ID, a.ID)) })
	slices.SortFunc(messages, func(a, b *core.Message) int { return core.ByArrival(b, a) })
	foundDialogs, foundMessages := []dialogJSON{}, []map[string]any{}
	for _, d := range dialogs[:min(query.limit, len(dialogs))] {
		foundDialogs = append(foundDialogs, s.dialogFor(d, me))
	}
	for _, m := range messages[:min(query.limit, len(messages))] {
		foundMessages = append(foundMessages, messageBody(m, me))
	}
	return reply{status: http.StatusOK, body: map[string]any{"results": map[string]any{
		"dialogs":  foundDialogs,
		"messages": foundMessages,
		"users":    []userJSON{},
	}}}, nil
}
