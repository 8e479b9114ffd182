package embedded

import (
	"bytes"
	"cmp"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// reference compares two values by MongoDB's documented order without keys
// (https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order).
func reference(a, b value) int {
	if c := cmp.Compare(rank(a), rank(b)); c != 0 {
		return c
	}
	switch a.Type {
	case bsoncore.TypeInt32, bsoncore.TypeInt64, bsoncore.TypeDouble, bsoncore.TypeDecimal128:
		return referenceNumbers(a, b)
	case bsoncore.TypeString, bsoncore.TypeSymbol:
		return cmp.Compare(stringOf(a), stringOf(b))
	case bsoncore.TypeEmbeddedDocument:
		return referenceFields(a.Data, b.Data, true)
	case bsoncore.TypeArray:
		return referenceFields(a.Data, b.Data, false)
	case bsoncore.TypeBinary:
		as, ab := a.Data[4], a.Data[5:]
		bs, bb := b.Data[4], b.Data[5:]
		return cmp.Or(cmp.Compare(len(ab), len(bb)), cmp.Compare(as, bs), bytes.Compare(ab, bb))
	case bsoncore.TypeObjectID, bsoncore.TypeBoolean:
		return bytes.Compare(a.Data, b.Data)
	case bsoncore.TypeDateTime:
		return cmp.Compare(a.DateTime(), b.DateTime())
	case bsoncore.TypeTimestamp:
		at, ai := a.Timestamp()
		bt, bi := b.Timestamp()
		return cmp.Or(cmp.Compare(at, bt), cmp.Compare(ai, bi))
	case bsoncore.TypeRegex:
		ap, ao := a.Regex()
		bp, bo := b.Regex()
		return cmp.Or(cmp.Compare(ap, bp), cmp.Compare(ao, bo))
	case bsoncore.TypeDBPointer:
		return cmp.Or(cmp.Compare(len(a.Data), len(b.Data)), bytes.Compare(a.Data[4:], b.Data[4:]))
	case bsoncore.TypeJavaScript:
		return cmp.Compare(a.JavaScript(), b.JavaScript())
	case bsoncore.TypeCodeWithScope:
		ac, as := a.CodeWithScope()
		bc, bs := b.CodeWithScope()
		return cmp.Or(cmp.Compare(ac, bc), referenceFields(as, bs, true))
	}
	return 0
}

func rank(v value) int {
	switch v.Type {
	case bsoncore.TypeMinKey:
		return 0
	case bsoncore.TypeUndefined:
		return 1
	case bsoncore.TypeNull:
		return 2
	case bsoncore.TypeInt32, bsoncore.TypeInt64, bsoncore.TypeDouble, bsoncore.TypeDecimal128:
		return 3
	case bsoncore.TypeString, bsoncore.TypeSymbol:
		return 4
	case bsoncore.TypeEmbeddedDocument:
		return 5
	case bsoncore.TypeArray:
		return 6
	case bsoncore.TypeBinary:
		return 7
	case bsoncore.TypeObjectID:
		return 8
	case bsoncore.TypeBoolean:
		return 9
	case bsoncore.TypeDateTime:
		return 10
	case bsoncore.TypeTimestamp:
		return 11
	case bsoncore.TypeRegex:
		return 12
	case bsoncore.TypeDBPointer:
		return 13
	case bsoncore.TypeJavaScript:
		return 14
	case bsoncore.TypeCodeWithScope:
		return 15
	}
	return 99 // MaxKey
}

// referenceNumbers compares exactly, with fractions of big integers.
func referenceNumbers(a, b value) int {
	af, bf := asFloat(a), asFloat(b)
	if math.IsNaN(af) || math.IsNaN(bf) {
		return cmp.Compare(af, bf) // NaN is the least
	}
	ar, aok := fraction(a)
	br, bok := fraction(b)
	if !aok || !bok { // one is infinite
		side := func(v value, finite bool) int {
			if finite {
				return 0
			}
			return cmp.Compare(asFloat(v), 0)
		}
		return cmp.Compare(side(a, aok), side(b, bok))
	}
	return ar.Cmp(br)
}

func fraction(v value) (*big.Rat, bool) {
	switch v.Type {
	case bsoncore.TypeInt32:
		return new(big.Rat).SetInt64(int64(v.Int32())), true
	case bsoncore.TypeInt64:
		return new(big.Rat).SetInt64(v.Int64()), true
	case bsoncore.TypeDouble:
		r := new(big.Rat).SetFloat64(v.Double())
		return r, r != nil
	}
	d := bson.NewDecimal128(v.Decimal128())
	if d.IsInf() != 0 {
		return nil, false
	}
	return new(big.Rat).SetString(d.String())
}

func referenceFields(a, b document, names bool) int {
	type field struct {
		name string
		v    value
	}
	list := func(d document) (all []field) {
		for k, v := range fields(d) {
			all = append(all, field{k, v})
		}
		return all
	}
	x, y := list(a), list(b)
	for i := range min(len(x), len(y)) {
		c := cmp.Compare(rank(x[i].v), rank(y[i].v))
		if c == 0 && names {
			c = cmp.Compare(x[i].name, y[i].name)
		}
		if c == 0 {
			c = reference(x[i].v, y[i].v)
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(x), len(y))
}

// edges returns values that are difficult to order.
func edges(tb testing.TB) []value {
	var vs []value
	add := func(all ...any) {
		for _, v := range all {
			vs = append(vs, valueFor(tb, v))
		}
	}
	add(bson.MinKey{}, bson.MaxKey{}, bson.Null{}, bson.Undefined{}, true, false)
	add(math.NaN(), math.Inf(-1), math.Inf(1), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64,
		math.Copysign(0, -1), 0.0, 0.1, 0.5, -0.1, 1e300, float64(1<<53), float64(1<<62), float64(1<<63), -float64(1<<63))
	add(int32(0), int32(1), int32(-1), int32(math.MaxInt32), int32(math.MinInt32))
	for _, n := range []int64{0, 1, 1 << 53, 1<<53 + 1, 1<<62 + 1, 1 << 62, 1<<62 - 1, math.MaxInt64, math.MaxInt64 - 1, math.MinInt64, math.MinInt64 + 1} {
		add(n, -n)
	}
	for _, s := range []string{"0", "-0", "1", "1.0", "0.1", "-0.1", "0.10", "0.1000000000000000055511151231257827", "1E400", "-1E400", "1E-400", "-1E-400",
		"9223372036854775807", "9223372036854775807.5", "9007199254740993", "9007199254740992.5", "Infinity", "-Infinity", "NaN", "1E6144", "9.99E6144", "1E-6176"} {
		d, err := bson.ParseDecimal128(s)
		if err != nil {
			tb.Fatal(s, err)
		}
		add(d)
	}
	add("", "\x00", "a", "a\x00", "a\x00b", "a\x01", "ab", "b", "ä", strings.Repeat("x", 300), bson.Symbol("a"))
	add(D{}, D{{Key: "a", Value: 1}}, D{{Key: "a", Value: 1.0}}, D{{Key: "a", Value: "x"}}, D{{Key: "b", Value: 1}}, D{{Key: "a", Value: 1}, {Key: "b", Value: nil}}, D{{Key: "", Value: D{}}})
	add(A{}, A{1}, A{1, 2}, A{2}, A{A{}}, A{nil}, A{D{{Key: "x", Value: A{}}}})
	add(bson.Binary{}, bson.Binary{Data: []byte{0}}, bson.Binary{Data: []byte{0xff}}, bson.Binary{Subtype: 4, Data: []byte{0}}, bson.Binary{Data: []byte{0, 0}})
	add(bson.ObjectID{}, bson.NewObjectID(), bson.DateTime(0), bson.DateTime(-1), bson.DateTime(math.MaxInt64), bson.DateTime(math.MinInt64))
	add(bson.Timestamp{}, bson.Timestamp{I: 1}, bson.Timestamp{T: 1}, bson.Regex{Pattern: "a"}, bson.Regex{Pattern: "a", Options: "i"}, bson.Regex{Pattern: "ab"})
	return vs
}

// randomValue returns values that are often nearly equal.
func randomValue(r *rand.Rand, depth int) any {
	kinds := 9
	if depth > 0 {
		kinds = 11
	}
	switch r.IntN(kinds) {
	case 0:
		return int32(r.IntN(5) - 2)
	case 1:
		return int64(1)<<(50+r.IntN(14)) + int64(r.IntN(3)) - 1
	case 2:
		return float64(r.IntN(9)-4) / 2
	case 3:
		return math.Float64frombits(r.Uint64())
	case 4:
		d, _ := bson.ParseDecimal128FromBigInt(big.NewInt(int64(r.IntN(2000)-1000)), r.IntN(8)-4)
		return d
	case 5:
		return string([]byte{"ab\x00\xff"[r.IntN(4)], "ab\x00\xff"[r.IntN(4)]}[:r.IntN(3)])
	case 6:
		return []any{nil, true, false, bson.MinKey{}, bson.MaxKey{}}[r.IntN(5)]
	case 7:
		return bson.DateTime(r.IntN(5) - 2)
	case 8:
		return bson.Binary{Subtype: byte(r.IntN(2)), Data: []byte("abc")[:r.IntN(4)]}
	case 9:
		d := D{}
		for range r.IntN(3) {
			d = append(d, bson.E{Key: "ab"[:1+r.IntN(2)], Value: randomValue(r, depth-1)})
		}
		return d
	}
	a := A{}
	for range r.IntN(3) {
		a = append(a, randomValue(r, depth-1))
	}
	return a
}

func TestKeysCompareAsValues(t *testing.T) {
	vs := edges(t)
	r := rand.New(rand.NewPCG(1, 2))
	for range 120 {
		vs = append(vs, valueFor(t, randomValue(r, 2)))
	}
	for _, a := range vs {
		for _, b := range vs {
			ka, kb := keyOf(a), keyOf(b)
			want := reference(a, b)
			if got := bytes.Compare(ka, kb); got != want {
				t.Fatalf("%s compared with %s: %d by keys, want %d\n%x\n%x", a, b, got, want, ka, kb)
			}
			if got := bytes.Compare(complement(bytes.Clone(ka)), complement(bytes.Clone(kb))); got != -want {
				t.Fatalf("%s compared with %s: %d by complements, want %d", a, b, got, -want)
			}
			if want != 0 && bytes.HasPrefix(kb, ka) {
				t.Fatalf("the key of %s is a prefix of that of %s", a, b)
			}
			if sameValue(a, b) != (want == 0) {
				t.Fatalf("sameValue(%s, %s) = %v", a, b, want != 0)
			}
		}
	}
}

func TestSuccessor(t *testing.T) {
	tests := []struct{ prefix, want string }{{"a", "b"}, {"a\xff", "b"}, {"a\xff\xff", "b"}, {"ab", "ac"}, {"\xff", ""}}
	for _, tt := range tests {
		if got := string(successor([]byte(tt.prefix))); got != tt.want {
			t.Errorf("successor(%q) = %q, want %q", tt.prefix, got, tt.want)
		}
	}
}

func TestLongIndexKeysStayDistinct(t *testing.T) {
	long := strings.Repeat("x", 2*maxIndexKey)
	a, b := truncateKey(keyOf(stringValue(long+"a"))), truncateKey(keyOf(stringValue(long+"b")))
	if bytes.Equal(a, b) || len(a) > maxIndexKey+32 {
		t.Errorf("cut keys: equal %v, length %d", bytes.Equal(a, b), len(a))
	}
}

func TestPatternKeys(t *testing.T) {
	tests := []struct {
		name, pattern, doc string
		want               int // keys
		array              bool
		err                bool
	}{
		{"plain", `{"a":1}`, `{"a":1}`, 1, false, false},
		{"missing is null", `{"a":1}`, `{}`, 1, false, false},
		{"array", `{"a":1}`, `{"a":[1,2,2]}`, 2, true, false},
		{"empty array", `{"a":1}`, `{"a":[]}`, 1, true, false},
		{"nested array is one value", `{"a":1}`, `{"a":[[1,2],3]}`, 2, true, false},
		{"documents in an array", `{"a.x":1}`, `{"a":[{"x":1},{"x":2},{}]}`, 3, true, false},
		{"one array under two fields", `{"a.x":1,"a.y":1}`, `{"a":[{"x":1,"y":2},{"x":1,"y":3}]}`, 2, true, false},
		{"array and scalar", `{"a":1,"b":-1}`, `{"a":[1,2],"b":1}`, 2, true, false},
		{"two arrays", `{"a":1,"b":1}`, `{"a":[1],"b":[1]}`, 0, true, true},
		{"scalar in the way", `{"a.b":1}`, `{"a":1}`, 1, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := parsePattern(rawDoc(t, tt.pattern), codeBadValue)
			if err != nil {
				t.Fatal(err)
			}
			k, err := p.keys(rawDoc(t, tt.doc))
			if (err != nil) != tt.err {
				t.Fatalf("error %v", err)
			}
			if err == nil && (len(k.keys) != tt.want || k.array != tt.array) {
				t.Errorf("%d keys, array %v; want %d, %v", len(k.keys), k.array, tt.want, tt.array)
			}
		})
	}
}

func FuzzKeys(f *testing.F) {
	for _, v := range edges(f) {
		b := newBuilder()
		b.add("v", v)
		f.Add([]byte(b.document()), []byte(emptyDocument))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if validate(a) != nil || validate(b) != nil {
			return
		}
		ka, kb := keyOf(documentValue(a)), keyOf(documentValue(b))
		if bytes.Compare(ka, kb) != reference(documentValue(a), documentValue(b)) {
			t.Errorf("%x compared with %x: %d by keys", a, b, bytes.Compare(ka, kb))
		}
	})
}
