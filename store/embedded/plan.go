package embedded

import (
	"bytes"
	"slices"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// plan is a way to find the documents of a filter: spans of keys in an index or in the
// document bucket. The spans may contain further documents, so the caller must apply the
// filter too.
type plan struct {
	ix      *index // nil: the document bucket, which is in order of _id
	spans   []span
	reverse bool
	sorted  bool // the walk has the requested order
	score   int
	union   []branch // walked one after the other in place of spans; nil = none
}

// span is the range of keys from lo up to hi, without hi. A nil bound is open.
type span struct{ lo, hi []byte }

func (s span) contains(key []byte) bool {
	return bytes.Compare(key, s.lo) >= 0 && (s.hi == nil || bytes.Compare(key, s.hi) < 0)
}

// atMostOne is added to the score of a plan of which each span has at most one document.
const atMostOne = 100

// idPattern is the order of the document bucket.
var idPattern = pattern{{path: "_id", parts: []string{"_id"}}}

// maxSpans bounds the combinations of $in lists that a plan looks up one by one.
const maxSpans = 10_000

// choose returns the best plan for filter and order. Equality counts more than order, and
// order more than a range.
func (c *collection) choose(f *filter, order pattern) plan {
	best := c.chooseOne(f, order)
	if u, ok := c.unite(f); ok && u.score > best.score {
		u.sorted = len(order) == 0
		return u
	}
	return best
}

// chooseOne returns the best plan that walks one index.
func (c *collection) chooseOne(f *filter, order pattern) plan {
	if p, ok := f.oneID(); ok {
		return p
	}
	best := bind(nil, idPattern, f, order)
	for _, ix := range c.indexes {
		if !ix.serves(f) {
			continue
		}
		sequence := ix.pattern
		if !ix.unique && !slices.ContainsFunc(sequence, func(f patternField) bool { return f.path == "_id" }) {
			sequence = append(slices.Clone(sequence), patternField{path: "_id"}) // entries end with it
		}
		if p := bind(ix, sequence, f, order); p.score > best.score {
			best = p
		}
	}
	return best
}

// oneID returns the plan that finds the only document that f can match by its _id. No other
// plan reads less, and one document has every order.
func (f *filter) oneID() (plan, bool) {
	for _, p := range f.predicates {
		if p.path != "_id" || p.op != "$eq" {
			continue
		}
		if b, ok := bounds(p); ok && len(b.points) == 1 {
			return plan{spans: points(b.points), sorted: true, score: atMostOne}, true
		}
	}
	return plan{}, false
}

// serves reports whether every document that f can match has an entry in ix.
func (ix *index) serves(f *filter) bool {
	if ix.partial == nil && !ix.sparse {
		return true
	}
	if ix.sparse && !slices.ContainsFunc(ix.pattern, func(pf patternField) bool { return f.requires(pf.path) }) {
		return false
	}
	if ix.partial == nil {
		return true
	}
	for _, p := range ix.partial.predicates {
		if !f.implies(p) {
			return false
		}
	}
	return true
}

// requires reports whether f matches only documents that have path.
func (f *filter) requires(path string) bool {
	for _, p := range f.predicates {
		if p.path != path {
			continue
		}
		if _, ok := bounds(p); ok && !slices.ContainsFunc(p.values(), func(v value) bool { return v.Type == bsoncore.TypeNull }) {
			return true
		}
		if p.op == "$exists" && truthy(p.arg) {
			return true
		}
	}
	return false
}

// values returns the constants that an equality compares with. Of a $all, the first is enough.
func (p predicate) values() []value {
	switch p.op {
	case "$eq":
		return []value{p.arg}
	case "$in":
		return valuesOf(p.arg)
	case "$all":
		for v := range elements(p.arg) {
			if isOperators(v) {
				break
			}
			return []value{v}
		}
	}
	return nil
}

// implies reports whether every match of f also passes p: f contains p itself, or an equality
// with values that all pass p. Null does not count, because it also equals a missing field.
func (f *filter) implies(p predicate) bool {
	if p.op == "$exists" && f.requires(p.path) {
		return true
	}
	t, err := compileOperator(p.op, p.arg, value{})
	if err != nil {
		return false
	}
	return slices.ContainsFunc(f.predicates, func(q predicate) bool {
		if q.path != p.path {
			return false
		}
		if q.op == p.op && q.arg.Type == p.arg.Type && bytes.Equal(q.arg.Data, p.arg.Data) {
			return true
		}
		vs := q.values()
		return len(vs) > 0 && !slices.ContainsFunc(vs, func(v value) bool {
			return v.Type == bsoncore.TypeNull || v.Type == bsoncore.TypeRegex || !t.onValue(v)
		})
	})
}

// bound limits the keys of a path to points or to a range.
type bound struct {
	points [][]byte // sorted
	lo, hi []byte
}

// bounds returns the bound of a predicate. ok is false when keys cannot express it.
func bounds(p predicate) (b bound, ok bool) {
	switch p.op {
	case "$eq", "$in", "$all":
		vs := p.values()
		if len(vs) == 0 && p.op == "$all" { // of $elemMatch, or empty
			return bound{}, false
		}
		for _, v := range vs {
			// An array matches as a whole, but its index entries are its elements. A dotted
			// path to null also matches documents whose arrays leave no null entry.
			if v.Type == bsoncore.TypeArray || v.Type == bsoncore.TypeRegex || v.Type == bsoncore.TypeUndefined ||
				v.Type == bsoncore.TypeNull && len(splitPath(p.path)) > 1 {
				return bound{}, false
			}
			b.points = append(b.points, keyOf(v))
			if v.Type == bsoncore.TypeNull {
				b.points = append(b.points, keyUndefined) // also equal to null
			}
		}
		slices.SortFunc(b.points, bytes.Compare)
		b.points = slices.CompactFunc(b.points, bytes.Equal)
		return b, true
	case "$gt", "$gte", "$lt", "$lte":
		tag := tags[p.arg.Type]
		switch tag {
		case tagNumber, tagText, tagObjectID, tagDate, tagTimestamp, tagBoolean, tagBinary:
		default:
			return bound{}, false
		}
		b.lo, b.hi = []byte{tag}, []byte{tag + 1}
		switch key := keyOf(p.arg); p.op {
		case "$gt":
			b.lo = successor(key)
		case "$gte":
			b.lo = key
		case "$lt":
			b.hi = key
		case "$lte":
			b.hi = successor(key)
		}
		return b, true
	case "$type":
		return typeBound(p)
	}
	return bound{}, false
}

// typeBound returns the range from the first to the last wanted type. Arrays are excluded because
// their index entries are their elements, and null because a dotted path may leave no entry.
func typeBound(p predicate) (b bound, ok bool) {
	types, err := typesOf(p.arg)
	if err != nil || types[bsoncore.TypeArray] || types[bsoncore.TypeNull] && len(splitPath(p.path)) > 1 {
		return bound{}, false
	}
	least, greatest := tagMaxKey, tagMinKey
	for t := range types {
		least, greatest = min(least, tags[t]), max(greatest, tags[t])
	}
	return bound{lo: []byte{least}, hi: []byte{greatest + 1}}, true
}

// boundOf joins the bounds of f for path. Two elements of an array may meet one bound each,
// so with arrays boundOf uses only one bound.
func (f *filter) boundOf(path string, arrays bool) (bound, bool) {
	var joined bound
	found := false
	for _, p := range f.predicates {
		if p.path != path {
			continue
		}
		b, ok := bounds(p)
		switch {
		case !ok:
		case b.lo == nil:
			return b, true // no bound is better than points
		case !found:
			joined, found = b, true
		case !arrays && joined.lo[0] == b.lo[0]:
			joined.lo = slices.MaxFunc([][]byte{joined.lo, b.lo}, bytes.Compare)
			joined.hi = slices.MinFunc([][]byte{joined.hi, b.hi}, bytes.Compare)
		}
	}
	return joined, found
}

// bind returns the plan that uses an index: as many of its leading fields as the filter has
// equalities for, and then one range.
func bind(ix *index, sequence pattern, f *filter, order pattern) plan {
	p := plan{ix: ix, spans: []span{{}}}
	prefixes := [][]byte{nil}
	arrays := ix != nil && ix.multikey
	fixed := 0
	for _, pf := range sequence {
		b, ok := f.boundOf(pf.path, arrays)
		if !ok || b.points != nil && len(prefixes)*len(b.points) > maxSpans {
			break
		}
		if b.lo != nil {
			p.spans = ranges(prefixes, b, pf.desc)
			p.score += 2
			break
		}
		prefixes = extend(prefixes, b.points, pf.desc)
		p.spans, p.score = points(prefixes), p.score+4
		fixed++
		if arrays {
			break // two fields of one array need not match in one element
		}
	}
	tooLong := func(s span) bool { return len(s.lo) > maxIndexKey || len(s.hi) > maxIndexKey }
	if ix != nil && slices.ContainsFunc(p.spans, tooLong) {
		return plan{score: -1} // truncateKey shortens such entries
	}
	if fixed == len(sequence) && (ix == nil || ix.unique) {
		p.score += atMostOne // for each combination
	}
	p.sorted = len(order) == 0
	if !p.sorted && !arrays && len(prefixes) <= 1 {
		if p.sorted, p.reverse = ordered(sequence, fixed, order); p.sorted {
			p.score += 3
		}
	}
	return p
}

func extend(prefixes, points [][]byte, desc bool) [][]byte {
	longer := [][]byte{}
	for _, prefix := range prefixes {
		for _, point := range points {
			point = bytes.Clone(point)
			if desc {
				complement(point)
			}
			longer = append(longer, slices.Concat(prefix, point))
		}
	}
	return longer
}

func points(prefixes [][]byte) []span {
	spans := make([]span, 0, len(prefixes))
	for _, prefix := range prefixes {
		spans = append(spans, span{prefix, successor(prefix)})
	}
	return spans
}

func ranges(prefixes [][]byte, b bound, desc bool) []span {
	lo, hi := b.lo, b.hi
	if desc { // the complement exchanges the bounds, and the included one becomes excluded
		lo, hi = successor(complement(bytes.Clone(b.hi))), successor(complement(bytes.Clone(b.lo)))
	}
	var spans []span
	for _, prefix := range prefixes {
		spans = append(spans, span{slices.Concat(prefix, lo), slices.Concat(prefix, hi)})
	}
	return spans
}

// ordered reports whether a walk of sequence, whose first fixed fields are constant, has the
// order, and whether the walk must go backward.
func ordered(sequence pattern, fixed int, order pattern) (sorted, reverse bool) {
	at := fixed
	for i, want := range order {
		if slices.ContainsFunc(sequence[:fixed], func(f patternField) bool { return f.path == want.path }) {
			continue
		}
		if at == len(sequence) || sequence[at].path != want.path {
			return false, false
		}
		backwards := sequence[at].desc != want.desc
		if at > fixed && backwards != reverse {
			return false, false
		}
		reverse = backwards
		at++
		if want.path == "_id" && i < len(order)-1 {
			return true, reverse // _id is unique, so later fields have no effect
		}
	}
	return true, reverse
}
