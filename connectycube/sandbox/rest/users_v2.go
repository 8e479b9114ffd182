package rest

import (
	"cmp"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cubegate/connectycube/sandbox/core"
)

// The bounds of GET /users/v2. https://developers.connectycube.com/server/users has all
// except maxValues.
const (
	maxPage        = 100 // default and maximum
	startWithPage  = 5   // maximum with start_with
	startWithLeast = 4   // characters
	maxValues      = 300 // of one in or nin
)

// column is a filter or sort field of /users/v2.
type column struct {
	alone  bool // may stand alone; other fields only narrow a search
	text   func(*core.User) []string
	number func(*core.User) int64 // for dates: Unix seconds
}

func one(get func(*core.User) string) func(*core.User) []string {
	return func(u *core.User) []string {
		if v := get(u); v != "" {
			return []string{v}
		}
		return nil
	}
}

var columns = map[string]column{
	"id":          {alone: true, text: one(func(u *core.User) string { return strconv.FormatInt(u.ID, 10) }), number: func(u *core.User) int64 { return u.ID }},
	"login":       {alone: true, text: one(func(u *core.User) string { return u.Login })},
	"email":       {alone: true, text: one(func(u *core.User) string { return u.Email })},
	"full_name":   {alone: true, text: one(func(u *core.User) string { return u.FullName })},
	"phone":       {alone: true, text: one(func(u *core.User) string { return u.Phone })},
	"external_id": {alone: true, text: one(func(u *core.User) string { return u.ExternalID })},
	"facebook_id": {alone: true, text: one(func(u *core.User) string { return u.FacebookID })},
	"twitter_id":  {alone: true, text: one(func(u *core.User) string { return u.TwitterID })},
	"user_tags":   {alone: true, text: func(u *core.User) []string { return u.Tags }},
	"created_at":  {number: func(u *core.User) int64 { return u.Created.Unix() }},
	"updated_at":  {number: func(u *core.User) int64 { return u.Updated.Unix() }},
	"last_request_at": {number: func(u *core.User) int64 {
		if u.LastRequest.IsZero() {
			return 0
		}
		return u.LastRequest.Unix()
	}},
}

// v2Query is a valid query of /users/v2.
type v2Query struct {
	offset, limit int
	sort          string // a column; "" means id
	descending    bool
	filters       []filter

	// exact are the values that the first equality or in requires of a unique
	// column. With them the indexes answer, without a scan.
	exactIn string
	exact   []string
}

// filter is one condition; all must hold.
type filter struct {
	name   string
	op     string // "eq", "in", "nin", "start_with", "gt", "lt", "gte", "lte"
	values []string
	bound  float64 // of a date
}

func badQuery(text string) error { return core.AsBase(422, "Invalid query: "+text) }

// parseV2 checks a query against the grammar in
// https://developers.connectycube.com/server/users: at least one field that may stand
// alone, with =, in or start_with; dates only in addition. It ignores unknown plain
// parameters.
func parseV2(p core.Params) (v2Query, error) {
	q := v2Query{limit: maxPage}
	primary := false
	for _, name := range slices.Sorted(maps.Keys(p)) {
		var err error
		switch name {
		case "offset":
			q.offset, err = pageNumber(p, name, 0)
		case "limit":
			q.limit, err = pageNumber(p, name, 1)
		case "sort_asc", "sort_desc":
			err = q.sortBy(p.Text(name), name == "sort_desc")
		default:
			var found bool
			found, err = q.addField(name, p)
			primary = primary || found
		}
		if err != nil {
			return v2Query{}, err
		}
	}
	if !primary {
		return v2Query{}, badQuery("a field that can stand alone must be given a value, in or start_with")
	}
	q.limit = min(q.limit, maxPage)
	for _, f := range q.filters {
		if f.op == "start_with" {
			q.limit = min(q.limit, startWithPage)
		}
	}
	return q, nil
}

func pageNumber(p core.Params, name string, least int64) (int, error) {
	n, ok := core.Number(p.Text(name))
	if !ok || n < float64(least) {
		return 0, badQuery(name + " is not a number in range")
	}
	return int(min(n, core.MostEntries)), nil // without a fraction: the Dart SDK prints 10.0
}

func (q *v2Query) sortBy(name string, descending bool) error {
	if _, known := columns[name]; !known || name == "user_tags" {
		return badQuery("unknown field to sort by")
	}
	if q.sort != "" {
		return badQuery("sort_asc and sort_desc exclude each other")
	}
	q.sort, q.descending = name, descending
	return nil
}

// refuseUnknown refuses an unknown parameter. A lenient list refuses it only with an
// operator, because a filter on which the client relies would not apply. It ignores a
// plain one: an official sample sends page=1 to /users/v2, which has no pages.
func refuseUnknown(value any, lenient bool) error {
	_, hasOperator := value.(map[string]any)
	if lenient && !hasOperator {
		return nil
	}
	return badQuery("unknown field")
}

// addField reads f=v or f[op]=v and reports whether that makes the query valid.
func (q *v2Query) addField(name string, p core.Params) (primary bool, err error) {
	col, known := columns[name]
	if !known {
		return false, refuseUnknown(p[name], true)
	}
	operators := p.Object(name)
	if operators == nil {
		value, isScalar := core.Scalar(p[name])
		if !isScalar || value == "" {
			return false, badQuery(name + " has no value")
		}
		operators = core.Params{"eq": value}
	} else if operators.Has("eq") {
		return false, badQuery("unknown operator")
	}
	for _, op := range slices.Sorted(maps.Keys(operators)) {
		f, err := newFilter(name, col, op, operators)
		if err != nil {
			return false, err
		}
		q.filters = append(q.filters, f)
		q.noteExact(f)
		primary = primary || col.alone && (op == "eq" || op == "in" || op == "start_with")
	}
	return primary, nil
}

