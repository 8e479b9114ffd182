package embedded

import (
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// encode returns the BSON of an answer. It writes the usual types itself, because the driver
// asks a registry for each value, and copies the documents in an answer several times.
func encode(answer bson.D) (document, error) {
	return appendFieldsOf(make([]byte, 0, 128+sizeOf(answer)), answer)
}

// sizeOf returns the size of the raw values in an answer, in bytes.
func sizeOf(answer bson.D) (size int) {
	for _, e := range answer {
		switch v := e.Value.(type) {
		case bson.D:
			size += sizeOf(v)
		case bson.Raw:
			size += len(v)
		case bson.RawValue:
			size += len(v.Value)
		}
	}
	return size
}

func appendFieldsOf(dst []byte, d bson.D) ([]byte, error) {
	start, dst := bsoncore.AppendDocumentStart(dst)
	for _, e := range d {
		switch v := e.Value.(type) {
		case bson.D:
			var err error
			if dst, err = appendFieldsOf(bsoncore.AppendHeader(dst, bsoncore.TypeEmbeddedDocument, e.Key), v); err != nil {
				return nil, err
			}
		case bson.Raw:
			dst = bsoncore.AppendDocumentElement(dst, e.Key, v)
		case bson.RawValue:
			dst = bsoncore.AppendValueElement(dst, e.Key, value{Type: bsoncore.Type(v.Type), Data: v.Value})
		case string:
			dst = bsoncore.AppendStringElement(dst, e.Key, v)
		case int32:
			dst = bsoncore.AppendInt32Element(dst, e.Key, v)
		case int64:
			dst = bsoncore.AppendInt64Element(dst, e.Key, v)
		case float64:
			dst = bsoncore.AppendDoubleElement(dst, e.Key, v)
		case bool:
			dst = bsoncore.AppendBooleanElement(dst, e.Key, v)
		case nil:
			dst = bsoncore.AppendNullElement(dst, e.Key)
		default:
			t, raw, err := bson.MarshalValue(v)
			if err != nil {
				return nil, err
			}
			dst = bsoncore.AppendValueElement(dst, e.Key, value{Type: bsoncore.Type(t), Data: raw})
		}
	}
	return bsoncore.AppendDocumentEnd(dst, start)
}
