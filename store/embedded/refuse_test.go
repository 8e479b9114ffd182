package embedded

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// TestUnsupportedCommandsAreRefused sends commands that must fail with MongoDB's code and a text
// that names the unsupported part.
func TestUnsupportedCommandsAreRefused(t *testing.T) {
	c := fresh(t)
	insertAll(t, c, D{{Key: "_id", Value: 1}})
	makeIndex(t, c, D{{Key: "s", Value: 1}}, options.Index().SetSparse(true).SetName("sparse"))
	tests := []struct {
		command string
		want    code
		named   string
	}{
		{`{"foo":1}`, codeCommandNotFound, "no such command: 'foo'"},
		{`{"serverStatus":1}`, codeCommandNotFound, "'serverStatus' is not supported by cubegate's embedded database"},
		{`{"saslStart":1,"mechanism":"SCRAM-SHA-256"}`, codeAuthentication, "no users"},
		{`{"saslContinue":1}`, codeAuthentication, "no users"},
		{`{"authenticate":1,"mechanism":"MONGODB-X509"}`, codeAuthentication, "no users"},
		{`{"mapReduce":"c"}`, codeCommandNotFound, "mapReduce"},
		{`{"commitTransaction":1}`, codeCommandNotFound, "commitTransaction"},
		{`{"find":"c","foo":1}`, codeUnknownField, "foo"},
		{`{"find":"c","collation":{"locale":"en"}}`, codeNotImplemented, "collation"},
		{`{"find":"c","let":{"a":1}}`, codeNotImplemented, "let"},
		{`{"find":"c","tailable":true}`, codeNotImplemented, "tailable"},
		{`{"find":"c","filter":1}`, codeTypeMismatch, "filter"},
		{`{"find":"c","limit":-1}`, codeBadValue, "limit"},
		{`{"find":"c","skip":1.5}`, codeTypeMismatch, "skip"},
		{`{"find":"c","sort":{"a":"x"}}`, codeSortKey, "a"},
		{`{"find":"c","sort":{"a":{"$meta":"textScore"}}}`, codeNotImplemented, "$meta"},
		{`{"find":"c","hint":"nope"}`, codeBadValue, "hint"},
		{`{"find":"c","hint":"sparse"}`, codeNotImplemented, "sparse"},
		{`{"find":"c","readConcern":{"level":"snapshot"}}`, codeNotReplica, "snapshot"},
		{`{"find":"c","readConcern":{"level":"odd"}}`, codeFailedToParse, "odd"},
		{`{"find":1}`, codeInvalidNamespace, "find"},
		{`{"find":"a$b"}`, codeInvalidNamespace, "a$b"},
		{`{"find":"c","txnNumber":1,"autocommit":false,"startTransaction":true}`, codeIllegalOperation, "Transaction"},
		{`{"find":"c","apiVersion":"2"}`, codeAPIVersion, "\"2\""},
		{`{"find":"c","apiVersion":1}`, codeAPIVersion, "\"1\""},
		{`{"find":"c","apiStrict":true}`, codeInvalidOptions, "apiVersion"},
		{`{"find":"c","apiDeprecationErrors":true}`, codeInvalidOptions, "apiVersion"},
		{`{"buildInfo":1,"apiVersion":"1","apiStrict":true}`, codeAPIStrict, "buildInfo"},
		{`{"aggregate":1,"pipeline":[{"$currentOp":{}}],"cursor":{}}`, codeNotImplemented, "whole database"},
		{`{"aggregate":"c","pipeline":[{"$lokup":{}}],"cursor":{}}`, codeUnknownStage, "Unrecognized pipeline stage name: '$lokup'"},
		{`{"find":"c","filter":{"$expr":{"$eq":[1,1]}}}`, codeNotImplemented, "$expr"},
		{`{"find":"c","filter":{"$nor":[{"$expr":true}]}}`, codeNotImplemented, "$expr"},
		{`{"find":"c","filter":{"a":{"$not":{"$near":[1,2]}}}}`, codeNotImplemented, "$near"},
		{`{"find":"c","filter":{"a":{"$nin":1}}}`, codeBadValue, "$nin needs an array"},
		{`{"find":"c","filter":{"$exp":1}}`, codeBadValue, "unknown top level operator: $exp"},
		{`{"find":"c","filter":{"a":{"$elemMatch":{"$bitsAllSet":1}}}}`, codeNotImplemented, "$bitsAllSet"},
		{`{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"a","partialFilterExpression":{"a":{"$all":[1]}}}]}`, codeCannotCreateIndex, "$all"},
		{`{"find":"c","filter":{"a":{"$gtt":1}}}`, codeBadValue, "unknown operator: $gtt"},
		{`{"find":"c","filter":{"a":{"$ne":{"$regularExpression":{"pattern":"x","options":""}}}}}`, codeBadValue, "Can't have regex as arg to $ne"},
		{`{"find":"c","filter":{"a":{"$gt":{"$regularExpression":{"pattern":"x","options":""}}}}}`, codeBadValue, "Can't have regex as arg to $gt"},
		{`{"find":"c","filter":{"a":{"$lte":{"$regularExpression":{"pattern":"x","options":""}}}}}`, codeBadValue, "$lte"},
		{`{"find":"c","filter":{"a":{"$undefined":true}}}`, codeBadValue, "cannot compare to undefined"},
		{`{"find":"c","filter":{"a":{"$ne":{"$undefined":true}}}}`, codeBadValue, "cannot compare to undefined"},
		{`{"find":"c","filter":{"a":{"$in":[1,{"$undefined":true}]}}}`, codeBadValue, "cannot compare to undefined"},
		{`{"find":"c","projection":{"":1}}`, codeNotImplemented, `projection path ""`},
		{`{"aggregate":"c","pipeline":[{"$group":{"_id":{"":"$a"},"n":{"$sum":1}}}],"cursor":{}}`, codeNotImplemented, "grouping by"},
		{`{"find":"c","sort":{"a":2}}`, codeSortDirection, "1 (for ascending) or -1"},
		{`{"find":"c","sort":{"a":1,"b":0}}`, codeSortDirection, "b"},
		{`{"find":"c","sort":{"a":-1.5}}`, codeSortDirection, "a"},
		{`{"find":"c","sort":{"a":{"$numberDouble":"NaN"}}}`, codeSortDirection, "a"},
		{`{"find":"c","sort":{"a":true}}`, codeSortKey, "a"},
		{`{"findAndModify":"c","query":{},"sort":{"a":5},"remove":true}`, codeSortDirection, "a"},
		{`{"find":"c","hint":{"$natural":2}}`, codeBadValue, "$natural"},
		{`{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"a","expireAfterSeconds":-1}]}`, codeCannotCreateIndex, "acceptable range"},
		{`{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"a","expireAfterSeconds":-0.5}]}`, codeCannotCreateIndex, "acceptable range"},
		{`{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"a","expireAfterSeconds":{"$numberDouble":"NaN"}}]}`, codeCannotCreateIndex, "acceptable range"},
		{`{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"a","expireAfterSeconds":3000000000}]}`, codeCannotCreateIndex, "TTL"},
		{`{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"a","collation":{"locale":"en"}}],"ignoreUnknownIndexOptions":true}`, codeNotImplemented, "collation"},
		{`{"create":"d","idIndex":{"key":{"a":1},"name":"_id_"}}`, codeBadValue, "_id"},
		{`{"create":"d","idIndex":{"key":{"_id":1},"name":"_id_","collation":{"locale":"en"}}}`, codeNotImplemented, "collation"},
		{`{"getMore":{"$numberLong":"5"},"collection":"c"}`, codeCursorNotFound, "5"},
		{`{"count":"c","collation":{"locale":"en"}}`, codeNotImplemented, "collation"},
		{`{"insert":"c","documents":[]}`, codeInvalidLength, "0"},
		{`{"insert":"c","documents":[1]}`, codeTypeMismatch, "documents"},
		{`{"insert":"c","documents":[{"a":1}],"foo":1}`, codeUnknownField, "foo"},
		{`{"insert":"c","documents":[{"a":1}],"writeConcern":{"w":2}}`, codeBadValue, "w="},
		{`{"insert":"c","documents":[{"a":1}],"writeConcern":{"w":"odd"}}`, codeBadValue, "odd"},
		{`{"insert":"c","documents":[{"a":1}],"writeConcern":{"x":1}}`, codeUnknownField, "x"},
		{`{"insert":"system.users","documents":[{"a":1}]}`, codeInvalidNamespace, "system.users"},
		{`{"findAndModify":"c","query":{},"update":{"$set":{"a":1}},"remove":true}`, codeFailedToParse, "remove"},
		{`{"findAndModify":"c","query":{},"update":{"$set":{"a":1}},"arrayFilters":[{"x":1}]}`, codeNotImplemented, "arrayFilters"},
		{`{"findAndModify":"c","query":{},"update":{"$set":{"_id":2}}}`, codeImmutableField, "_id"},
		{`{"findAndModify":"c","query":{},"update":[{"$set":{"a":2}}]}`, codeNotImplemented, "pipeline"},
		{`{"aggregate":"c","pipeline":[{"$lookup":{}}],"cursor":{}}`, codeNotImplemented, "$lookup"},
		{`{"aggregate":"c","pipeline":[{"$changeStream":{}}],"cursor":{}}`, codeNotImplemented, "$changeStream"},
		{`{"aggregate":"c","pipeline":[{"$match":{},"$sort":{}}],"cursor":{}}`, codeUnknownStage, "exactly one"},
		{`{"aggregate":"c","pipeline":[{"$match":{}},{"$unwind":"$a"}],"cursor":{}}`, codeNotImplemented, "$unwind"},
		{`{"aggregate":"c","pipeline":[{"$sort":{"a":1}},{"$match":{}}],"cursor":{}}`, codeNotImplemented, "$match"},
		{`{"aggregate":"c","pipeline":[{"$group":{"_id":1,"n":{"$sum":1}}},{"$count":"m"}],"cursor":{}}`, codeNotImplemented, "$count"},
		{`{"aggregate":"c","pipeline":[{"$sort":{}}],"cursor":{}}`, codeBadValue, "sort key"},
		{`{"aggregate":"c","pipeline":[{"$sort":{"$natural":1}}],"cursor":{}}`, codeBadValue, "sort key"},
		{`{"aggregate":"c","pipeline":[{"$sort":{"a":{"$meta":"textScore"}}}],"cursor":{}}`, codeNotImplemented, "$meta"},
		{`{"aggregate":"c","pipeline":[{"$sort":1}],"cursor":{}}`, codeFailedToParse, "$sort"},
		{`{"aggregate":"c","pipeline":[{"$project":{}}],"cursor":{}}`, codeBadValue, "at least one field"},
		{`{"aggregate":"c","pipeline":[{"$project":{"a":"$b"}}],"cursor":{}}`, codeNotImplemented, "expression"},
		{`{"aggregate":"c","pipeline":[{"$project":{"a":1,"b":0}}],"cursor":{}}`, codeProjectionExclude, "b"},
		{`{"aggregate":"c","pipeline":[{"$count":""}],"cursor":{}}`, codeBadValue, "count field"},
		{`{"aggregate":"c","pipeline":[{"$count":"$n"}],"cursor":{}}`, codeBadValue, "count field"},
		{`{"aggregate":"c","pipeline":[{"$count":"a.b"}],"cursor":{}}`, codeBadValue, "count field"},
		{`{"aggregate":"c","pipeline":[{"$count":1}],"cursor":{}}`, codeBadValue, "count field"},
		{`{"aggregate":"c","pipeline":[{"$limit":1},{"$skip":1}],"cursor":{}}`, codeNotImplemented, "$skip"},
		{`{"aggregate":"c","pipeline":[{"$match":{}},{"$match":{}}],"cursor":{}}`, codeNotImplemented, "$match"},
		{`{"aggregate":"c","pipeline":[{"$limit":0}],"cursor":{}}`, codeBadValue, "$limit"},
		{`{"aggregate":"c","pipeline":[{"$match":1}],"cursor":{}}`, codeFailedToParse, "match"},
		{`{"aggregate":"c","pipeline":[{"$group":1}],"cursor":{}}`, codeFailedToParse, "group"},
		{`{"aggregate":"c","pipeline":[{"$group":{"_id":1}}],"cursor":{}}`, codeNotImplemented, "$sum"},
		{`{"aggregate":"c","pipeline":[{"$group":{"_id":"$a","n":{"$sum":1}}}],"cursor":{}}`, codeNotImplemented, "$a"},
		{`{"aggregate":"c","pipeline":[{"$group":{"_id":1,"n":{"$sum":"$a"}}}],"cursor":{}}`, codeNotImplemented, "$sum"},
		{`{"aggregate":"c","pipeline":[{"$group":{"_id":1,"n":{"$count":{}}}}],"cursor":{}}`, codeNotImplemented, "$count"},
		{`{"aggregate":"c","pipeline":[{"$group":{"_id":1,"n":{"$sum":1},"m":{"$sum":1}}}],"cursor":{}}`, codeNotImplemented, "m"},
		{`{"aggregate":"c","pipeline":[{"$group":{"_id":1,"x":{"$stdDevPop":"$a"}}}],"cursor":{}}`, codeNotImplemented, "$stdDevPop"},
		{`{"aggregate":"c","pipeline":[{"$group":{"_id":1,"x":{"$max":"$a"}}}],"cursor":{}}`, codeNotImplemented, "$max"},
		{`{"aggregate":"c","pipeline":[{"$group":{"_id":{"a":"$a"}}}],"cursor":{}}`, codeNotImplemented, "a"},
		{`{"distinct":"c","key":"a"}`, codeCommandNotFound, "distinct"},
		{`{"aggregate":"c","pipeline":[{"$group":{"_id":{"$add":[1]}}}],"cursor":{}}`, codeNotImplemented, "$add"},
		{`{"aggregate":"c","pipeline":[{"$group":{"_id":"$$ROOT"}}],"cursor":{}}`, codeNotImplemented, "$ROOT"},
		{`{"aggregate":"c","pipeline":[]}`, codeFailedToParse, "cursor"},
		{`{"aggregate":"c","pipeline":[],"cursor":{"foo":1}}`, codeUnknownField, "foo"},
		{`{"create":"d","capped":true,"size":1000}`, codeNotImplemented, "capped"},
		{`{"create":"d","validator":{"a":1}}`, codeNotImplemented, "validator"},
		{`{"explain":{"count":"c"}}`, codeNotImplemented, "count"},
		{`{"explain":{"find":"c"},"verbosity":"executionStats"}`, codeNotImplemented, "verbosity"},
		{`{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"a","foo":1}]}`, codeIndexSpecOption, "foo"},
		{`{"createIndexes":"c","indexes":[{"key":{"a":"text"},"name":"a"}]}`, codeCannotCreateIndex, "text"},
		{`{"createIndexes":"c","indexes":[{"key":{"$**":1},"name":"a"}]}`, codeCannotCreateIndex, "$**"},
		{`{"createIndexes":"c","indexes":[{"key":{},"name":"a"}]}`, codeCannotCreateIndex, "empty"},
		{`{"createIndexes":"c","indexes":[{"key":{"a":1}}]}`, codeFailedToParse, "name"},
		{`{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"a","collation":{"locale":"en"}}]}`, codeNotImplemented, "collation"},
		{`{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"a","partialFilterExpression":{"a":{"$ne":1}}}]}`, codeCannotCreateIndex, "$ne"},
		{`{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"a","partialFilterExpression":{"a":{"$nin":[1]}}}]}`, codeCannotCreateIndex, "$nin"},
		{`{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"a","partialFilterExpression":{"a":{"$not":{"$gt":1}}}}]}`, codeCannotCreateIndex, "$not"},
		{`{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"a","partialFilterExpression":{"$nor":[{"a":1}]}}]}`, codeCannotCreateIndex, "$nor"},
		{`{"createIndexes":"c","indexes":[{"key":{"a":1,"b":1},"name":"a","expireAfterSeconds":1}]}`, codeCannotCreateIndex, "TTL"},
		{`{"createIndexes":"c","indexes":[{"key":{"s":1},"name":"sparse"}]}`, codeIndexKeySpecs, "sparse"},
		{`{"createIndexes":"c","indexes":[{"key":{"s":1},"name":"other","sparse":true}]}`, codeIndexOptions, "sparse"},
		{`{"createIndexes":"c","indexes":[{"key":{"s":1},"name":"sparse","sparse":true,"expireAfterSeconds":5}]}`, codeIndexOptions, "sparse"},
		{`{"dropIndexes":"c","index":"nope"}`, codeIndexNotFound, "nope"},
		{`{"dropIndexes":"c","index":"_id_"}`, codeInvalidOptions, "_id"},
		{`{"dropIndexes":"nope","index":"*"}`, codeNamespaceNotFound, "nope"},
		{`{"listIndexes":"nope"}`, codeNamespaceNotFound, "nope"},
	}
	for _, tt := range tests {
		t.Run(tt.command, func(t *testing.T) {
			err := c.Database().RunCommand(t.Context(), doc(t, tt.command)).Err()
			wantCode(t, "refusal", err, tt.want)
			if err != nil && !strings.Contains(err.Error(), tt.named) {
				t.Errorf("%v does not name %q", err, tt.named)
			}
			// Programs log the text alone: it must say which database lacks the feature.
			if tt.want == codeNotImplemented && !strings.Contains(fmt.Sprint(err), notHere) {
				t.Errorf("%v does not say that the embedded database refuses", err)
			}
		})
	}
	if got := all(t, c, D{}); len(got) != 1 {
		t.Errorf("a refused command has written: %v", got)
	}
}

