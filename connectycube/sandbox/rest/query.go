package rest

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"cubegate/connectycube/sandbox/core"
)

// field is a filter field of a list: a text, a number (dates are Unix seconds), or
// several of one type, by which a list cannot be sorted. Exactly one function is set.
type field[T any] struct {
	text    func(T) string        // "" is null
	number  func(T) (int64, bool) // false is null
	texts   func(T) []string
	numbers func(T) []int64
	dated   bool // operands may be ISO 8601
}

// grammar defines the queries of a list.
type grammar[T any] struct {
	fields  map[string]field[T]
	within  map[string]func(key string) field[T] // fields of an object: extensions[key]
	unknown func(name string) field[T]           // for other names; nil: refused
	lenient bool                                 // ignores an unknown plain parameter
	alone   []string                             // parameters that are no filters

	sorts    map[string]field[T] // by the clients' names
	usual    string              // default sort field
	downward bool                // default direction
	limit    int                 // default
	most     int                 // bound of the limit

	tie func(a, b T) int // order of equal rows
}

// pick returns the named fields.
func pick[T any](fields map[string]field[T], names ...string) map[string]field[T] {
	picked := map[string]field[T]{}
	for _, name := range names {
		picked[name] = fields[name]
	}
	return picked
}

// listQuery is a valid query.
type listQuery[T any] struct {
	skip, limit int
	filters     []func(T) bool
	sort        field[T]
	downward    bool
	tie         func(a, b T) int
}

// parse parses a query. Its errors are refusals.
func (g *grammar[T]) parse(p core.Params) (listQuery[T], error) {
	q := listQuery[T]{limit: g.limit, sort: g.sorts[g.usual], downward: g.downward, tie: g.tie}
	sorted := false
	for _, name := range slices.Sorted(maps.Keys(p)) {
		var err error
		switch {
		case name == "skip":
			q.skip, err = pageNumber(p, name, 0)
		case name == "limit":
			q.limit, err = pageNumber(p, name, 1)
			q.limit = min(q.limit, g.most)
		case name == "sort_asc", name == "sort_desc":
			by, known := g.sorts[p.Text(name)]
			if sorted || !known {
				err = badQuery("one field to sort by, of " + strings.Join(slices.Sorted(maps.Keys(g.sorts)), ", "))
				break
			}
			sorted = true
			q.sort, q.downward = by, name == "sort_desc"
		case slices.Contains(g.alone, name):
		default:
			err = g.addFilters(&q, name, p[name])
		}
		if err != nil {
			return listQuery[T]{}, err
		}
	}
	return q, nil
}

func (g *grammar[T]) addFilters(q *listQuery[T], name string, value any) error {
	if inner := g.within[name]; inner != nil {
		members, _ := value.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(members)) {
			if err := q.add(name+"["+key+"]", inner(key), members[key]); err != nil {
				return err
			}
		}
		return nil
	}
	f, known := g.fields[name]
	if !known && g.unknown == nil {
		return refuseUnknown(value, g.lenient)
	}
	if !known {
		f = g.unknown(name)
	}
	return q.add(name, f, value)
}

// add adds the filters f=v, f[]=v and f[op]=v.
func (q *listQuery[T]) add(name string, f field[T], value any) error {
	operators := map[string]any{"eq": value}
	switch v := value.(type) {
	case map[string]any:
		if operators = v; core.Params(v).Has("eq") {
			return badQuery("unknown operator")
		}
	case []any:
		operators = map[string]any{"in": value}
	}
	for _, op := range slices.Sorted(maps.Keys(operators)) {
		matches, err := f.filter(name, op, operators)
		if err != nil {
			return err
		}
		q.filters = append(q.filters, matches)
	}
	return nil
}

// filter returns one condition. The operators are documented; eq is f=v.
func (f field[T]) filter(name, op string, operators core.Params) (func(T) bool, error) {
	operands := []string{operators.Text(op)}
	switch op {
	case "eq", "ne", "lt", "lte", "gt", "gte":
	case "ctn":
		if !f.textual() {
			return nil, badQuery("ctn goes with text only")
		}
	case "in", "nin", "all":
		operands = operators.List(op)
	default:
		return nil, badQuery("unknown operator")
	}
	if len(operands) > maxValues {
		return nil, badQuery(name + " has too many values")
	}
	if f.textual() {
		return f.matchText(op, operands), nil
	}
	numbers := make([]float64, len(operands))
	for i, operand := range operands {
		n, ok := f.parse(operand)
		if !ok {
			return nil, badQuery(name + " takes numbers, or dates if it is one")
		}
		numbers[i] = n
	}
	return f.matchNumber(op, numbers), nil
}

