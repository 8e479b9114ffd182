package embedded

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestUpdate(t *testing.T) {
	tests := []struct{ doc, update, want string }{
		{`{"a":1}`, `{"$set":{"b":2,"a":3}}`, `{"a":3,"b":2}`},
		{`{}`, `{"$set":{"b":1,"a":1,"c.10":1,"c.9":1}}`, `{"a":1,"b":1,"c":{"9":1,"10":1}}`},
		{`{"a":[1]}`, `{"$set":{"a.3":9}}`, `{"a":[1,null,null,9]}`},
		{`{"a":[{"x":1}]}`, `{"$set":{"a.0.x":2}}`, `{"a":[{"x":2}]}`},
		{`{"a":1,"b":2}`, `{"$unset":{"a":"","c.d":""}}`, `{"b":2}`},
		{`{"a":[1,2]}`, `{"$unset":{"a.0":""}}`, `{"a":[null,2]}`},
		{`{"n":2147483647}`, `{"$inc":{"n":1}}`, `{"n":2147483648}`},
		{`{"n":1}`, `{"$inc":{"n":0.5}}`, `{"n":1.5}`},
		{`{"a":"x"}`, `{"$max":{"a":1}}`, `{"a":"x"}`},
		{`{"a":1}`, `{"$max":{"a":"x","b":2}}`, `{"a":"x","b":2}`},
		{`{"a":"x"}`, `{"$min":{"a":1}}`, `{"a":1}`},
		{`{"a":1}`, `{"$min":{"a":"x","b":2}}`, `{"a":1,"b":2}`},
		{`{"a":{"b":2}}`, `{"$min":{"a.b":2.0,"c.d":null}}`, `{"a":{"b":2},"c":{"d":null}}`},
		{`{"a":[1]}`, `{"$push":{"a":2,"b":{"x":1}}}`, `{"a":[1,2],"b":[{"x":1}]}`},
		{`{"a":[1,2]}`, `{"$push":{"a":{"$each":[9,8],"$position":1}}}`, `{"a":[1,9,8,2]}`},
		{`{"a":[1,2]}`, `{"$push":{"a":{"$each":[9],"$position":-1}}}`, `{"a":[1,9,2]}`},
		{`{"a":[3,1]}`, `{"$push":{"a":{"$each":[2],"$slice":2}}}`, `{"a":[3,1]}`},
		{`{"a":[3,1]}`, `{"$push":{"a":{"$each":[2],"$slice":-2}}}`, `{"a":[1,2]}`},
		{`{"a":[1,2]}`, `{"$push":{"a":{"$each":[],"$slice":0}}}`, `{"a":[]}`},
		{`{"a":[1]}`, `{"$addToSet":{"a":{"$each":[1.0,2,2]}}}`, `{"a":[1,2]}`},
		{`{"a":[{"x":1}]}`, `{"$addToSet":{"a":{"x":1}}}`, `{"a":[{"x":1}]}`},
		{`{"a":[1,5,1,9]}`, `{"$pull":{"a":1}}`, `{"a":[5,9]}`},
		{`{"a":[{"_id":1},{"_id":2},{"_id":3}]}`, `{"$pull":{"a":{"_id":{"$in":[1,3]}}}}`, `{"a":[{"_id":2}]}`},
		{`{"a":[{"_id":1},{"_id":2},3]}`, `{"$pull":{"a":{"$or":[{"_id":1},{"_id":4}]}}}`, `{"a":[{"_id":2},3]}`},
		{`{"a":[{"k":1,"v":1},{"k":2,"v":1}]}`, `{"$pull":{"a":{"k":1,"v":{"$gte":1}}}}`, `{"a":[{"k":2,"v":1}]}`},
		{`{"n":3}`, `{"$mul":{"n":2}}`, `{"n":6}`},
		{`{"n":3}`, `{"$mul":{"n":0.5}}`, `{"n":1.5}`},
		{`{"n":2147483647}`, `{"$mul":{"n":2}}`, `{"n":4294967294}`},
		{`{"n":{"$numberLong":"-9223372036854775808"}}`, `{"$mul":{"n":1}}`, `{"n":-9223372036854775808}`},
		{`{"a":1}`, `{"$mul":{"n":7,"x.y":2.5}}`, `{"a":1,"n":0,"x":{"y":0.0}}`},
		{`{"a":[1,2]}`, `{"$mul":{"a.1":3}}`, `{"a":[1,6]}`},
		{`{"a":1,"b":2}`, `{"$rename":{"a":"c"}}`, `{"b":2,"c":1}`},
		{`{"a":1,"b":2}`, `{"$rename":{"a":"b"}}`, `{"b":1}`},
		{`{"a":{"b":1,"c":2}}`, `{"$rename":{"a.b":"a.d","a.c":"x.y"}}`, `{"a":{"d":1},"x":{"y":2}}`},
		{`{"a":[1,2],"b":[3]}`, `{"$rename":{"a":"b"}}`, `{"b":[1,2]}`},
		{`{"b":2}`, `{"$rename":{"a":"b","x.y":"c"}}`, `{"b":2}`},
		{`{"a":{}}`, `{"$rename":{"a.b":"c"}}`, `{"a":{}}`},
		{`{"a":1}`, `{"$rename":{"a":"b"},"$set":{"c":2}}`, `{"b":1,"c":2}`},
		{`{"a":[1,5,"x",9,[7]]}`, `{"$pull":{"a":{"$gt":4}}}`, `{"a":[1,"x"]}`},
		{`{"a":[1,5,"x"]}`, `{"$pull":{"a":{"$in":[1,"x",7]}}}`, `{"a":[5]}`},
		{`{"a":[1,5,"x"]}`, `{"$pull":{"a":{"$nin":[1,"x"]}}}`, `{"a":[1,"x"]}`},
		{`{"a":["xa","b",3]}`, `{"$pull":{"a":{"$regularExpression":{"pattern":"^x","options":""}}}}`, `{"a":["b",3]}`},
		{`{"a":["xa","b",3]}`, `{"$pull":{"a":{"$not":{"$regex":"^X","$options":"i"}}}}`, `{"a":["xa"]}`},
		{`{"a":[1,{"x":1},{"x":2}]}`, `{"$pull":{"a":{"$eq":{"x":1}}}}`, `{"a":[1,{"x":2}]}`},
		{`{"a":[[1,2],[3]]}`, `{"$pull":{"a":{"$size":2}}}`, `{"a":[[3]]}`},
		{`{}`, `{"$pull":{"a":1},"$pullAll":{"b":[1]},"$pop":{"c":1}}`, `{}`},
		{`{"a":1}`, `{"$unset":{"a.b":1}}`, `{"a":1}`},
		{`{"a":[1,2,1]}`, `{"$pullAll":{"a":[1]}}`, `{"a":[2]}`},
		{`{"a":[1,2],"b":[]}`, `{"$pop":{"a":1,"b":1}}`, `{"a":[1],"b":[]}`},
		{`{"_id":1,"a":1}`, `{"b":2}`, `{"_id":1,"b":2}`},
		{`{"_id":1,"a":1}`, `{"b":2,"_id":1}`, `{"_id":1,"b":2}`},
		{`{"_id":1,"a":1}`, `{}`, `{"_id":1}`},
		{`{"a":1}`, `{"$setOnInsert":{"a":2}}`, `{"a":1}`},
	}
	for _, tt := range tests {
		u, err := compileUpdate(documentValue(rawDoc(t, tt.update)))
		if err != nil {
			t.Errorf("%s: %v", tt.update, err)
			continue
		}
		got, err := u.apply(rawDoc(t, tt.doc), false)
		if err != nil {
			t.Errorf("%s on %s: %v", tt.update, tt.doc, err)
			continue
		}
		if err := validate(got); err != nil {
			t.Errorf("%s on %s gives bytes that are not valid", tt.update, tt.doc)
		}
		if g := asJSON(bsonOf(t, got)); g != tt.want {
			t.Errorf("%s on %s = %s, want %s", tt.update, tt.doc, g, tt.want)
		}
	}
}

