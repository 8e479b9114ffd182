package embedded

import (
	"errors"
	"strings"
	"testing"
)

func TestFilterMatches(t *testing.T) {
	tests := []struct {
		filter, doc string
		want        bool
	}{
		{`{}`, `{"a":1}`, true},
		{`{"a":1}`, `{"a":1.0}`, true},
		{`{"a":1}`, `{"a":"1"}`, false},
		{`{"a":null}`, `{}`, true},
		{`{"a":null}`, `{"a":null}`, true},
		{`{"a":null}`, `{"a":0}`, false},
		{`{"a":null}`, `{"a":[]}`, false},
		{`{"a":null}`, `{"a":[1,null]}`, true},
		{`{"a.b":null}`, `{"a":1}`, true},
		{`{"a.b":null}`, `{"a":[]}`, false},
		{`{"a.b":null}`, `{"a":[1]}`, false},
		{`{"a.b":null}`, `{"a":[{"c":1}]}`, true},
		{`{"a":2}`, `{"a":[1,2]}`, true},
		{`{"a":[1,2]}`, `{"a":[1,2]}`, true},
		{`{"a":[1,2]}`, `{"a":[[1,2]]}`, true},
		{`{"a":[2,1]}`, `{"a":[1,2]}`, false},
		{`{"a":{"x":1,"y":2}}`, `{"a":{"x":1,"y":2}}`, true},
		{`{"a":{"y":2,"x":1}}`, `{"a":{"x":1,"y":2}}`, false},
		{`{"a.x":1}`, `{"a":[{"x":2},{"x":1}]}`, true},
		{`{"a.1":2}`, `{"a":[1,2]}`, true},
		{`{"a.0.x":1}`, `{"a":[{"x":1}]}`, true},
		{`{"a.x.y":1}`, `{"a":[{"x":[{"y":1}]}]}`, true},
		{`{"a":{"$ne":1}}`, `{"a":[1,2]}`, false},
		{`{"a":{"$ne":1}}`, `{}`, true},
		{`{"a":{"$in":[1,null]}}`, `{}`, true},
		{`{"a":{"$in":["x",{"$regularExpression":{"pattern":"^b","options":""}}]}}`, `{"a":"bc"}`, true},
		{`{"a":{"$gt":1}}`, `{"a":"x"}`, false},
		{`{"a":{"$gt":1,"$lt":3}}`, `{"a":[0,5]}`, true},
		{`{"a":{"$gte":null}}`, `{}`, true},
		{`{"a":{"$gt":null}}`, `{"a":null}`, false},
		{`{"a":{"$gt":{"$minKey":1}}}`, `{"a":"x"}`, true},
		{`{"a":{"$lt":{"$numberDouble":"NaN"}}}`, `{"a":1}`, false},
		{`{"a":{"$lte":{"$numberDouble":"NaN"}}}`, `{"a":{"$numberDouble":"NaN"}}`, true},
		{`{"a":{"$lt":5}}`, `{"a":{"$numberDouble":"NaN"}}`, false},
		{`{"a":{"$exists":false}}`, `{"a":null}`, false},
		{`{"a.b":{"$exists":true}}`, `{"a":[{"b":1}]}`, true},
		{`{"a":{"$type":"string"}}`, `{"a":[1,"x"]}`, true},
		{`{"a":{"$type":["null","number"]}}`, `{"a":1.5}`, true},
		{`{"a":{"$type":"array"}}`, `{"a":[]}`, true},
		{`{"a":{"$type":10}}`, `{}`, false},
		{`{"a":{"$regex":"^B","$options":"i"}}`, `{"a":"beta"}`, true},
		{`{"$or":[{"a":1},{"b":1}]}`, `{"b":1}`, true},
		{`{"$and":[{"a":1},{"$or":[{"b":1}]}]}`, `{"a":1,"b":1}`, true},
		{`{"a":{"$nin":[1,"x"]}}`, `{"a":2}`, true},
		{`{"a":{"$nin":[1,"x"]}}`, `{"a":1.0}`, false},
		{`{"a":{"$nin":[1,"x"]}}`, `{"a":[2,"x"]}`, false},
		{`{"a":{"$nin":[1,"x"]}}`, `{}`, true},
		{`{"a":{"$nin":[]}}`, `{"a":1}`, true},
		{`{"a":{"$nin":[1,null]}}`, `{}`, false},
		{`{"a":{"$nin":[null]}}`, `{"a":[]}`, true},
		{`{"a":{"$nin":[null]}}`, `{"a":{"$undefined":true}}`, false},
		{`{"a":{"$nin":[[1,2]]}}`, `{"a":[1,2]}`, false},
		{`{"a":{"$nin":[[1,2]]}}`, `{"a":[[1,2],3]}`, false},
		{`{"a":{"$nin":[[2,1]]}}`, `{"a":[1,2]}`, true},
		{`{"a":{"$nin":[{"x":1}]}}`, `{"a":{"x":1,"y":2}}`, true},
		{`{"a":{"$nin":[{"$regularExpression":{"pattern":"^B","options":"i"}}]}}`, `{"a":["c","bd"]}`, false},
		{`{"a":{"$nin":[{"$regularExpression":{"pattern":"^B","options":"i"}}]}}`, `{"a":["c",3]}`, true},
		{`{"a":{"$nin":[{"$regularExpression":{"pattern":"^b","options":""}}]}}`, `{"a":{"$regularExpression":{"pattern":"^b","options":""}}}`, false},
		{`{"a":{"$nin":[{"$regularExpression":{"pattern":"^b","options":""}}]}}`, `{}`, true},
		{`{"a.b":{"$nin":[1]}}`, `{"a":[{"b":2},{"b":1}]}`, false},
		{`{"a.b":{"$nin":[null]}}`, `{"a":[{"c":1}]}`, false},
		{`{"a.b":{"$nin":[null]}}`, `{"a":[1]}`, true},
		{`{"a.1":{"$nin":[2]}}`, `{"a":[1,2]}`, false},
		{`{"a":{"$nin":[1],"$gt":0}}`, `{"a":2}`, true},
		{`{"a":{"$not":{"$gt":1}}}`, `{"a":[1,2]}`, false},
		{`{"a":{"$not":{"$gt":1}}}`, `{"a":"x"}`, true},
		{`{"a":{"$not":{"$gt":1}}}`, `{}`, true},
		{`{"a":{"$not":{"$gt":1,"$lt":3}}}`, `{"a":3}`, true},
		{`{"a":{"$not":{"$gt":1,"$lt":3}}}`, `{"a":[0,5]}`, false},
		{`{"a":{"$not":{"$eq":null}}}`, `{}`, false},
		{`{"a":{"$not":{"$exists":true}}}`, `{}`, true},
		{`{"a":{"$not":{"$in":[1]}}}`, `{"a":1}`, false},
		{`{"a":{"$not":{"$nin":[1]}}}`, `{"a":1}`, true},
		{`{"a":{"$not":{"$not":{"$gt":1}}}}`, `{"a":[2]}`, true},
		{`{"a":{"$not":{"$regularExpression":{"pattern":"^b","options":""}}}}`, `{"a":"b"}`, false},
		{`{"a":{"$not":{"$regularExpression":{"pattern":"^b","options":""}}}}`, `{"a":1}`, true},
		{`{"a":{"$not":{"$regex":"^B","$options":"i"}}}`, `{"a":["a","b"]}`, false},
		{`{"a":{"$not":{"$regex":"^B"}}}`, `{"a":"b"}`, true},
		{`{"a":{"$not":{"$type":"number"},"$exists":true}}`, `{"a":"1"}`, true},
		{`{"a.b":{"$not":{"$eq":1}}}`, `{"a":[{"b":1},{"b":2}]}`, false},
		{`{"a":{"$all":[1,"x"]}}`, `{"a":["x",2,1.0]}`, true},
		{`{"a":{"$all":[1,"x"]}}`, `{"a":[1]}`, false},
		{`{"a":{"$all":[1,1]}}`, `{"a":1}`, true},
		{`{"a":{"$all":[1,2]}}`, `{"a":1}`, false},
		{`{"a":{"$all":[]}}`, `{"a":[]}`, false},
		{`{"a":{"$all":[]}}`, `{}`, false},
		{`{"a":{"$all":[null]}}`, `{}`, true},
		{`{"a":{"$all":[null,1]}}`, `{"a":[1,null]}`, true},
		{`{"a":{"$all":[null]}}`, `{"a":[]}`, false},
		{`{"a":{"$all":[[1,2]]}}`, `{"a":[1,2]}`, true},
		{`{"a":{"$all":[[1,2],3]}}`, `{"a":[3,[1,2]]}`, true},
		{`{"a":{"$all":[{"x":1}]}}`, `{"a":[{"x":1}]}`, true},
		{`{"a":{"$all":[{"$regularExpression":{"pattern":"^x","options":""}},"xy"]}}`, `{"a":["xy"]}`, true},
		{`{"a":{"$all":[{"$regularExpression":{"pattern":"^x","options":""}},{"$regularExpression":{"pattern":"^y","options":""}}]}}`, `{"a":["x","xy"]}`, false},
		{`{"a.b":{"$all":[1,2]}}`, `{"a":[{"b":1},{"b":[2]}]}`, true},
		{`{"a.b":{"$all":[1,null]}}`, `{"a":[{"b":1},{"c":1}]}`, true},
		{`{"a":{"$not":{"$all":[1,2]}}}`, `{"a":[1,2]}`, false},
		{`{"a":{"$all":[{"$elemMatch":{"x":1}},{"$elemMatch":{"x":2}}]}}`, `{"a":[{"x":1},{"x":2}]}`, true},
		{`{"a":{"$all":[{"$elemMatch":{"x":1}},{"$elemMatch":{"x":3}}]}}`, `{"a":[{"x":1},{"x":2}]}`, false},
		{`{"a":{"$size":2}}`, `{"a":[1,[2]]}`, true},
		{`{"a":{"$size":2.0}}`, `{"a":[1]}`, false},
		{`{"a":{"$size":0}}`, `{"a":[]}`, true},
		{`{"a":{"$size":0}}`, `{"a":{}}`, false},
		{`{"a":{"$size":1}}`, `{"a":[[1,2],3]}`, false},
		{`{"a":{"$size":0}}`, `{}`, false},
		{`{"a.b":{"$size":1}}`, `{"a":[{"b":[]},{"b":[1]}]}`, true},
		{`{"a":{"$mod":[4,1]}}`, `{"a":9}`, true},
		{`{"a":{"$mod":[4,1]}}`, `{"a":[0,5.9]}`, true},
		{`{"a":{"$mod":[4,-1]}}`, `{"a":-5}`, true},
		{`{"a":{"$mod":[-4,1]}}`, `{"a":5}`, true},
		{`{"a":{"$mod":[4.9,1.2]}}`, `{"a":5}`, true},
		{`{"a":{"$mod":[4,0]}}`, `{"a":"4"}`, false},
		{`{"a":{"$mod":[4,0]}}`, `{}`, false},
		{`{"a":{"$mod":[1,0]}}`, `{"a":{"$numberDouble":"NaN"}}`, false},
		{`{"a":{"$mod":[1,0]}}`, `{"a":1e300}`, false},
		{`{"a":{"$mod":[-1,0]}}`, `{"a":{"$numberLong":"-9223372036854775808"}}`, true},
		{`{"a":{"$mod":[2,1]}}`, `{"a":{"$numberDecimal":"9007199254740993.9"}}`, true},
		{`{"a":{"$mod":[2,1]}}`, `{"a":{"$numberDecimal":"1E+40"}}`, false},
		{`{"a":{"$mod":[3,1]}}`, `{"a":{"$numberDecimal":"1E+3"}}`, true},
		{`{"a":{"$mod":[3,0]}}`, `{"a":{"$numberDecimal":"1E-6000"}}`, true},
		{`{"a":{"$elemMatch":{"$gt":1,"$lt":3}}}`, `{"a":[0,5]}`, false},
		{`{"a":{"$elemMatch":{"$gt":1,"$lt":3}}}`, `{"a":[0,2]}`, true},
		{`{"a":{"$elemMatch":{"$gt":1}}}`, `{"a":2}`, false},
		{`{"a":{"$elemMatch":{"$gt":1}}}`, `{"a":[[2]]}`, false},
		{`{"a":{"$elemMatch":{"$in":[1,null]}}}`, `{"a":[null]}`, true},
		{`{"a":{"$elemMatch":{"$nin":[1]}}}`, `{"a":[1,2]}`, true},
		{`{"a":{"$elemMatch":{"$not":{"$gt":1}}}}`, `{"a":[2,3]}`, false},
		{`{"a":{"$elemMatch":{"$exists":false}}}`, `{"a":[1]}`, false},
		{`{"a":{"$elemMatch":{"$size":2}}}`, `{"a":[[1,2]]}`, true},
		{`{"a":{"$elemMatch":{"$elemMatch":{"$gt":1}}}}`, `{"a":[[2]]}`, true},
		{`{"a":{"$elemMatch":{"$all":[1]}}}`, `{"a":[1,2]}`, true},
		{`{"a":{"$elemMatch":{"$regex":"^B","$options":"i"}}}`, `{"a":["b"]}`, true},
		{`{"a":{"$elemMatch":{"x":1,"y":1}}}`, `{"a":[{"x":1},{"y":1}]}`, false},
		{`{"a":{"$elemMatch":{"x":1,"y":1}}}`, `{"a":[{"x":1,"y":1}]}`, true},
		{`{"a":{"$elemMatch":{"x":{"$nin":[1]}}}}`, `{"a":[{"x":1},{}]}`, true},
		{`{"a":{"$elemMatch":{"x":null}}}`, `{"a":[1]}`, false},
		{`{"a":{"$elemMatch":{"0":1}}}`, `{"a":[[1]]}`, true},
		{`{"a":{"$elemMatch":{}}}`, `{"a":[{}]}`, true},
		{`{"a":{"$elemMatch":{"$or":[{"x":1},{"y":1}]}}}`, `{"a":[{"y":1}]}`, true},
		{`{"a":{"$elemMatch":{"$nor":[{"x":1}]}}}`, `{"a":[{"x":1}]}`, false},
		{`{"a.b":{"$elemMatch":{"$gt":1}}}`, `{"a":[{"b":[1]},{"b":[2]}]}`, true},
		{`{"a.b":{"$elemMatch":{"$gt":1}}}`, `{"a":[{"b":2}]}`, false},
		{`{"$nor":[{"a":1},{"b":1}]}`, `{"a":2}`, true},
		{`{"$nor":[{"a":1},{"b":1}]}`, `{"b":[1,2]}`, false},
		{`{"$nor":[{"a":1,"b":1}]}`, `{"a":1}`, true},
		{`{"$nor":[{"$nor":[{"a":1}]}]}`, `{"a":1}`, true},
		{`{"$or":[{"$nor":[{"a":1}]},{"b":1}]}`, `{"a":1}`, false},
	}
	for _, tt := range tests {
		f, err := compileFilter(rawDoc(t, tt.filter))
		if err != nil {
			t.Errorf("%s: %v", tt.filter, err)
			continue
		}
		if got := f.matches(rawDoc(t, tt.doc)); got != tt.want {
			t.Errorf("%s on %s = %v", tt.filter, tt.doc, got)
		}
	}
}

