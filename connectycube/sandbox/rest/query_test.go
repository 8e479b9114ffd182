package rest

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cubegate/connectycube/sandbox/core"
)

// filters are the findings of earlier fuzzing, quoted, one query a line.
//
//go:embed testdata/filters.txt
var filters string

// FuzzFilter: a query is refused, or its answer obeys it.
//
//	go test -run '^$' -fuzz '^FuzzFilter$' -fuzztime 2m ./connectycube/sandbox/rest
//
// testdata/fuzz holds the findings of earlier runs.
func FuzzFilter(f *testing.F) {
	for _, query := range []string{
		"limit=10&skip=0&sort_desc=last_message_date_sent&type[in]=2%2C3&updated_at[gt]=1455098137",
		"extensions[location]=Sunbar", "extensions[location][ctn]=bar", "type[]=2&type[]=3", "_id[lt]=5c&_id[gte]=5a",
		"sort_asc=date_sent&sender_id[ne]=1&message[ctn]=a", "attachments.type[all]=image,audio", "date_sent[gt]=2016-02-10T10:00:00.000Z",
		"mission=intel", "limit=0", "sort_asc=name&sort_desc=name", "type[eq]=1", "occupants_ids[in]=1,2", "updated_at[lt]=",
	} {
		f.Add(query)
	}
	for line := range strings.Lines(filters) {
		query, err := strconv.Unquote(strings.TrimSpace(line))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(query)
	}
	made := core.NewArchive(core.ArchiveLimits{Dialogs: 10, Messages: 100, DialogMessages: 50})
	a := &made
	now := time.Unix(1_700_000_000, 0)
	for i, name := range []string{"first", "second", "third"} {
		d := &core.Dialog{Kind: core.KindGroup, Owner: 1, Name: name, Extensions: map[string]string{"location": "Sunbar"}}
		d.Occupants.Add(1)
		d.Occupants.Add(int64(i))
		a.Add(d, now.Add(time.Duration(i)*time.Minute))
		for j := range 5 {
			a.Post(&core.Message{
				Dialog: d, Sender: int64(j), Body: "aab"[:j%3],
				Attachments: []core.Attachment{{"type": "image"}}, Custom: map[string]any{"mission": "intel"},
			}, now.Add(time.Duration(j)*time.Second))
		}
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := decodeForm(raw)
		if err != nil {
			return
		}
		dialogs := make([]dialogRow, 0, len(a.Dialogs))
		for _, d := range a.Dialogs {
			dialogs = append(dialogs, dialogRow{d, d.Name, d.LastFor(1)})
		}
		messages := make([]*core.Message, 0, len(a.Messages))
		for _, m := range a.Messages {
			messages = append(messages, m)
		}
		checkList(t, &dialogLists, p, dialogs)
		checkList(t, &adminDialogLists, p, dialogs)
		checkList(t, &messageLists, p, messages)
		checkList(t, &adminMessageLists, p, messages)
		if q, err := parseSearch(p); err == nil && (q.limit < 1 || q.limit > searchMost || len(q.text) < searchLeast) {
			t.Errorf("search = %+v", q)
		}
	})
}

func checkList[T comparable](t *testing.T, g *grammar[T], p core.Params, rows []T) {
	q, err := g.parse(p)
	if err != nil {
		return
	}
	page, total := q.run(slices.Values(rows))
	if q.limit < 1 || q.limit > g.most || q.skip < 0 || len(page) > q.limit || total > len(rows) || len(page) != min(q.limit, max(0, total-q.skip)) {
		t.Errorf("%d of %d rows after %d, at most %d", len(page), total, q.skip, q.limit)
	}
	if !slices.IsSortedFunc(page, func(a, b T) int { return q.compare(q.key(a), q.key(b)) }) {
		t.Error("the page is out of order")
	}
	q.skip, q.limit = 0, len(rows)
	all, _ := q.run(slices.Values(rows))
	for _, row := range rows {
		fits := !slices.ContainsFunc(q.filters, func(matches func(T) bool) bool { return !matches(row) })
		if fits != slices.Contains(all, row) {
			t.Error("a row is in the list against its filters, or is missing")
		}
	}
}

func TestOperators(t *testing.T) {
	contains := func(a, b string) bool { return a == b+"!" }
	tests := []struct {
		op         string
		have, want []string
		holds      bool
	}{
		{"eq", []string{"b"}, []string{"b"}, true},
		{"eq", []string{"a", "b"}, []string{"b"}, true},
		{"eq", nil, []string{"b"}, false},
		{"ne", []string{"a"}, []string{"b"}, true},
		{"ne", nil, []string{"b"}, true},
		{"ne", []string{"a", "b"}, []string{"b"}, false},
		{"lt", []string{"a"}, []string{"b"}, true},
		{"lt", []string{"b"}, []string{"b"}, false},
		{"lte", []string{"b"}, []string{"b"}, true},
		{"gt", []string{"b"}, []string{"b"}, false},
		{"gt", []string{"c"}, []string{"b"}, true},
		{"gte", []string{"b"}, []string{"b"}, true},
		{"gte", nil, []string{"b"}, false},
		{"in", []string{"b"}, []string{"a", "b"}, true},
		{"in", []string{"b"}, nil, false},
		{"nin", []string{"b"}, []string{"a", "b"}, false},
		{"nin", []string{"c"}, []string{"a", "b"}, true},
		{"all", []string{"a", "b", "c"}, []string{"a", "b"}, true},
		{"all", []string{"a"}, []string{"a", "b"}, false},
		{"ctn", []string{"x!"}, []string{"x"}, true},
		{"ctn", []string{"x"}, []string{"x"}, false},
	}
	for _, tt := range tests {
		if got := holds(tt.op, tt.have, tt.want, contains); got != tt.holds {
			t.Errorf("%v %s %v: %v", tt.have, tt.op, tt.want, got)
		}
	}
}