func TestUpdateRefuses(t *testing.T) {
	tests := []struct {
		doc, update string
		want        code
	}{
		{`{}`, `{"$foo":{"a":1}}`, codeFailedToParse},
		{`{}`, `{"$bit":{"a":{"and":1}}}`, codeNotImplemented},
		{`{}`, `{"$set":{"a":1},"b":1}`, codeFailedToParse},
		{`{}`, `{"$set":1}`, codeFailedToParse},
		{`{}`, `{"$set":{"a":1,"a.b":2}}`, codeConflictingUpdate},
		{`{}`, `{"$set":{"a":1},"$inc":{"a":2}}`, codeConflictingUpdate},
		{`{}`, `{"$rename":{"a":1}}`, codeBadValue},
		{`{}`, `{"$rename":{"a":"a"}}`, codeBadValue},
		{`{}`, `{"$rename":{"a":"b.$"}}`, codeNotImplemented},
		{`{}`, `{"$rename":{"a":""}}`, codeEmptyFieldName},
		{`{}`, `{"$rename":{"a":"b"},"$set":{"a":1}}`, codeConflictingUpdate},
		{`{}`, `{"$rename":{"a":"b"},"$set":{"b.c":1}}`, codeConflictingUpdate},
		{`{}`, `{"$rename":{"a":"a.b"}}`, codeConflictingUpdate},
		{`{"a":[{"x":1}]}`, `{"$rename":{"a.0.x":"b"}}`, codeBadValue},
		{`{"a":[1]}`, `{"$rename":{"a.0":"b"}}`, codeBadValue},
		{`{"a":[{"x":1}]}`, `{"$rename":{"a.x":"b"}}`, codePathNotViable},
		{`{"a":1}`, `{"$rename":{"a.x":"b"}}`, codePathNotViable},
		{`{"a":1,"b":[2]}`, `{"$rename":{"a":"b.0"}}`, codeBadValue},
		{`{"a":1,"b":2}`, `{"$rename":{"a":"b.c"}}`, codePathNotViable},
		{`{"_id":1}`, `{"$rename":{"_id":"a"}}`, codeImmutableField},
		{`{"_id":1,"a":2}`, `{"$rename":{"a":"_id"}}`, codeImmutableField},
		{`{}`, `{"$mul":{"a":"x"}}`, codeTypeMismatch},
		{`{"a":"x"}`, `{"$mul":{"a":2}}`, codeTypeMismatch},
		{`{"a":{"$numberLong":"9223372036854775807"}}`, `{"$mul":{"a":2}}`, codeBadValue},
		{`{"a":{"$numberLong":"-9223372036854775808"}}`, `{"$mul":{"a":-1}}`, codeBadValue},
		{`{"a":1}`, `{"$mul":{"a":{"$numberDecimal":"2"}}}`, codeNotImplemented},
		{`{}`, `{"$set":{"":1}}`, codeEmptyFieldName},
		{`{}`, `{"$set":{"a..b":1}}`, codeEmptyFieldName},
		{`{}`, `{"$set":{"a.$":1}}`, codeNotImplemented},
		{`{}`, `{"$set":{"a.$[]":1}}`, codeNotImplemented},
		{`{}`, `{"$set":{"a.$x":1}}`, codeDollarField},
		{`{}`, `{"a":1,"$set":{"b":1}}`, codeDollarField},
		{`{"a":1}`, `{"$set":{"a.b":1}}`, codePathNotViable},
		{`{"a":[]}`, `{"$set":{"a.b":1}}`, codePathNotViable},
		{`{"a":"x"}`, `{"$inc":{"a":1}}`, codeTypeMismatch},
		{`{}`, `{"$inc":{"a":"x"}}`, codeTypeMismatch},
		{`{"a":{"$numberLong":"9223372036854775807"}}`, `{"$inc":{"a":1}}`, codeBadValue},
		{`{"a":1}`, `{"$push":{"a":1}}`, codeBadValue},
		{`{"a":[]}`, `{"$push":{"a":{"$each":[1],"$foo":1}}}`, codeUnknownField},
		{`{"a":[]}`, `{"$push":{"a":{"$slice":1}}}`, codeBadValue},
		{`{"a":[]}`, `{"$push":{"a":{"$each":[1],"$sort":1}}}`, codeNotImplemented},
		{`{"a":[]}`, `{"$addToSet":{"a":{"$each":[1],"$slice":1}}}`, codeUnknownField},
		{`{"a":1}`, `{"$pull":{"a":1}}`, codeBadValue},
		{`{"a":1}`, `{"$pull":{"a.b":1}}`, codePathNotViable},
		{`{"a":[]}`, `{"$pop":{"a.b":1}}`, codePathNotViable},
		{`{"a":1}`, `{"$pop":{"a":1}}`, codeTypeMismatch},
		{`{"a":[]}`, `{"$pop":{"a":2}}`, codeFailedToParse},
		{`{"a":[]}`, `{"$pull":{"a":{"$foo":2}}}`, codeBadValue},
		{`{"a":[]}`, `{"$pull":{"a":{"$near":2}}}`, codeNotImplemented},
		{`{"a":[]}`, `{"$pull":{"a":{"$expr":2}}}`, codeNotImplemented},
		{`{"a":[]}`, `{"$pull":{"a":{"$regularExpression":{"pattern":"(?=x)","options":""}}}}`, codeBadRegex},
		{`{}`, `{"$currentDate":{"a":1}}`, codeBadValue},
		{`{}`, `{"$currentDate":{"a":{"$type":"time"}}}`, codeBadValue},
		{`{}`, `{"$currentDate":{"a":{}}}`, codeBadValue},
		{`{}`, `{"$currentDate":{"a":{"$type":"date","x":1}}}`, codeUnknownField},
		{`{"_id":1}`, `{"$set":{"_id":2}}`, codeImmutableField},
		{`{"_id":1}`, `{"$unset":{"_id":1}}`, codeImmutableField},
		{`{"_id":{"x":1}}`, `{"$set":{"_id.x":2}}`, codeImmutableField},
		{`{"_id":1}`, `{"_id":2,"a":1}`, codeImmutableField},
	}
	for _, tt := range tests {
		u, err := compileUpdate(documentValue(rawDoc(t, tt.update)))
		if err == nil {
			_, err = u.apply(rawDoc(t, tt.doc), false)
		}
		var f *failure
		if !errors.As(err, &f) || f.code != tt.want {
			t.Errorf("%s on %s: %v, want code %d", tt.update, tt.doc, err, tt.want)
		}
	}
}

