package rest

import (
	"cmp"
	"iter"
	"net/http"
	"slices"
	"time"

	"cubegate/connectycube/sandbox/core"
)

// dialogRow is a dialog as one user sees it in a list.
type dialogRow struct {
	*core.Dialog
	shownName string
	last      *core.Message // nil: the user sees no message
}

// dialogFields are the documented filter fields, and those for owner, occupants and
// last sender, which are assumed. The official Flutter sample and the documentation's
// Flutter FAQ look a dialog up by id instead of _id, and use the first one in the
// answer.
var dialogFields = map[string]field[dialogRow]{
	"_id":                    {text: func(r dialogRow) string { return r.ID }},
	"id":                     {text: func(r dialogRow) string { return r.ID }},
	"type":                   numberOf(func(r dialogRow) int64 { return int64(r.Kind) }),
	"name":                   {text: func(r dialogRow) string { return r.shownName }},
	"created_at":             dateOf(func(r dialogRow) time.Time { return r.Created }),
	"updated_at":             dateOf(func(r dialogRow) time.Time { return r.Updated }),
	"user_id":                numberOf(func(r dialogRow) int64 { return r.Owner }),
	"occupants_ids":          {numbers: func(r dialogRow) []int64 { return r.Occupants }},
	"last_message_user_id":   {number: ofLast(func(m *core.Message) int64 { return m.Sender })},
	"last_message_date_sent": {number: ofLast(func(m *core.Message) int64 { return m.Created.Unix() }), dated: true},
}

func ofLast(get func(*core.Message) int64) func(dialogRow) (int64, bool) {
	return func(r dialogRow) (int64, bool) {
		if r.last == nil {
			return 0, false
		}
		return get(r.last), true
	}
}

func extensionField(key string) field[dialogRow] {
	return field[dialogRow]{text: func(r dialogRow) string { return r.Extensions[key] }}
}

// lastActivity is the time of the last message that the user can see, in
// microseconds. A dialog without one has the time of its last update, as in the
// official React hook. Otherwise a page would not include the newest dialogs.
var lastActivity = field[dialogRow]{number: func(r dialogRow) (int64, bool) {
	if r.last == nil {
		return r.Updated.UnixMicro(), true
	}
	return r.last.Created.UnixMicro(), true
}}

// dialogSorts are the sort fields of dialogs. The documentation only has the date of
// the last message. It calls the field last_message_date_sent, and date_sent in its
// example; the official React hook and chat widget send date_sent. The other fields
// are assumed.
var dialogSorts = func() map[string]field[dialogRow] {
	sorts := pick(dialogFields, "created_at", "updated_at", "name", "_id")
	sorts["last_message_date_sent"], sorts["date_sent"] = lastActivity, lastActivity
	return sorts
}()

// dialogLists is the grammar of GET /chat/Dialog. The order without a sort field is
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
	tie:      func(a, b dialogRow) int { return cmp.Compare(a.ID, b.ID) },
}

func (s *API) rowsFor(user int64) iter.Seq[dialogRow] {
	return func(yield func(dialogRow) bool) {
		for d := range s.Archive.DialogsOf(user) {
			if !yield(dialogRow{d, s.nameFor(d, user), d.LastFor(user)}) {
				return
			}
		}
	}
}

func listDialogs(s *API, q *request, live *core.Session) (reply, error) {
	query, err := dialogLists.parse(q.params)
	if err != nil {
		return reply{}, err
	}
	page, total := query.run(s.rowsFor(live.User.ID))
	if q.params.Flag("count") {
		return countReply(total), nil
	}
	items := make([]dialogJSON, len(page))
	for i, row := range page {
		items[i] = s.dialogFor(row.Dialog, live.User.ID)
	}
	return reply{status: http.StatusOK, body: listPage{items, query.limit, query.skip, total}}, nil
}

// listPage is one page of a list in an answer.
type listPage struct {
	Items any `json:"items"`
	Limit int `json:"limit"`
	Skip  int `json:"skip"`
	Total int `json:"total_entries"`
}

// countReply is the answer to count=1; the Dart SDK reads this form.
func countReply(total int) reply {
	return reply{status: http.StatusOK, body: map[string]any{"items": map[string]int{"count": total}}}
}

// createDialog creates a dialog, or returns the private one that already exists.
func createDialog(s *API, q *request, live *core.Session) (reply, error) {
	n, _ := q.params.Integer("type")
	kind := core.DialogKind(n)
	if kind < core.KindBroadcast || kind > core.KindPublic {
		return reply{}, errNoType
	}
	me := live.User.ID
	if kind == core.KindPrivate {
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
	case kind == core.KindGroup && len(occupants) == 0:
		return reply{}, errNoOccupants
	}
	d := &core.Dialog{Kind: kind, Owner: me}
	if kind == core.KindGroup {
		d.Occupants = occupants
	}
	d.Occupants.Add(me)
	admins.Remove(me) // the owner is no admin
	for _, id := range admins {
		d.Admins.Add(id)
		d.Occupants.Add(id)
	}
	if err := s.Describe(d, q.params); err != nil {
		return reply{}, err
	}
	if err := d.Check(); err != nil {
		return reply{}, err
	}
	s.Archive.Add(d, q.now)
	return reply{status: http.StatusCreated, body: s.dialogFor(d, me)}, nil
}

