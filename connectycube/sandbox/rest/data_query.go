package rest

import (
	"iter"
	"maps"
	"net/http"
	"slices"

	"cubegate/connectycube/sandbox/core"
)

// dataQuery is a valid search of custom data
// (https://developers.connectycube.com/server/custom_objects, Options to apply).
type dataQuery struct {
	conditions []dataCondition
	values     int    // of all conditions
	sort       string // "": by creation
	downward   bool
	skip       int
	limit      int // -1: the last record only
	count      bool
	include    []string
	exclude    []string
}

// dataCondition is a condition on one field; all must hold.
type dataCondition struct {
	field string
	core.Condition
}

func (q *dataQuery) matches(r *core.Record) bool {
	return !slices.ContainsFunc(q.conditions, func(c dataCondition) bool { return !c.Holds(r.Value(c.field)) })
}

// criteria reads conditions that select records to change: f=v and f[op]=v. At least one
// is required, so that a mistake does not change the whole class.
func criteria(p core.Params) (dataQuery, error) {
	var q dataQuery
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if err := q.addCondition(name, p[name]); err != nil {
			return dataQuery{}, err
		}
	}
	if len(q.conditions) == 0 {
		return dataQuery{}, errNoCriteria
	}
	return q, nil
}

// parseData reads a search.
func parseData(p core.Params) (dataQuery, error) {
	q := dataQuery{limit: maxPage, count: p.Flag("count")}
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if err := q.read(name, p); err != nil {
			return dataQuery{}, err
		}
	}
	return q, nil
}

func (q *dataQuery) read(name string, p core.Params) (err error) {
	switch name {
	case "count", "permissions":
	case "skip":
		q.skip, err = pageNumber(p, name, 0)
	case "limit":
		if n, ok := core.Whole(p.Text(name)); ok && n == -1 {
			q.limit = -1
			return nil
		}
		q.limit, err = pageNumber(p, name, 1)
		q.limit = min(q.limit, maxPage)
	case "sort_asc", "sort_desc":
		if q.sort != "" || core.CheckDataName(p.Text(name)) != "" {
			return badQuery("sort_asc or sort_desc must be one field")
		}
		q.sort, q.downward = p.Text(name), name == "sort_desc"
	case "output":
		q.include, q.exclude = p.Object(name).List("include"), p.Object(name).List("exclude")
	case "near", "group_by", "calc":
		return core.NotImitated(name)
	default:
		return q.addCondition(name, p[name])
	}
	return err
}

// addCondition adds the conditions f=v, f[]=v and f[op]=v.
func (q *dataQuery) addCondition(field string, value any) error {
	operators, ok := value.(map[string]any)
	if !ok {
		operators = map[string]any{"eq": value}
	}
	for _, op := range slices.Sorted(maps.Keys(operators)) {
		if ok && op == "eq" {
			return badQuery("unknown operator")
		}
		c, err := core.NewCondition(op, operators[op])
		if err != nil {
			return err
		}
		if field == "created_at" || field == "updated_at" {
			c = c.With(asSeconds)
		}
		q.conditions = append(q.conditions, dataCondition{field, c})
		if q.values += c.Size(); q.values > core.MostOperands {
			return badQuery("it has more than 300 values")
		}
	}
	return nil
}

// asSeconds converts an ISO date, which the SDK makes of a Date, to Unix seconds.
func asSeconds(operand string) string {
	if at, ok := parseDate(operand); ok {
		return core.FormatNumber(at)
	}
	return operand
}

// matching yields the records of a class that the query finds and with which the user may
// do the act.
func (s *API) matching(class string, q dataQuery, u *core.User, act core.DataAct) iter.Seq[*core.Record] {
	return func(yield func(*core.Record) bool) {
		for r := range s.Data.Records(class) {
			if q.matches(r) && r.Allows(u, act) && !yield(r) {
				return
			}
		}
	}
}

// listRecords answers a search among the records that the user may read. Its items have
// no permissions, as in the documented sample.
func listRecords(s *API, q *request, live *core.Session) (reply, error) {
	query, err := parseData(q.params)
	if err != nil {
		return reply{}, err
	}
	found := query.sorted(s.matching(q.args[0], query, live.User, core.ToRead))
	body := map[string]any{"class_name": q.args[0], "skip": query.skip, "limit": query.limit}
	if query.count {
		body["items"] = map[string]int{"count": len(found)}
		return reply{status: http.StatusOK, body: body}, nil
	}
	items := []map[string]any{}
	for _, r := range query.page(found) {
		items = append(items, query.output(s.recordBody(r)))
	}
	body["items"] = items
	return reply{status: http.StatusOK, body: body}, nil
}

// sorted returns the records in the order of the query; equal ones by creation.
func (q *dataQuery) sorted(records iter.Seq[*core.Record]) []*core.Record {
	all := slices.Collect(records)
	if q.sort == "" {
		return all
	}
	type keyed struct {
		key core.SortKey
		r   *core.Record
	}
	keys := make([]keyed, len(all))
	for i, r := range all {
		keys[i] = keyed{core.KeyOf(r.Value(q.sort)), r}
	}
	slices.SortStableFunc(keys, func(a, b keyed) int {
		if q.downward {
			a, b = b, a
		}
		return a.key.Compare(b.key)
	})
	for i, k := range keys {
		all[i] = k.r
	}
	return all
}

func (q *dataQuery) page(all []*core.Record) []*core.Record {
	if q.limit < 0 {
		return all[max(0, len(all)-1):]
	}
	from := min(q.skip, len(all))
	return all[from:min(from+q.limit, len(all))]
}

// output applies output[include] and output[exclude]. The ID always stays (assumed).
func (q *dataQuery) output(body map[string]any) map[string]any {
	maps.DeleteFunc(body, func(name string, _ any) bool {
		isLeftOut := len(q.include) > 0 && !slices.Contains(q.include, name) || slices.Contains(q.exclude, name)
		return name != "_id" && isLeftOut
	})
	return body
}

// getRecords answers the records of a list of IDs, as far as they exist and the user may
// read them; if there is none, an error. With permissions=1 it answers the permissions
// of one, for its owner alone.
func getRecords(s *API, q *request, live *core.Session) (reply, error) {
	ids := (core.Params{"ids": q.arg}).List("ids")
	if len(ids) > core.MostAtOnce {
		return reply{}, errTooManyIDs
	}
	var found []*core.Record
	failure := core.ErrNoResource
	for _, id := range ids {
		r := s.Data.Find(q.args[0], id)
		switch {
		case r == nil || slices.Contains(found, r):
		case !r.Allows(live.User, core.ToRead):
			failure = core.ErrForbidden
		default:
			found = append(found, r)
		}
	}
	switch {
	case len(found) == 0:
		return reply{}, failure
	case !q.params.Flag("permissions"):
		return reply{status: http.StatusOK, body: map[string]any{
			"class_name": q.args[0],
			"items":      s.recordBodies(found),
		}}, nil
	case found[0].Owner != live.User.ID:
		return reply{}, core.ErrForbidden
	}
	return reply{status: http.StatusOK, body: map[string]any{
		"record_id":   found[0].ID,
		"permissions": permissionsBody(found[0]),
	}}, nil
}
