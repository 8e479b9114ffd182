package rest

import (
	"crypto/subtle"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"cubegate/connectycube/sandbox/core"
)

// Without the right key the service answers 401 or 403; the cases are assumed.
var (
	errNoAdminKey    = core.AsList(401, "Unauthorized")
	errWrongAdminKey = core.AsBase(403, "Forbidden")
)

// withAdmin runs h under the lock if the request has the administration key.
func withAdmin(h func(*API, *request) (reply, error)) handler {
	return func(s *API, q *request) (reply, error) {
		switch {
		case q.adminKey == "":
			return reply{}, errNoAdminKey
		case !s.ownAdminKey(q.adminKey):
			return reply{}, errWrongAdminKey
		}
		s.Lock()
		defer s.Unlock()
		s.Registry.Sweep(q.now)
		return h(s, q)
	}
}

func adminDeleteUser(s *API, q *request) (reply, error) {
	id, err := strconv.ParseInt(q.arg, 10, 64)
	u := s.Registry.Users[id]
	if err != nil || u == nil {
		return reply{}, core.ErrUserNotFound
	}
	s.Registry.Remove(u)
	return reply{status: http.StatusOK, body: map[string]bool{"success": true}}, nil
}

// adminDialog is a dialog in the administration API: without the fields that differ
// between users, and with the users who hid or silenced it.
type adminDialog struct {
	dialogJSON
	SilentIDs  []int64 `json:"silent_ids"`
	DeletedIDs []int64 `json:"deleted_ids"`
}

func (s *API) dialogForAdmin(d *core.Dialog) adminDialog {
	out := adminDialog{s.dialogPlain(d), d.Silent.List(), d.Hidden.List()}
	if n := len(d.Messages); n > 0 {
		last := d.Messages[n-1]
		out.tellLast(last, last.Sender)
	}
	return out
}

// adminSorts are the sort fields of the administration lists. The documented example
// pages downward by _id, so that is the order without a sort field.
var adminSorts = []string{"created_at", "updated_at", "_id"}

var adminDialogLists = grammar[dialogRow]{
	fields:   dialogFields,
	within:   dialogLists.within,
	lenient:  dialogLists.lenient,
	alone:    []string{"count"},
	sorts:    pick(dialogFields, adminSorts...),
	usual:    "_id",
	downward: true,
	limit:    100,
	most:     100,
	tie:      dialogLists.tie,
}

// adminMessageLists has fewer filters than the lists of users
// (https://developers.connectycube.com/admin_api/chat).
var adminMessageLists = grammar[*core.Message]{
	fields: map[string]field[*core.Message]{
		"_id":            messageFields["_id"],
		"created_at":     messageFields["created_at"],
		"updated_at":     messageFields["updated_at"],
		"chat_dialog_id": messageFields["chat_dialog_id"],
	},
	sorts:    pick(messageFields, adminSorts...),
	usual:    "_id",
	downward: true,
	limit:    100,
	most:     100,
	tie:      core.ByArrival,
}

func adminListDialogs(s *API, q *request) (reply, error) {
	query, err := adminDialogLists.parse(q.params)
	if err != nil {
		return reply{}, err
	}
	page, total := query.run(func(yield func(dialogRow) bool) {
		for _, d := range s.Archive.Dialogs {
			if !yield(dialogRow{d, d.Name, d.LastFor(0)}) {
				return
			}
		}
	})
	if q.params.Flag("count") {
		return countReply(total), nil
	}
	items := make([]adminDialog, len(page))
	for i, row := range page {
		items[i] = s.dialogForAdmin(row.Dialog)
	}
	return reply{status: http.StatusOK, body: listPage{items, query.limit, query.skip, total}}, nil
}

func adminListMessages(s *API, q *request) (reply, error) {
	query, err := adminMessageLists.parse(q.params)
	if err != nil {
		return reply{}, err
	}
	page, total := query.run(s.Archive.Arrived)
	items := make([]map[string]any, len(page))
	for i, m := range page {
		items[i] = messageBody(m, 0)
		items[i]["deleted_for_ids"] = m.DeletedFor.List()
		items[i]["edited_at"] = nil
		if !m.Edited.IsZero() {
			items[i]["edited_at"] = m.Edited.UTC().Format(seconds)
		}
	}
	return reply{status: http.StatusOK, body: listPage{items, query.limit, query.skip, total}}, nil
}

// adminUpdateDialog changes any dialog; is_muted is for the user in user_id.
func adminUpdateDialog(s *API, q *request) (reply, error) {
	d := s.Archive.Dialogs[q.arg]
	if d == nil {
		return reply{}, core.ErrNoResource
	}
	user, _ := q.params.Integer("user_id")
	if q.params.Has("is_muted") && !d.Occupants.Has(user) {
		return reply{}, core.ErrForbidden
	}
	c, err := s.readChange(d, q.params, user)
	if err != nil {
		return reply{}, err
	}
	if err := s.apply(d, c, user, q.now); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: s.dialogForAdmin(d)}, nil
}

// span is the time from start_date to end_date, in Unix seconds, both included
// (assumed), and the types of dialogs; all fields are optional.
type span struct {
	from, to int64
	kinds    []string
}

func readSpan(p core.Params) (span, error) {
	r := span{0, 1 << 62, p.List("types")}
	if err := readDates(p, &r.from, &r.to); err != nil {
		return span{}, err
	}
	return r, nil
}

// days counts by day (UTC).
type days map[string]int

// sentDays counts the messages that still exist. Whether the service counts deleted
// ones is unknown.
func (s *API) sentDays(r span) days {
	counts := days{}
	for m := range s.Archive.Arrived {
		counts.add(m.Created, r)
	}
	return counts
}

func (s *API) createdDays(r span) days {
	counts := days{}
	for _, d := range s.Archive.Dialogs {
		if len(r.kinds) == 0 || slices.Contains(r.kinds, strconv.FormatInt(int64(d.Kind), 10)) {
			counts.add(d.Created, r)
		}
	}
	return counts
}

func (counts days) add(at time.Time, r span) {
	if n := at.Unix(); n >= r.from && n <= r.to {
		counts[at.UTC().Format(time.DateOnly)]++
	}
}

func adminTotal(count func(*API, span) days) handler {
	return withAdmin(func(s *API, q *request) (reply, error) {
		r, err := readSpan(q.params)
		if err != nil {
			return reply{}, err
		}
		total := 0
		for _, n := range count(s, r) {
			total += n
		}
		return reply{status: http.StatusOK, body: map[string]int{"total": total}}, nil
	})
}

// adminPerDay returns the days with a count, oldest first.
func adminPerDay(count func(*API, span) days) handler {
	return withAdmin(func(s *API, q *request) (reply, error) {
		r, err := readSpan(q.params)
		if err != nil {
			return reply{}, err
		}
		skip, limit, err := paging(q.params, "offset", 100)
		if err != nil {
			return reply{}, err
		}
		counts := count(s, r)
		for i, day := range slices.Sorted(maps.Keys(counts)) {
			if i < skip || i >= skip+limit {
				delete(counts, day)
			}
		}
		return reply{status: http.StatusOK, body: counts}, nil
	})
}

func (s *API) ownAdminKey(key string) bool {
	return subtle.ConstantTimeCompare([]byte(key), []byte(s.AdminKey)) == 1
}
