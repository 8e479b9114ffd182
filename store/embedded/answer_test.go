package embedded

import (
	"bytes"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

func TestAnswersAreEncodedAsByTheDriver(t *testing.T) {
	empty := bson.Raw(emptyDocument)
	answer := bson.D{
		{Key: "document", Value: bson.D{{Key: "inner", Value: bson.D{}}, {Key: "raw", Value: empty}}},
		{Key: "value", Value: raw(value{Type: bsoncore.TypeString, Data: stringValue("text").Data})},
		{Key: "string", Value: "text"}, {Key: "int32", Value: int32(-1)}, {Key: "int64", Value: int64(1 << 40)},
		{Key: "double", Value: 1.0}, {Key: "bool", Value: true}, {Key: "null", Value: nil},
		{Key: "array", Value: bson.A{"a", bson.D{{Key: "b", Value: int32(1)}}, empty}}, {Key: "int", Value: 7}, {Key: "strings", Value: []string{"a"}},
	}
	want, err := bson.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := encode(answer); err != nil || !bytes.Equal(got, want) {
		t.Errorf("encode = %s, %v; the driver: %s", got, err, bson.Raw(want))
	}
	if got, err := encode(bson.D{{Key: "impossible", Value: make(chan int)}}); err == nil {
		t.Errorf("a channel is encoded as %s", got)
	}
}