func newFilter(name string, col column, op string, operators core.Params) (filter, error) {
	f := filter{name: name, op: op}
	if !col.alone {
		err := f.setDate(operators.Text(op))
		return f, err
	}
	switch op {
	case "gt", "lt", "gte", "lte":
		return filter{}, badQuery(op + " goes with dates only")
	case "eq":
		f.values = []string{operators.Text(op)}
		if name == "user_tags" {
			f.values = operators.List(op)
		}
	case "in", "nin":
		f.values = operators.List(op)
	case "start_with":
		f.values = []string{operators.Text(op)}
		if name == "id" || utf8.RuneCountInString(f.values[0]) < startWithLeast {
			return filter{}, badQuery("start_with needs a text field and 4 characters")
		}
	default:
		return filter{}, badQuery("unknown operator")
	}
	if len(f.values) == 0 || len(f.values) > maxValues {
		return filter{}, badQuery(name + " has no values, or too many")
	}
	f.normalize()
	return f, nil
}

// normalize writes the values as the column does.
func (f *filter) normalize() {
	for i, v := range f.values {
		switch f.name {
		case "email":
			f.values[i] = core.NormalEmail(v)
		case "id":
			if id, ok := core.Whole(v); ok {
				f.values[i] = strconv.FormatInt(id, 10)
			}
		}
	}
}

// setDate sets the date that the filter compares with. The documented example for the
// equality is phone=6754987345566&last_request_at=2020-11-09T08:21:41Z.
func (f *filter) setDate(operand string) error {
	switch f.op {
	case "eq", "gt", "lt", "gte", "lte":
	default:
		return badQuery(f.name + " goes with a value, gt, lt, gte and lte only")
	}
	var ok bool
	if f.bound, ok = parseDate(operand); !ok {
		return badQuery(f.name + " is not a date")
	}
	return nil
}

const mostSeconds = 1 << 53 // of a date; exact in a float64

// parseDate reads Unix seconds, with or without a fraction, or ISO 8601: a time, or a
// day, which means its beginning in UTC.
func parseDate(text string) (float64, bool) {
	if n, ok := core.Number(text); ok {
		return n, math.Abs(n) <= mostSeconds
	}
	at, err := time.Parse(time.RFC3339, text) // also with a fraction
	if err != nil {
		at, err = time.Parse(time.DateOnly, text)
	}
	return float64(at.Unix()), err == nil
}

// readDates reads start_date and end_date as Unix seconds. It leaves the number of a
// missing date unchanged.
func readDates(p core.Params, start, end *int64) error {
	for _, date := range []struct {
		key string
		to  *int64
	}{{"start_date", start}, {"end_date", end}} {
		if !p.Has(date.key) {
			continue
		}
		at, ok := parseDate(p.Text(date.key))
		if !ok {
			return badQuery(date.key + " is not a date")
		}
		*date.to = int64(math.Floor(at))
	}
	return nil
}

func (q *v2Query) noteExact(f filter) {
	unique := f.name == "id" || f.name == "login" || f.name == "email" || f.name == "external_id"
	if q.exact == nil && unique && (f.op == "eq" || f.op == "in") {
		q.exactIn, q.exact = f.name, f.values
	}
}

func (f filter) matches(u *core.User) bool {
	col := columns[f.name]
	if !col.alone {
		return holds(f.op, []float64{float64(col.number(u))}, []float64{f.bound}, nil)
	}
	return slices.ContainsFunc(col.text(u), func(has string) bool {
		if f.op == "start_with" {
			return strings.HasPrefix(has, f.values[0])
		}
		return slices.Contains(f.values, has)
	}) != (f.op == "nin")
}

// candidates returns the users that can match, each once.
func (q *v2Query) candidates(r *core.Registry) []*core.User {
	found := make([]*core.User, 0, len(q.exact))
	if q.exact == nil {
		for _, u := range r.Users {
			found = append(found, u)
		}
		return found
	}
	for _, value := range q.exact {
		if u := userByField(r, q.exactIn, value); u != nil && !slices.Contains(found, u) {
			found = append(found, u)
		}
	}
	return found
}

// userByField finds a user in the index of a unique column.
func userByField(r *core.Registry, name, value string) *core.User {
	switch name {
	case "id":
		id, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return nil
		}
		return r.Users[id]
	case "login":
		return r.ByLogin[value]
	case "email":
		return r.ByEmail[value]
	}
	return r.ByExternal[value]
}

// run returns the page and the number of all matching users.
func (q *v2Query) run(r *core.Registry) (page []*core.User, total int) {
	matching := slices.DeleteFunc(q.candidates(r), func(u *core.User) bool {
		return slices.ContainsFunc(q.filters, func(f filter) bool { return !f.matches(u) })
	})
	slices.SortFunc(matching, q.compare)
	total = len(matching)
	from := min(q.offset, total)
	return matching[from:min(from+q.limit, total)], total
}

func (q *v2Query) compare(a, b *core.User) int {
	order := 0
	if col := columns[q.sort]; col.number != nil {
		order = cmp.Compare(col.number(a), col.number(b))
	} else if col.text != nil {
		order = slices.Compare(col.text(a), col.text(b))
	}
	if q.descending {
		order = -order
	}
	return cmp.Or(order, cmp.Compare(a.ID, b.ID))
}

func listUsers(s *API, q *request, _ *core.Session) (reply, error) {
	query, err := parseV2(q.params)
	if err != nil {
		return reply{}, err
	}
	page, total := query.run(&s.Registry)
	items := make([]userJSON, len(page))
	for i, u := range page {
		items[i] = userBody(u)
	}
	return reply{status: http.StatusOK, body: listPage{items, query.limit, query.offset, total}}, nil
}