func TestFilterRefuses(t *testing.T) {
	tests := []struct {
		filter string
		want   code
	}{
		{`{"$expr":{}}`, codeNotImplemented},
		{`{"$where":"1"}`, codeNotImplemented},
		{`{"$text":{"$search":"x"}}`, codeNotImplemented},
		{`{"a":{"$near":1}}`, codeNotImplemented},
		{`{"a":{"$gt":1,"b":2}}`, codeBadValue},
		{`{"a":{"$in":1}}`, codeBadValue},
		{`{"a":{"$in":[{"$gt":1}]}}`, codeBadValue},
		{`{"a":{"$options":"i"}}`, codeBadValue},
		{`{"a":{"$regex":"a","$options":"x"}}`, codeNotImplemented},
		{`{"a":{"$regex":"(?=a)"}}`, codeBadRegex},
		{`{"a":{"$size":1.5}}`, codeBadValue},
		{`{"a":{"$size":-1}}`, codeBadValue},
		{`{"a":{"$size":"1"}}`, codeBadValue},
		{`{"a":{"$type":"strong"}}`, codeBadValue},
		{`{"a":{"$mod":4}}`, codeBadValue},
		{`{"a":{"$mod":[4]}}`, codeBadValue},
		{`{"a":{"$mod":[4,1,1]}}`, codeBadValue},
		{`{"a":{"$mod":[0.5,1]}}`, codeBadValue},
		{`{"a":{"$mod":["4",1]}}`, codeBadValue},
		{`{"a":{"$mod":[4,{"$numberDouble":"NaN"}]}}`, codeBadValue},
		{`{"a":{"$mod":[{"$numberDouble":"Infinity"},1]}}`, codeBadValue},
		{`{"$and":[]}`, codeBadValue},
		{`{"$or":[1]}`, codeBadValue},
		{`{"$nor":[]}`, codeBadValue},
		{`{"$nor":{"a":1}}`, codeBadValue},
		{`{"$nor":[1]}`, codeBadValue},
		{`{"$comment":"x"}`, codeNotImplemented},
		{`{"a":{"$nin":1}}`, codeBadValue},
		{`{"a":{"$nin":[{"$gt":1}]}}`, codeBadValue},
		{`{"a":{"$nin":[{"$undefined":true}]}}`, codeBadValue},
		{`{"a":{"$nin":[{"$regularExpression":{"pattern":"(?=a)","options":""}}]}}`, codeBadRegex},
		{`{"a":{"$not":1}}`, codeBadValue},
		{`{"a":{"$not":{}}}`, codeBadValue},
		{`{"a":{"$not":{"b":1}}}`, codeBadValue},
		{`{"a":{"$not":[{"$gt":1}]}}`, codeBadValue},
		{`{"a":{"$not":{"$gtt":1}}}`, codeBadValue},
		{`{"a":{"$not":{"$near":1}}}`, codeNotImplemented},
		{`{"a":{"$not":{"$options":"i"}}}`, codeBadValue},
		{`{"a":{"$all":1}}`, codeBadValue},
		{`{"a":{"$all":[{"$gt":1}]}}`, codeBadValue},
		{`{"a":{"$all":[{"$undefined":true}]}}`, codeBadValue},
		{`{"a":{"$all":[{"$elemMatch":{"x":1}},1]}}`, codeBadValue},
		{`{"a":{"$all":[{"$elemMatch":{"x":{"$near":1}}}]}}`, codeNotImplemented},
		{`{"a":{"$all":[{"$regularExpression":{"pattern":"(?=a)","options":""}}]}}`, codeBadRegex},
		{`{"a":{"$elemMatch":[1]}}`, codeBadValue},
		{`{"a":{"$elemMatch":{"$gtt":1}}}`, codeBadValue},
		{`{"a":{"$elemMatch":{"$expr":true}}}`, codeNotImplemented},
		{`{"a":{"$elemMatch":{"x":{"$near":1}}}}`, codeNotImplemented},
	}
	for _, tt := range tests {
		_, err := compileFilter(rawDoc(t, tt.filter))
		var f *failure
		if !errors.As(err, &f) || f.code != tt.want {
			t.Errorf("%s: %v, want code %d", tt.filter, err, tt.want)
		}
	}
	for _, op := range []string{"$near", "$geoWithin", "$bitsAllSet"} {
		if _, err := compileFilter(rawDoc(t, `{"a":{"`+op+`":[1]}}`)); err == nil || !strings.Contains(err.Error(), op) {
			t.Errorf("%v does not name %s", err, op)
		}
	}
}

