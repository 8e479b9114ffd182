package rest

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"cubegate/connectycube/sandbox/core"
)

const v1Page = 10 // documented default of per_page; the maximum is maxPage

// v1 answers calls of the first users API. An application can turn it off, and new
// applications seem to have it off.
func v1(h func(*API, *request, *core.Session) (reply, error)) handler {
	return withSession(func(s *API, q *request, live *core.Session) (reply, error) {
		if !s.Dashboard.V1Users {
			return reply{}, errV1Disabled
		}
		return h(s, q, live)
	})
}

// v1User answers with the user that find returns.
func v1User(find func(*core.Registry, *request) *core.User) handler {
	return v1(func(s *API, q *request, _ *core.Session) (reply, error) {
		u := find(&s.Registry, q)
		if u == nil {
			return reply{}, core.ErrUserNotFound
		}
		return reply{status: http.StatusOK, body: map[string]any{"user": userBody(u)}}, nil
	})
}

func findByLogin(r *core.Registry, q *request) *core.User { return r.ByLogin[q.params.Text("login")] }

func findByEmail(r *core.Registry, q *request) *core.User {
	return r.ByEmail[core.NormalEmail(q.params.Text("email"))]
}

func findByFacebook(r *core.Registry, q *request) *core.User {
	return oldestUser(r, "facebook_id", q.params.Text("facebook_id"))
}

func findByTwitter(r *core.Registry, q *request) *core.User {
	return oldestUser(r, "twitter_id", q.params.Text("twitter_id"))
}

// findByExternal searches external_id, and then the deprecated external_user_id.
func findByExternal(r *core.Registry, q *request) *core.User {
	if u := r.ByExternal[q.arg]; u != nil {
		return u
	}
	return oldestUser(r, "external_user_id", q.arg)
}

// oldestUser finds the oldest user with a value in a field without an index.
func oldestUser(r *core.Registry, field, value string) (found *core.User) {
	if value == "" {
		return nil
	}
	for _, u := range r.Users {
		if slices.Contains(v1Columns[field].text(u), value) && (found == nil || u.ID < found.ID) {
			found = u
		}
	}
	return found
}

// listUsersV1 is GET /users.
func listUsersV1(s *API, q *request, _ *core.Session) (reply, error) {
	var filters []v1Filter
	for _, text := range filterTexts(q.params["filter"]) {
		f, err := parseV1Filter(text)
		if err != nil {
			return reply{}, err
		}
		filters = append(filters, f)
	}
	// The JS guide's users.get({external_user_id}) arrives here. That it filters is
	// assumed.
	if external := q.params.Text("external_user_id"); external != "" {
		filters = append(filters, v1Filter{v1Columns["external_user_id"], "eq", []string{external}, nil})
	}
	order, err := parseV1Order(q.params.Text("order"))
	if err != nil {
		return reply{}, err
	}
	return s.v1Page(q, order, func(u *core.User) bool {
		return !slices.ContainsFunc(filters, func(f v1Filter) bool { return !f.matches(u) })
	})
}

// filterTexts accepts filter=, filter[]= and filter[gt]=; clients use all of them.
func filterTexts(v any) (texts []string) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			texts = append(texts, filterTexts(item)...)
		}
	case map[string]any:
		for _, op := range slices.Sorted(maps.Keys(v)) {
			texts = append(texts, filterTexts(v[op])...)
		}
	default:
		if text, ok := core.Scalar(v); ok {
			texts = append(texts, text)
		}
	}
	return texts
}

// listByName and its siblings compare for equality, names in any letter case. The
// service's search may find more (assumed).
func listByName(s *API, q *request, _ *core.Session) (reply, error) {
	name := q.params.Text("full_name")
	return s.v1Page(q, nil, func(u *core.User) bool { return name != "" && strings.EqualFold(u.FullName, name) })
}

func listByPhone(s *API, q *request, _ *core.Session) (reply, error) {
	phone := q.params.Text("phone")
	return s.v1Page(q, nil, func(u *core.User) bool { return phone != "" && u.Phone == phone })
}

// listByTags finds users with at least one of the tags
// (https://developers.connectycube.com/server/users).
func listByTags(s *API, q *request, _ *core.Session) (reply, error) {
	tags := tagQuery{any: q.params.List("tags")}
	return s.v1Page(q, nil, func(u *core.User) bool { return !tags.isEmpty() && tags.matches(u.Tags) })
}

// v1Page answers with a page of the users for which fits returns true.
func (s *API) v1Page(q *request, order func(a, b *core.User) int, fits func(*core.User) bool) (reply, error) {
	var matching []*core.User
	for _, u := range s.Registry.Users {
		if fits(u) {
			matching = append(matching, u)
		}
	}
	slices.SortFunc(matching, func(a, b *core.User) int {
		if order != nil {
			return cmp.Or(order(a, b), cmp.Compare(a.ID, b.ID))
		}
		return cmp.Compare(a.ID, b.ID)
	})
	return wrappedPage(q.params, "user", matching, func(u *core.User) userJSON { return userBody(u) })
}

// wrappedPage answers with the page that p asks for. Its items are wrapped, unlike
// those of V2.
func wrappedPage[T, J any](p core.Params, name string, all []T, show func(T) J) (reply, error) {
	number, size, err := v1Paging(p)
	if err != nil {
		return reply{}, err
	}
	from := min((number-1)*size, len(all))
	items := []map[string]J{}
	for _, item := range all[from:min(from+size, len(all))] {
		items = append(items, map[string]J{name: show(item)})
	}
	return reply{status: http.StatusOK, body: map[string]any{
		"current_page":  number,
		"per_page":      size,
		"total_entries": len(all),
		"items":         items,
	}}, nil
}

