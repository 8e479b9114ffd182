package sandbox

import (
	"cmp"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// dialogRow is a dialog as one user sees it, while a list is made.
type dialogRow struct {
	*dialog
	shownName string
	last      *message // nil: none that the user can see
}

// dialogFields are the documented fields to filter by, and what the owner, the
// occupants and the last sender add to them (assumed). The official Flutter sample
// and the documentation's Flutter FAQ look a dialog up by id instead of _id, and
// take the first one of the answer.
var dialogFields = map[string]field[dialogRow]{
	"_id":                    {text: func(r dialogRow) string { return r.id }},
	"id":                     {text: func(r dialogRow) string { return r.id }},
	"type":                   numberOf(func(r dialogRow) int64 { return int64(r.kind) }),
	"name":                   {text: func(r dialogRow) string { return r.shownName }},
	"created_at":             dateOf(func(r dialogRow) time.Time { return r.created }),
	"updated_at":             dateOf(func(r dialogRow) time.Time { return r.updated }),
	"user_id":                numberOf(func(r dialogRow) int64 { return r.owner }),
	"occupants_ids":          {numbers: func(r dialogRow) []int64 { return r.occupants }},
	"last_message_user_id":   {number: ofLast(func(m *message) int64 { return m.sender })},
	"last_message_date_sent": {number: ofLast(func(m *message) int64 { return m.created.Unix() }), dated: true},
}

func ofLast(get func(*message) int64) func(dialogRow) (int64, bool) {
	return func(r dialogRow) (int64, bool) {
		if r.last == nil {
			return 0, false
		}
		return get(r.last), true
	}
}

func extensionField(key string) field[dialogRow] {
	return field[dialogRow]{text: func(r dialogRow) string { return r.extensions[key] }}
}

// lastActivity is the time of the last message that the viewer can see, in
// microseconds. A dialog without one has the time of its last update, which is
// where the official React hook puts it. A page would otherwise end before the
// dialogs that were made last.
var lastActivity = field[dialogRow]{number: func(r dialogRow) (int64, bool) {
	if r.last == nil {
		return r.updated.UnixMicro(), true
	}
	return r.last.created.UnixMicro(), true
}}

// dialogSorts are the words to sort dialogs by. The documentation has the date of
// the last message alone, calls it last_message_date_sent, and writes date_sent in
// its example, as the official React hook and chat widget do. The other words are
// assumed.
var dialogSorts = func() map[string]field[dialogRow] {
	sorts := pick(dialogFields, "created_at", "updated_at", "name", "_id")
	sorts["last_message_date_sent"], sorts["date_sent"] = lastActivity, lastActivity
	return sorts
}()

// dialogLists is the grammar of GET /chat/Dialog. The order without sorting is
// assumed.
var dialogLists = grammar[dialogRow]{
	fields:   dialogFields,
	within:   map[string]func(string) field[dialogRow]{"extensions": extensionField},
	lenient:  true,
	alone:    []string{"count"},
	sorts:    dialogSorts,
	usual:    "updated_at",
	downward: true,
	limit:    100,
	most:     1000,
	tie:      func(a, b dialogRow) int { return cmp.Compare(a.id, b.id) },
}

func (s *API) rowsFor(user int64) iter.Seq[dialogRow] {
	return func(yield func(dialogRow) bool) {
		for d := range s.archive.dialogsOf(user) {
			if !yield(dialogRow{d, s.nameFor(d, user), d.lastFor(user)}) {
				return
			}
		}
	}
}

func listDialogs(s *API, q *request, live *session) (reply, error) {
	query, err := dialogLists.parse(q.params)
	if err != nil {
		return reply{}, err
	}
	page, total := query.run(s.rowsFor(live.user.id))
	if q.params.flag("count") {
		return countReply(total), nil
	}
	items := make([]dialogJSON, len(page))
	for i, row := range page {
		items[i] = s.dialogFor(row.dialog, live.user.id)
	}
	return reply{status: http.StatusOK, body: map[string]any{
		"total_entries": total,
		"skip":          query.skip,
		"limit":         query.limit,
		"items":         items,
	}}, nil
}

// countReply is what count=1 gets, as the Dart SDK reads it.
func countReply(total int) reply {
	return reply{status: http.StatusOK, body: map[string]any{"items": map[string]int{"count": total}}}
}

// createDialog makes a dialog, or gives the private one that is there already.
func createDialog(s *API, q *request, live *session) (reply, error) {
	n, _ := q.params.integer("type")
	kind := dialogKind(n)
	if kind < kindBroadcast || kind > kindPublic {
		return reply{}, errNoType
	}
	me := live.user.id
	if kind == kindPrivate {
		return s.createPrivate(q, me)
	}
	occupants, err := s.knownUsers(q.params, "occupants_ids")
	if err != nil {
		return reply{}, err
	}
	admins, err := s.knownUsers(q.params, "admins_ids")
	switch {
	case err != nil:
		return reply{}, err
	case kind == kindGroup && len(occupants) == 0:
		return reply{}, errNoOccupants
	}
	d := &dialog{kind: kind, owner: me}
	if kind == kindGroup {
		d.occupants = occupants
	}
	d.occupants.add(me)
	admins.remove(me) // is the owner
	for _, id := range admins {
		d.admins.add(id)
		d.occupants.add(id)
	}
	if err := s.describe(d, q.params); err != nil {
		return reply{}, err
	}
	if err := d.check(); err != nil {
		return reply{}, err
	}
	s.archive.add(d, q.now)
	return reply{status: http.StatusCreated, body: s.dialogFor(d, me)}, nil
}

func (s *API) createPrivate(q *request, me int64) (reply, error) {
	others, err := s.knownUsers(q.params, "occupants_ids")
	if err != nil {
		return reply{}, err
	}
	others.remove(me)
	if len(others) != 1 {
		return reply{}, errNoOpponent
	}
	extensions, err := s.extend(q.params)
	if err != nil {
		return reply{}, err
	}
	before := s.archive.private[pairOf(me, others[0])]
	d := s.archive.privateDialog(me, others[0], q.now)
	d.hidden.remove(me)
	if before == nil {
		d.extensions, d.permissions = extensions, permit(q.params)
	}
	return reply{status: http.StatusCreated, body: s.dialogFor(d, me)}, nil
}

// userIDs reads a list of user ids, in any of the encodings of a list. What is
// no id is refused.
func userIDs(p params, key string) (userSet, error) {
	var all userSet
	for _, item := range p.list(key) {
		id, err := strconv.ParseInt(item, 10, 64)
		if err != nil {
			return nil, asBase(422, key+" must be a list of user ids")
		}
		all.add(id)
	}
	return all, nil
}

// known leaves out the ids of nobody, as the text of errNoOpponent suggests the
// service does.
func (s *API) known(all userSet) userSet {
	return slices.DeleteFunc(all, func(id int64) bool { return s.registry.users[id] == nil })
}

func (s *API) knownUsers(p params, key string) (userSet, error) {
	all, err := userIDs(p, key)
	return s.known(all), err
}

// subscribe adds the caller to a public dialog.
func subscribe(s *API, q *request, live *session) (reply, error) {
	d, err := s.publicDialog(q.arg)
	switch {
	case err != nil:
		return reply{}, err
	case len(d.occupants) >= mostOccupants:
		return reply{}, errTooManyOccupants
	}
	s.archive.join(d, live.user.id)
	s.archive.touch(d, q.now)
	return reply{status: http.StatusOK, body: s.dialogFor(d, live.user.id)}, nil
}

func unsubscribe(s *API, q *request, live *session) (reply, error) {
	d, err := s.publicDialog(q.arg)
	if err != nil {
		return reply{}, err
	}
	s.archive.leave(d, live.user.id)
	return reply{status: http.StatusOK}, nil
}

func (s *API) publicDialog(id string) (*dialog, error) {
	d := s.archive.dialogs[id]
	switch {
	case d == nil:
		return nil, errNoResource
	case d.kind != kindPublic:
		return nil, errForbidden
	}
	return d, nil
}

// listOccupants shows the profiles of a dialog's users, as far as they exist.
func listOccupants(s *API, q *request, live *session) (reply, error) {
	d, err := s.archive.find(q.arg, live.user.id)
	if err != nil {
		return reply{}, err
	}
	skip, limit, err := paging(q.params, "skip", 100)
	if err != nil {
		return reply{}, err
	}
	all := s.listeners(d)
	all = all[min(skip, len(all)):]
	items := []userJSON{}
	for _, id := range all[:min(limit, len(all))] {
		if u := s.registry.users[id]; u != nil {
			items = append(items, u.public())
		}
	}
	return reply{status: http.StatusOK, body: map[string]any{"items": items}}, nil
}

// paging reads limit, which is usually and at most limit, and its companion.
func paging(p params, from string, limit int) (skip, most int, err error) {
	if p.has(from) {
		if skip, err = pageNumber(p, from, 0); err != nil {
			return 0, 0, err
		}
	}
	if !p.has("limit") {
		return skip, limit, nil
	}
	most, err = pageNumber(p, "limit", 1)
	return skip, min(most, limit), err
}

func getNotifications(s *API, q *request, live *session) (reply, error) {
	d, err := s.archive.find(q.arg, live.user.id)
	if err != nil {
		return reply{}, err
	}
	return notifications(d, live.user.id), nil
}

func putNotifications(s *API, q *request, live *session) (reply, error) {
	d, err := s.archive.find(q.arg, live.user.id)
	if err != nil {
		return reply{}, err
	}
	if q.params.flag("enabled") {
		d.silent.remove(live.user.id)
	} else {
		d.silent.add(live.user.id)
	}
	return notifications(d, live.user.id), nil
}

func notifications(d *dialog, user int64) reply {
	enabled := 1
	if d.silent.has(user) {
		enabled = 0
	}
	return reply{status: http.StatusOK, body: map[string]any{"notifications": map[string]int{"enabled": enabled}}}
}