func (s *API) createPrivate(q *request, me int64) (reply, error) {
	others, err := s.knownUsers(q.params, "occupants_ids")
	if err != nil {
		return reply{}, err
	}
	others.Remove(me)
	if len(others) != 1 {
		return reply{}, errNoOpponent
	}
	extensions, err := s.ReadExtensions(q.params)
	if err != nil {
		return reply{}, err
	}
	before := s.Archive.Private[core.PairOf(me, others[0])]
	d := s.Archive.PrivateDialog(me, others[0], q.now)
	d.Hidden.Remove(me)
	if before == nil {
		d.Extensions, d.Permissions = extensions, core.ReadPermissions(q.params)
	}
	return reply{status: http.StatusCreated, body: s.dialogFor(d, me)}, nil
}

// userIDs reads a list of user IDs in any encoding of a list. It refuses other values.
func userIDs(p core.Params, key string) (core.UserSet, error) {
	var all core.UserSet
	for _, item := range p.List(key) {
		id, ok := core.Whole(item)
		if !ok {
			return nil, core.AsBase(422, key+" must be a list of user ids")
		}
		all.Add(id)
	}
	return all, nil
}

// known removes the IDs of users who do not exist. The text of errNoOpponent suggests
// that the service does so.
func (s *API) known(all core.UserSet) core.UserSet {
	return slices.DeleteFunc(all, func(id int64) bool { return s.Registry.Users[id] == nil })
}

func (s *API) knownUsers(p core.Params, key string) (core.UserSet, error) {
	all, err := userIDs(p, key)
	return s.known(all), err
}

// subscribe adds the caller to a public dialog.
func subscribe(s *API, q *request, live *core.Session) (reply, error) {
	d, err := s.publicDialog(q.arg)
	switch {
	case err != nil:
		return reply{}, err
	case len(d.Occupants) >= core.MostOccupants:
		return reply{}, core.ErrTooManyOccupants
	}
	s.Archive.Join(d, live.User.ID)
	s.Archive.Touch(d, q.now)
	return reply{status: http.StatusOK, body: s.dialogFor(d, live.User.ID)}, nil
}

func unsubscribe(s *API, q *request, live *core.Session) (reply, error) {
	d, err := s.publicDialog(q.arg)
	if err != nil {
		return reply{}, err
	}
	s.Archive.Leave(d, live.User.ID)
	return reply{status: http.StatusOK}, nil
}

func (s *API) publicDialog(id string) (*core.Dialog, error) {
	d := s.Archive.Dialogs[id]
	switch {
	case d == nil:
		return nil, core.ErrNoResource
	case d.Kind != core.KindPublic:
		return nil, core.ErrForbidden
	}
	return d, nil
}

// listOccupants returns the profiles of a dialog's users, except deleted ones.
func listOccupants(s *API, q *request, live *core.Session) (reply, error) {
	d, err := s.Archive.Find(q.arg, live.User.ID)
	if err != nil {
		return reply{}, err
	}
	skip, limit, err := paging(q.params, "skip", 100)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: map[string]any{"items": s.userPage(s.Listeners(d), skip, limit)}}, nil
}

// paging reads the parameter limit, whose default and maximum are the argument limit,
// and the parameter named from.
func paging(p core.Params, from string, limit int) (skip, most int, err error) {
	if p.Has(from) {
		if skip, err = pageNumber(p, from, 0); err != nil {
			return 0, 0, err
		}
	}
	if !p.Has("limit") {
		return skip, limit, nil
	}
	most, err = pageNumber(p, "limit", 1)
	return skip, min(most, limit), err
}

func getNotifications(s *API, q *request, live *core.Session) (reply, error) {
	d, err := s.Archive.Find(q.arg, live.User.ID)
	if err != nil {
		return reply{}, err
	}
	return notifications(d, live.User.ID), nil
}

func putNotifications(s *API, q *request, live *core.Session) (reply, error) {
	d, err := s.Archive.Find(q.arg, live.User.ID)
	if err != nil {
		return reply{}, err
	}
	if q.params.Flag("enabled") {
		d.Silent.Remove(live.User.ID)
	} else {
		d.Silent.Add(live.User.ID)
	}
	return notifications(d, live.User.ID), nil
}

func notifications(d *core.Dialog, user int64) reply {
	enabled := 1
	if d.Silent.Has(user) {
		enabled = 0
	}
	return reply{status: http.StatusOK, body: map[string]any{"notifications": map[string]int{"enabled": enabled}}}
}