func TestProjection(t *testing.T) {
	const d = `{"_id":1,"a":1,"b":{"c":1,"d":2},"e":[{"c":1,"d":2},3]}`
	tests := []struct{ projection, want string }{
		{`{}`, d},
		{`{"a":1}`, `{"_id":1,"a":1}`},
		{`{"a":1,"_id":0}`, `{"a":1}`},
		{`{"_id":1}`, `{"_id":1}`},
		{`{"_id":0}`, `{"a":1,"b":{"c":1,"d":2},"e":[{"c":1,"d":2},3]}`},
		{`{"b.c":1}`, `{"_id":1,"b":{"c":1}}`},
		{`{"e.c":1,"a.x":1}`, `{"_id":1,"e":[{"c":1}]}`},
		{`{"e.c":0,"a":0,"b":0}`, `{"_id":1,"e":[{"d":2},3]}`},
		{`{"nope":1}`, `{"_id":1}`},
	}
	for _, tt := range tests {
		p, err := compileProjection(rawDoc(t, tt.projection))
		if err != nil {
			t.Errorf("%s: %v", tt.projection, err)
			continue
		}
		if got := asJSON(bsonOf(t, p.apply(rawDoc(t, d)))); got != tt.want {
			t.Errorf("%s = %s, want %s", tt.projection, got, tt.want)
		}
	}
	for _, bad := range []string{`{"a":1,"b":0}`, `{"a":0,"b":1}`, `{"a":{"$slice":1}}`, `{"a":"x"}`, `{"a":1,"a.b":1}`, `{"a.$":1}`, `{"a..b":1}`} {
		if _, err := compileProjection(rawDoc(t, bad)); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}