// TestLoginSaysThatThereAreNoUsers connects as a driver does whose connection string has a user.
func TestLoginSaysThatThereAreNoUsers(t *testing.T) {
	s := start(t)
	for _, mechanism := range []string{"", "SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN"} {
		login := options.Credential{AuthMechanism: mechanism, Username: "ada", Password: "secret"}
		client := dial(t, options.Client().ApplyURI(s.URI()).SetDialer(s).SetAuth(login))
		err := client.Database("test").RunCommand(t.Context(), D{{Key: "ping", Value: 1}}).Err()
		if err == nil || !strings.Contains(err.Error(), "has no users; connect without a user and a password") {
			t.Errorf("%q: %v", mechanism, err)
		}
	}
}

// TestUnsupportedStatementsAreRefused checks that an unsupported statement of a batch is a write
// error.
func TestUnsupportedStatementsAreRefused(t *testing.T) {
	c := fresh(t)
	insertAll(t, c, D{{Key: "_id", Value: 1}, {Key: "a", Value: A{1}}})
	tests := []struct {
		command string
		want    code
	}{
		{`{"update":"c","updates":[{"q":{},"u":{"$set":{"_id":2}}}]}`, codeImmutableField},
		{`{"update":"c","updates":[{"q":{},"u":{"$foo":{"a":2}}}]}`, codeFailedToParse},
		{`{"update":"c","updates":[{"q":{},"u":{"$bit":{"a":{"or":2}}}}]}`, codeNotImplemented},
		{`{"update":"c","updates":[{"q":{},"u":{"$mul":{"a":2}}}]}`, codeTypeMismatch},
		{`{"update":"c","updates":[{"q":{},"u":{"$rename":{"a.0":"b"}}}]}`, codeBadValue},
		{`{"update":"c","updates":[{"q":{"_id":{"$in":[1,2]}},"u":{"$set":{"_id":{"$x":2}}},"upsert":true,"multi":false}]}`, codeImmutableField},
		{`{"update":"c","updates":[{"q":{"_id":5},"u":{"_id":{"$a":1}},"upsert":true}]}`, codeImmutableField},
		{`{"update":"c","updates":[{"q":{"_id":9,"_id.x":1},"u":{"$set":{"a":1}},"upsert":true}]}`, codeNotSingleValue},
		{`{"update":"c","updates":[{"q":{"_id.x":1},"u":{"a":1},"upsert":true}]}`, codeNotExactValue},
		{`{"update":"c","updates":[{"q":{"$and":[{"a":7},{"a":8}]},"u":{"$set":{"b":1}},"upsert":true}]}`, codeNotSingleValue},
		{`{"update":"c","updates":[{"q":{"a":7,"a.b":1},"u":{"$set":{"b":1}},"upsert":true}]}`, codeNotSingleValue},
		{`{"insert":"c","documents":[{"_id":{"$a":1}}]}`, codeDollarField},
		{`{"insert":"c","documents":[{"_id":{"a":[{"b":{"$c":1}}]}}]}`, codeDollarField},
		{`{"update":"c","updates":[{"q":{"$foo":1},"u":{"$set":{"a":2}}}]}`, codeBadValue},
		{`{"update":"c","updates":[{"q":{},"u":{"a":2},"multi":true}]}`, codeFailedToParse},
		{`{"update":"c","updates":[{"q":{},"u":{"$set":{"a":2}},"arrayFilters":[{"x":1}]}]}`, codeNotImplemented},
		{`{"update":"c","updates":[{"q":{},"u":{"$set":{"a":2}},"foo":1}]}`, codeUnknownField},
		{`{"update":"c","updates":[{"u":{"$set":{"a":2}}}]}`, codeMissingField},
		{`{"delete":"c","deletes":[{"limit":0}]}`, codeMissingField},
		{`{"delete":"c","deletes":[{"q":{},"limit":2}]}`, codeFailedToParse},
		{`{"delete":"c","deletes":[{"q":{},"limit":0,"collation":{"locale":"en"}}]}`, codeNotImplemented},
		{`{"insert":"c","documents":[{"_id":[1]}]}`, codeBadValue},
		{`{"insert":"c","documents":[{"_id":1}]}`, codeDuplicateKey},
	}
	for _, tt := range tests {
		var answer struct {
			N           int
			WriteErrors []struct{ Code int32 }
		}
		raw, _ := c.Database().RunCommand(t.Context(), doc(t, tt.command)).Raw()
		_ = bson.Unmarshal(raw, &answer)
		if len(answer.WriteErrors) != 1 || code(answer.WriteErrors[0].Code) != tt.want {
			t.Errorf("%s: %+v, want code %d", tt.command, answer, tt.want)
		}
	}
	if got := all(t, c, D{}); !reflect.DeepEqual(got, []string{`{"_id":1,"a":[1]}`}) {
		t.Errorf("a refused statement has written: %v", got)
	}
}

func TestTransactionsAreRefused(t *testing.T) {
	c := fresh(t)
	err := c.Database().Client().UseSession(t.Context(), func(ctx context.Context) error {
		if err := mongo.SessionFromContext(ctx).StartTransaction(); err != nil {
			return err
		}
		_, err := c.InsertOne(ctx, D{{Key: "_id", Value: 1}})
		return err
	})
	wantCode(t, "insert in a transaction", err, codeIllegalOperation)
	if got := all(t, c, D{}); len(got) != 0 {
		t.Errorf("written all the same: %v", got)
	}
}