func (f field[T]) textual() bool { return f.text != nil || f.texts != nil }

func (f field[T]) matchText(op string, operands []string) func(T) bool {
	if f.texts != nil {
		return func(row T) bool { return holds(op, f.texts(row), operands, strings.Contains) }
	}
	return func(row T) bool {
		have := [1]string{f.text(row)}
		if have[0] == "" {
			return holds(op, nil, operands, strings.Contains)
		}
		return holds(op, have[:], operands, strings.Contains)
	}
}

func (f field[T]) matchNumber(op string, operands []float64) func(T) bool {
	if f.numbers != nil {
		return func(row T) bool { return holds(op, inFloats(f.numbers(row)), operands, nil) }
	}
	return func(row T) bool {
		n, ok := f.number(row)
		if !ok {
			return holds(op, nil, operands, nil)
		}
		have := [1]float64{float64(n)}
		return holds(op, have[:], operands, nil)
	}
}

// inFloats converts IDs, which are exact as float64, because operands may have a
// fraction: date_sent[lt]=5.5 includes 5.
func inFloats(ids []int64) []float64 {
	out := make([]float64, len(ids))
	for i, id := range ids {
		out[i] = float64(id)
	}
	return out
}

func (f field[T]) parse(operand string) (float64, bool) {
	if f.dated {
		return parseDate(operand)
	}
	return core.Number(operand)
}

// holds applies an operator to a field's values. Operators other than in, nin and all
// have one operand.
func holds[V cmp.Ordered](op string, have, want []V, contains func(V, V) bool) bool {
	among := func(v V) bool { return slices.Contains(want, v) }
	switch op {
	case "eq", "in":
		return slices.ContainsFunc(have, among)
	case "ne", "nin":
		return !slices.ContainsFunc(have, among)
	case "all":
		return !slices.ContainsFunc(want, func(v V) bool { return !slices.Contains(have, v) })
	}
	return slices.ContainsFunc(have, func(v V) bool {
		switch op {
		case "lt":
			return v < want[0]
		case "lte":
			return v <= want[0]
		case "gt":
			return v > want[0]
		case "gte":
			return v >= want[0]
		}
		return contains(v, want[0])
	})
}

// sortable is a row with its sort key, which is looked up once: an archive has a
// hundred thousand rows.
type sortable[T any] struct {
	known  bool // false: null, which comes first
	number int64
	text   string
	row    T
}

func (q *listQuery[T]) key(row T) sortable[T] {
	k := sortable[T]{row: row}
	if q.sort.text != nil {
		k.text = q.sort.text(row)
		k.known = k.text != ""
	} else {
		k.number, k.known = q.sort.number(row)
	}
	return k
}

func (q *listQuery[T]) compare(a, b sortable[T]) int {
	if q.downward {
		a, b = b, a
	}
	switch {
	case a.known != b.known && b.known:
		return -1
	case a.known != b.known:
		return 1
	}
	return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.text, b.text), q.tie(a.row, b.row))
}

// run returns the page and the number of all matching rows.
func (q *listQuery[T]) run(rows iter.Seq[T]) (page []T, total int) {
	var matching []sortable[T]
	for row := range rows {
		if !slices.ContainsFunc(q.filters, func(matches func(T) bool) bool { return !matches(row) }) {
			matching = append(matching, q.key(row))
		}
	}
	slices.SortFunc(matching, q.compare)
	total = len(matching)
	from := min(q.skip, total)
	for _, m := range matching[from:min(from+q.limit, total)] {
		page = append(page, m.row)
	}
	return page, total
}

// dateOf returns a field for a date. The service's lists know no fractions of seconds.
func dateOf[T any](get func(T) time.Time) field[T] {
	return field[T]{number: func(row T) (int64, bool) { return get(row).Unix(), true }, dated: true}
}

func numberOf[T any](get func(T) int64) field[T] {
	return field[T]{number: func(row T) (int64, bool) { return get(row), true }}
}