func TestUpsertDocument(t *testing.T) {
	tests := []struct{ filter, update, want string }{
		{`{"_id":1,"a":2}`, `{"$set":{"b":3}}`, `{"_id":1,"a":2,"b":3}`},
		{`{"a":2,"_id":1}`, `{"$inc":{"a":3}}`, `{"_id":1,"a":5}`},
		{`{"_id":1,"a":{"$gt":2},"b":{"$eq":3}}`, `{"$setOnInsert":{"c":1}}`, `{"_id":1,"b":3,"c":1}`},
		{`{"$and":[{"_id":1},{"a.b":2}]}`, `{"$set":{"z":1}}`, `{"_id":1,"a":{"b":2},"z":1}`},
		{`{"_id":1,"a":2}`, `{"b":3}`, `{"_id":1,"b":3}`},
		{`{"a":2}`, `{"$set":{"_id":7}}`, `{"_id":7,"a":2}`},
		{`{"_id":1,"a":{"$all":[2]},"b":{"$in":[3]}}`, `{"$set":{"c":4}}`, `{"_id":1,"a":2,"b":3,"c":4}`},
		{`{"_id":1,"a":{"$all":[{"$elemMatch":{"x":1}}]},"b":{"$all":[]}}`, `{"$set":{"c":4}}`, `{"_id":1,"c":4}`},
		{`{"_id":1,"a":{"$nin":[2]},"b":{"$not":{"$eq":3}},"$nor":[{"d":4}],"e":{"$size":1}}`, `{"$set":{"c":4}}`, `{"_id":1,"c":4}`},
	}
	for _, tt := range tests {
		f, err := compileFilter(rawDoc(t, tt.filter))
		if err != nil {
			t.Fatal(err)
		}
		u, err := compileUpdate(documentValue(rawDoc(t, tt.update)))
		if err != nil {
			t.Fatal(err)
		}
		d, err := u.newDocument(f)
		if err != nil {
			t.Errorf("%s %s: %v", tt.filter, tt.update, err)
			continue
		}
		if got := asJSON(bsonOf(t, d)); got != tt.want {
			t.Errorf("%s %s = %s, want %s", tt.filter, tt.update, got, tt.want)
		}
	}
	for _, tt := range []struct {
		filter, update string
		want           code
	}{
		{`{"a":1,"$and":[{"a":2}]}`, `{"$set":{"b":1}}`, codeNotSingleValue},
		{`{"a":1,"a.b":2}`, `{"$set":{"b":1}}`, codeNotSingleValue},
		{`{"a":{"$all":[1,2]}}`, `{"$set":{"b":1}}`, codeNotSingleValue},
		{`{"a":1,"$and":[{"a":{"$all":[1]}}]}`, `{"$set":{"b":1}}`, codeNotSingleValue},
		{`{"_id":1}`, `{"$set":{"_id":2}}`, codeImmutableField},
		{`{"_id":1}`, `{"_id":2}`, codeImmutableField},
	} {
		f, _ := compileFilter(rawDoc(t, tt.filter))
		u, _ := compileUpdate(documentValue(rawDoc(t, tt.update)))
		_, err := u.newDocument(f)
		var fl *failure
		if !errors.As(err, &fl) || fl.code != tt.want {
			t.Errorf("%s %s: %v, want code %d", tt.filter, tt.update, err, tt.want)
		}
	}
}

func TestCurrentDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the clock does not move by itself
		now := time.Now()
		time.Sleep(1500 * time.Millisecond)
		u, err := compileUpdate(documentValue(rawDoc(t, `{"$currentDate":{"a":true,"b.c":{"$type":"date"},"d":{"$type":"timestamp"},"e":false}}`)))
		if err != nil {
			t.Fatal(err)
		}
		after, err := u.apply(rawDoc(t, `{"a":1}`), false)
		if err != nil {
			t.Fatal(err)
		}
		at := bson.NewDateTimeFromTime(now.Add(1500 * time.Millisecond))
		stamp := bson.Timestamp{T: uint32(now.Unix()) + 1, I: 1}
		want := asJSON(D{{Key: "a", Value: at}, {Key: "b", Value: D{{Key: "c", Value: at}}}, {Key: "d", Value: stamp}, {Key: "e", Value: at}})
		if got := asJSON(bsonOf(t, after)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}
