package embedded

import (
	"reflect"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// TestToolCommands replays, in order, the commands that mongodump, mongoexport, mongorestore, mongosh
// and the Java driver 3.6 sent to this package in November 2026, without their sessions and client descriptions.
func TestToolCommands(t *testing.T) {
	c := fresh(t)
	users := c.Database().Collection("users")
	insertAll(t, users, D{{Key: "_id", Value: 1}, {Key: "email", Value: "e1"}}, D{{Key: "_id", Value: 2}, {Key: "email", Value: "e2"}})
	for _, tt := range []struct {
		tool, command string
		want          code // 0 = success
	}{
		{"mongosh --apiVersion 1", `{"hello":1,"backpressure":"2","helloOk":true,"compression":["none"],"apiVersion":"1"}`, 0},
		{"mongosh --apiVersion 1", `{"find":"users","filter":{},"apiVersion":"1"}`, 0},
		{"mongosh --apiStrict", `{"aggregate":"users","pipeline":[{"$match":{}},{"$group":{"_id":1,"n":{"$sum":1}}}],"cursor":{},"apiVersion":"1","apiStrict":true,"apiDeprecationErrors":true}`, 0},
		{"Java", `{"findandmodify":"users","query":{"_id":1},"fields":{"_id":1},"update":{"$set":{"email":"e1"}}}`, 0},
		{"mongosh", `{"getParameter":"foo"}`, codeCommandNotFound},
		{"mongodump", `{"atlasVersion":1}`, codeCommandNotFound},
		{"mongodump", `{"listCollections":1,"filter":{},"cursor":{}}`, 0},
		{"mongodump", `{"listIndexes":"users","cursor":{}}`, 0},
		{"mongodump", `{"count":"users"}`, 0},
		{"mongodump", `{"find":"users","filter":{},"hint":{"$natural":1}}`, 0},
		{"mongoexport", `{"find":"users","filter":{},"hint":{"$natural":1},"limit":{"$numberLong":"0"},"skip":{"$numberLong":"0"}}`, 0},
		{"mongorestore", `{"drop":"users","writeConcern":{"w":"majority"}}`, 0},
		{"mongorestore", `{"create":"users","idIndex":{"key":{"_id":1},"ns":"test.users","name":"_id_"}}`, 0},
		{"mongorestore", `{"insert":"users","ordered":false,"writeConcern":{"w":"majority"},"documents":[{"_id":1,"email":"e1"},{"_id":2,"email":"e2"}]}`, 0},
		{"mongorestore", `{"createIndexes":"users","indexes":[{"key":{"email":1},"ns":"test.users","unique":true,"name":"email_1"},{"key":{"at":1},"expireAfterSeconds":60,"sparse":true,"name":"at_1","ns":"test.users"}],"ignoreUnknownIndexOptions":true}`, 0},
		{"mongorestore of an old dump", `{"createIndexes":"users","indexes":[{"key":{"b":1},"name":"b_1","safe":true}],"ignoreUnknownIndexOptions":true}`, 0},
		{"mongorestore of an old dump", `{"createIndexes":"users","indexes":[{"key":{"_id":1,"c":1},"name":"c_1","unique":true,"background":true,"dropDups":true,"sparse":false,"hidden":false}],"ignoreUnknownIndexOptions":true}`, 0},
		{"the same without the option", `{"createIndexes":"users","indexes":[{"key":{"d":1},"name":"d_1","safe":true}]}`, codeIndexSpecOption},
	} {
		err := c.Database().RunCommand(t.Context(), doc(t, tt.command)).Err()
		if tt.want != 0 {
			wantCode(t, tt.tool+": "+tt.command, err, tt.want)
		} else if err != nil {
			t.Errorf("%s: %s: %v", tt.tool, tt.command, err)
		}
	}
	if got := all(t, users, D{}, options.Find().SetSort(D{{Key: "_id", Value: 1}})); !reflect.DeepEqual(got, []string{`{"_id":1,"email":"e1"}`, `{"_id":2,"email":"e2"}`}) {
		t.Errorf("restored: %v", got)
	}
	cursor, err := users.Indexes().List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var specs []bson.D
	if err := cursor.All(t.Context(), &specs); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, spec := range specs[1:] { // the first is that of _id
		got = append(got, asJSON(spec))
	}
	want := []string{`{"v":2,"key":{"email":1},"unique":true,"name":"email_1"}`, `{"v":2,"key":{"at":1},"expireAfterSeconds":60,"sparse":true,"name":"at_1"}`, `{"v":2,"key":{"b":1},"name":"b_1"}`,
		`{"v":2,"key":{"_id":1,"c":1},"name":"c_1","unique":true}`}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("indexes\n%v, want\n%v", got, want)
	}
}
