package embedded

import (
	"strconv"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// The cases of this file are places where this package once differed from MongoDB silently. The
// upserts follow the behavior that MongoDB's own test describes
// (https://github.com/mongodb/mongo, jstests/core/write/update/upsert_fields.js). The other
// expectations follow MongoDB's documentation and have not been compared with a MongoDB server.

// TestPathsThroughArraysOfArrays checks numeric steps. A path goes through an array of documents by
// itself, and into an array of arrays only at a position.
func TestPathsThroughArraysOfArrays(t *testing.T) {
	tests := []struct {
		document, filter string
		want             bool
	}{
		{`{"a":[[{"b":1}]]}`, `{"a.0.b":1}`, true},
		{`{"a":[[{"b":1}]]}`, `{"a.0.0.b":1}`, true},
		{`{"a":[[{"b":1}]]}`, `{"a.b":1}`, false},
		{`{"a":[[{"b":1}]]}`, `{"a.1.b":1}`, false},
		{`{"a":[[5,6]]}`, `{"a.0.1":6}`, true},
		{`{"a":[[5,6]]}`, `{"a.0.1":5}`, false},
		{`{"a":[[[7]]]}`, `{"a.0.0.0":7}`, true},
		{`{"a":[[[{"b":[{"c":8}]}]]]}`, `{"a.0.0.b.c":8}`, true},
		{`{"a":[[{"b":1},{"b":2}],[{"b":3}]]}`, `{"a.0.b":2}`, true},
		{`{"a":[[{"b":1},{"b":2}],[{"b":3}]]}`, `{"a.0.b":3}`, false},
		{`{"a":[[{"b":1},{"b":2}],[{"b":3}]]}`, `{"a.1.b":3}`, true},
		{`{"a":[[{"b":1}]]}`, `{"a.0.b":{"$gt":0}}`, true},
		{`{"a":[[{"b":1}]]}`, `{"a.0.b":{"$exists":true}}`, true},
		{`{"a":[[{"b":1}]]}`, `{"a.0.b":{"$ne":1}}`, false},
		{`{"a":[{"0":{"b":4}}]}`, `{"a.0.b":4}`, true},
		{`{"a":[{"0":[{"b":4}]}]}`, `{"a.0.b":4}`, true},
	}
	for _, tt := range tests {
		f, err := compileFilter(rawDoc(t, tt.filter))
		if err != nil {
			t.Fatal(err)
		}
		if got := f.matches(rawDoc(t, tt.document)); got != tt.want {
			t.Errorf("%s on %s: %t, want %t", tt.filter, tt.document, got, tt.want)
		}
	}
}

// TestExistsTakesEachValueAsAFlag checks the argument of $exists: all but false, zero, null and
// undefined ask for the field.
func TestExistsTakesEachValueAsAFlag(t *testing.T) {
	for argument, asks := range map[string]bool{
		`true`: true, `1`: true, `-0.5`: true, `"yes"`: true, `"no"`: true, `""`: true, `[]`: true, `{}`: true,
		`{"$oid":"5356aaaaaaaaaaaaaaaaaaaa"}`: true, `{"$numberDecimal":"1"}`: true,
		`false`: false, `0`: false, `-0.0`: false, `{"$numberDecimal":"0"}`: false, `null`: false, `{"$undefined":true}`: false,
	} {
		f, err := compileFilter(rawDoc(t, `{"a":{"$exists":`+argument+`}}`))
		if err != nil {
			t.Fatal(err)
		}
		if with, without := f.matches(rawDoc(t, `{"a":5}`)), f.matches(rawDoc(t, `{}`)); with != asks || without == asks {
			t.Errorf("%s: %t with the field, %t without it", argument, with, without)
		}
	}
}

// TestUpsertsTakeEqualities checks which values of the filter an upsert puts into the new document,
// for modifiers and for a replacement. A number is the code of the expected error.
func TestUpsertsTakeEqualities(t *testing.T) {
	tests := []struct{ query, modified, replaced string }{
		{`{"_id":1}`, `{"_id":1,"a":1}`, `{"_id":1}`},
		{`{"_id":{"$eq":1}}`, `{"_id":1,"a":1}`, `{"_id":1}`},
		{`{"_id":{"$in":[1]}}`, `{"_id":1,"a":1}`, `{"_id":1}`},
		{`{"_id":{"$in":[1,1]}}`, `{"_id":1,"a":1}`, `{"_id":1}`},
		{`{"$and":[{"_id":1}]}`, `{"_id":1,"a":1}`, `{"_id":1}`},
		{`{"$and":[{"_id":{"$in":[1]}},{"x":2}]}`, `{"_id":1,"x":2,"a":1}`, `{"_id":1}`},
		{`{"$or":[{"_id":1}]}`, `{"_id":1,"a":1}`, `{"_id":1}`},
		{`{"$or":[{"_id":{"$eq":1}}]}`, `{"_id":1,"a":1}`, `{"_id":1}`},
		{`{"$and":[{"$or":[{"$and":[{"_id":1}]}]}]}`, `{"_id":1,"a":1}`, `{"_id":1}`},
		{`{"_id":{"$gt":1}}`, `{"a":1}`, `{}`},
		{`{"_id":{"$ne":1}}`, `{"a":1}`, `{}`},
		{`{"_id":{"$in":[1,2]}}`, `{"a":1}`, `{}`},
		{`{"_id":{"$exists":true}}`, `{"a":1}`, `{}`},
		{`{"$or":[{"_id":{"$eq":1}},{"_id":2}]}`, `{"a":1}`, `{}`},
		{`{"_id":[1,2]}`, "2", "2"},
		{`{"_id":{"$undefined":true}}`, "2", "2"},
		{`{"$and":[{"_id":1},{"_id":2}]}`, "54", "54"},
		{`{"$and":[{"_id":{"$in":[1]}},{"_id":2}]}`, "54", "54"},
		{`{"_id":1,"_id.x":1}`, "54", "55"},
		{`{"_id.x":1,"_id.y":2}`, `{"_id":{"x":1,"y":2},"a":1}`, "55"},
		{`{"x":1}`, `{"x":1,"a":1}`, `{}`},
		{`{"x":{"$eq":1}}`, `{"x":1,"a":1}`, `{}`},
		{`{"x":{"$in":[1]}}`, `{"x":1,"a":1}`, `{}`},
		{`{"x":{"$in":[null]}}`, `{"x":null,"a":1}`, `{}`},
		{`{"x":{"$in":[]}}`, `{"a":1}`, `{}`},
		{`{"$or":[{"x":1}]}`, `{"x":1,"a":1}`, `{}`},
		{`{"x":[1,2]}`, `{"x":[1,2],"a":1}`, `{}`},
		{`{"x":{"x.x":1}}`, `{"x":{"x.x":1},"a":1}`, `{}`},
		{`{"x":{"$gt":1,"$eq":2}}`, `{"x":2,"a":1}`, `{}`},
		{`{"x":{"$in":[1,2]}}`, `{"a":1}`, `{}`},
		{`{"x":{"$undefined":true}}`, "2", "2"},
		{`{"$and":[{"x":1},{"x":2}]}`, "54", `{}`},
		{`{"$and":[{"x":1},{"x":1}]}`, "54", `{}`},
		{`{"x.x":1}`, `{"x":{"x":1},"a":1}`, `{}`},
		{`{"x.x":{"$in":[1]}}`, `{"x":{"x":1},"a":1}`, `{}`},
		{`{"x":1,"x.x":1}`, "54", `{}`},
		{`{"x":{"x":1},"x.y":1}`, "54", `{}`},
		{`{"_id":1,"x":[1,{"x":1}],"x.x":1}`, "54", `{"_id":1}`},
		{`{"x":{"$regularExpression":{"pattern":"abc","options":""}}}`, `{"a":1}`, `{}`},
		{`{"x":{"$in":[{"$regularExpression":{"pattern":"abc","options":""}}]}}`, `{"a":1}`, `{}`},
		{`{"x":{"$eq":{"$regularExpression":{"pattern":"abc","options":""}}}}`, `{"x":{"$regularExpression":{"pattern":"abc","options":""}},"a":1}`, `{}`},
	}
	c := fresh(t)
	for _, tt := range tests {
		for update, want := range map[string]string{`{"$set":{"a":1}}`: tt.modified, `{"$setOnInsert":{"a":1}}`: tt.modified, `{}`: tt.replaced} {
			if _, err := c.DeleteMany(t.Context(), D{}); err != nil {
				t.Fatal(err)
			}
			if got := upsertError(t, c, tt.query, update); got != "" {
				if got != want {
					t.Errorf("%s with %s: error %s, want %s", tt.query, update, got, want)
				}
				continue
			}
			var d D
			if err := c.FindOne(t.Context(), D{}).Decode(&d); err != nil {
				t.Fatal(err)
			}
			if oid, ok := d[0].Value.(bson.ObjectID); ok && !oid.IsZero() {
				d = d[1:] // generated
			}
			if got := asJSON(d); got != want {
				t.Errorf("%s with %s: %s, want %s", tt.query, update, got, want)
			}
		}
	}
}

// upsertError runs an upsert and returns the code of its error, or "" without an error.
func upsertError(tb testing.TB, c *mongo.Collection, query, update string) string {
	tb.Helper()
	var answer struct {
		Code        int
		WriteErrors []struct{ Code int }
	}
	raw, err := c.Database().RunCommand(tb.Context(), doc(tb, `{"update":"c","updates":[{"q":`+query+`,"u":`+update+`,"upsert":true}]}`)).Raw()
	if raw == nil {
		tb.Fatal(err)
	}
	if err := bson.Unmarshal(raw, &answer); err != nil {
		tb.Fatal(err)
	}
	switch {
	case len(answer.WriteErrors) == 1:
		return strconv.Itoa(answer.WriteErrors[0].Code)
	case answer.Code != 0:
		return strconv.Itoa(answer.Code)
	}
	return ""
}

// TestRegexOptions checks the flags of a pattern and of $options, which may be set once.
func TestRegexOptions(t *testing.T) {
	c := fresh(t)
	insertAll(t, c, D{{Key: "_id", Value: 1}, {Key: "s", Value: "Ada"}, {Key: "r", Value: bson.Regex{Pattern: "a", Options: "i"}}})
	for filter, want := range map[string]code{
		`{"s":{"$regex":{"$regularExpression":{"pattern":"ada","options":"i"}}}}`:                0,
		`{"s":{"$regex":{"$regularExpression":{"pattern":"ada","options":""}},"$options":"i"}}`:  0,
		`{"s":{"$regex":{"$regularExpression":{"pattern":"ada","options":"i"}},"$options":"s"}}`: codeRegexOptions,
		`{"s":{"$options":"i","$regex":"ada"}}`:                                                  0,
		`{"s":{"$regularExpression":{"pattern":"ada","options":"iu"}}}`:                          0, // of Python
		`{"s":{"$in":[{"$regularExpression":{"pattern":"^A","options":"u"}}]}}`:                  0,
		`{"r":{"$regex":"a","$options":"i"}}`:                                                    0, // a stored pattern
		`{"s":{"$regularExpression":{"pattern":"a d a","options":"x"}}}`:                         codeNotImplemented,
		`{"s":{"$regex":"ada","$options":"g"}}`:                                                  codeRegexFlag,
	} {
		n, err := c.CountDocuments(t.Context(), doc(t, filter))
		if want != 0 {
			wantCode(t, filter, err, want)
		} else if n != 1 || err != nil {
			t.Errorf("%s: %d documents, %v", filter, n, err)
		}
	}
}

// TestNaturalOrder checks the hint and the sort that ask for the natural order.
func TestNaturalOrder(t *testing.T) {
	c := fresh(t)
	for _, id := range []int{3, 1, 2} {
		insertAll(t, c, D{{Key: "_id", Value: id}, {Key: "a", Value: -id}})
	}
	for command, want := range map[string]string{
		`{"find":"c","hint":{"$natural":1}}`:                              `1 2 3`,
		`{"find":"c","hint":{"$natural":-1}}`:                             `3 2 1`,
		`{"find":"c","hint":{"$natural":-1},"limit":2}`:                   `3 2`,
		`{"find":"c","hint":{"$natural":-1},"sort":{"a":1}}`:              `3 2 1`,
		`{"find":"c","hint":{"$natural":-1},"sort":{"a":-1}}`:             `1 2 3`,
		`{"find":"c","sort":{"$natural":1}}`:                              `1 2 3`,
		`{"find":"c","sort":{"$natural":-1},"limit":1}`:                   `3`,
		`{"find":"c","hint":{"$natural":1.0},"filter":{"_id":{"$gt":1}}}`: `2 3`,
		`{"find":"none","hint":{"$natural":1}}`:                           ``,
	} {
		var answer struct {
			Cursor struct {
				FirstBatch []struct {
					ID int `bson:"_id"`
				}
			}
		}
		if err := c.Database().RunCommand(t.Context(), doc(t, command)).Decode(&answer); err != nil {
			t.Errorf("%s: %v", command, err)
			continue
		}
		var ids []string
		for _, d := range answer.Cursor.FirstBatch {
			ids = append(ids, strconv.Itoa(d.ID))
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	for _, command := range []string{`{"count":"c","hint":{"$natural":1}}`, `{"aggregate":"c","hint":{"$natural":1},"pipeline":[{"$group":{"_id":1,"n":{"$sum":1}}}],"cursor":{}}`,
		`{"update":"c","updates":[{"q":{"_id":1},"u":{"$set":{"b":1}},"hint":{"$natural":1}}]}`, `{"delete":"c","deletes":[{"q":{"_id":9},"limit":1,"hint":{"$natural":-1}}]}`} {
		if err := c.Database().RunCommand(t.Context(), doc(t, command)).Err(); err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
}

// TestOldTTLIndexesStillLoad checks that an index that a new command refuses does not make a file
// unreadable.
func TestOldTTLIndexesStillLoad(t *testing.T) {
	ix, err := parseIndex(rawDoc(t, `{"v":2,"key":{"a":1},"name":"a_1","expireAfterSeconds":-1}`))
	if err != nil || ix.ttl != -1 {
		t.Errorf("%+v, %v; want an index without expiry", ix, err)
	}
}