// v1Paging reads page and per_page. Like V2, it reduces values that are too large.
func v1Paging(p core.Params) (number, size int, err error) {
	number, size = 1, v1Page
	if p.Has("page") {
		if number, err = pageNumber(p, "page", 1); err != nil {
			return 0, 0, err
		}
	}
	if p.Has("per_page") {
		if size, err = pageNumber(p, "per_page", 1); err != nil {
			return 0, 0, err
		}
	}
	return number, min(size, maxPage), nil
}

// v1Columns are the filter and sort fields of the first API: all fields of a user
// except custom_data (https://developers.connectycube.com/server/users).
var v1Columns = func() map[string]column {
	all := maps.Clone(columns)
	all["website"] = column{text: one(func(u *core.User) string { return u.Website })}
	all["avatar"] = column{text: one(func(u *core.User) string { return u.Avatar })}
	all["external_user_id"] = optional(func(u *core.User) *int64 { return u.ExternalUserID })
	all["timezone"] = optional(func(u *core.User) *int64 { return u.Timezone })
	return all
}()

func optional(get func(*core.User) *int64) column {
	return column{
		text: func(u *core.User) []string {
			if n := get(u); n != nil {
				return []string{strconv.FormatInt(*n, 10)}
			}
			return nil
		},
		number: func(u *core.User) int64 {
			if n := get(u); n != nil {
				return *n
			}
			return 0
		},
	}
}

// v1Filter is one condition; all must hold. Numbers and dates are compared as numbers,
// dates by the day.
type v1Filter struct {
	col     column
	op      string
	texts   []string
	numbers []float64 // nil: compare texts
}

const daySeconds = 24 * 60 * 60

func badFilter(text string) error { return core.AsBase(422, "Invalid filter: "+text) }

// parseV1Filter reads "<type> <field> <op> <values>"
// (https://developers.connectycube.com/server/users). The refusals are assumed.
func parseV1Filter(text string) (v1Filter, error) {
	parts := strings.SplitN(text, " ", 4)
	if len(parts) < 4 {
		return v1Filter{}, badFilter("it must be a type, a field, an operator and a value")
	}
	kind, name, op, value := parts[0], parts[1], parts[2], parts[3]
	col, known := v1Columns[name]
	if !known {
		return v1Filter{}, badFilter("unknown field")
	}
	f := v1Filter{col: col, op: op, texts: []string{value}}
	switch op {
	case "gt", "lt", "ge", "le", "eq", "ne":
	case "in", "between":
		f.texts = core.Params{"values": value}.List("values")
	default:
		return v1Filter{}, badFilter("unknown operator")
	}
	if n := len(f.texts); n == 0 || n > maxValues || op == "between" && n != 2 {
		return v1Filter{}, badFilter("it has no values, or not as many as it should")
	}
	if name == "email" {
		for i, v := range f.texts {
			f.texts[i] = core.NormalEmail(v)
		}
	}
	err := f.readAs(kind)
	return f, err
}

// readAs converts the values to the type that the filter states.
func (f *v1Filter) readAs(kind string) error {
	dated := f.col.text == nil
	var read func(string) (float64, bool)
	switch {
	case kind == "string" && !dated:
		return nil
	case kind == "number" && !dated:
		read = core.Number
	case kind == "date" && dated:
		read = readDay
	default:
		return badFilter("the field is not of that type")
	}
	for _, text := range f.texts {
		n, ok := read(text)
		if !ok {
			return badFilter("a value is not of that type")
		}
		f.numbers = append(f.numbers, n)
	}
	return nil
}

// readDay reads 2006-01-02 and the documented 2006.01.02, and the timestamp that the
// SDK makes of a Date.
func readDay(text string) (float64, bool) {
	text = strings.ReplaceAll(text, ".", "-")
	at, err := time.Parse(time.DateOnly, text[:min(len(text), len(time.DateOnly))])
	return float64(at.Unix() / daySeconds), err == nil
}

func (f v1Filter) matches(u *core.User) bool {
	if f.col.text == nil {
		at := f.col.number(u)
		return at != 0 && within(f.op, float64(at/daySeconds), f.numbers)
	}
	values := f.col.text(u)
	if f.op == "ne" {
		return !slices.ContainsFunc(values, func(v string) bool { return f.holds("eq", v) })
	}
	return slices.ContainsFunc(values, func(v string) bool { return f.holds(f.op, v) })
}

func (f v1Filter) holds(op, value string) bool {
	if f.numbers == nil {
		return within(op, value, f.texts)
	}
	n, ok := core.Number(value)
	return ok && within(op, n, f.numbers)
}

func within[T cmp.Ordered](op string, have T, want []T) bool {
	switch op {
	case "gt":
		return have > want[0]
	case "lt":
		return have < want[0]
	case "ge":
		return have >= want[0]
	case "le":
		return have <= want[0]
	case "ne":
		return have != want[0]
	case "between":
		return have >= want[0] && have <= want[1]
	}
	return slices.Contains(want, have)
}

// parseV1Order reads "asc string login". It ignores the type: the SDK sends string for
// every field.
func parseV1Order(text string) (func(a, b *core.User) int, error) {
	if text == "" {
		return nil, nil
	}
	parts := strings.Fields(text)
	if len(parts) != 3 || parts[0] != "asc" && parts[0] != "desc" {
		return nil, badFilter("order must be asc or desc, a type and a field")
	}
	col, known := v1Columns[parts[2]]
	if !known {
		return nil, badFilter("unknown field to order by")
	}
	return func(a, b *core.User) int {
		if parts[0] == "desc" {
			a, b = b, a
		}
		if col.number != nil {
			return cmp.Compare(col.number(a), col.number(b))
		}
		return slices.Compare(col.text(a), col.text(b))
	}, nil
}
