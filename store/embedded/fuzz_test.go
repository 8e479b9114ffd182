package embedded

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// frame returns an OP_MSG with one body.
func frame(tb testing.TB, body any) []byte {
	tb.Helper()
	d, err := bson.Marshal(body)
	if err != nil {
		tb.Fatal(err)
	}
	m := &message{id: 1}
	return m.encode(d)
}

// seeds returns one command of every kind.
func seeds(tb testing.TB) [][]byte {
	var all [][]byte
	for _, json := range []string{
		`{"hello":1,"$db":"a"}`,
		`{"insert":"c","$db":"a","documents":[{"_id":1,"a":[1,{"b":2}]},{"_id":{"$numberDecimal":"1.5"},"a":{"$date":"2026-01-01T00:00:00Z"}}]}`,
		`{"createIndexes":"c","$db":"a","indexes":[{"key":{"a":1,"b.c":-1},"name":"x","unique":true,"partialFilterExpression":{"a":{"$gt":0}}}]}`,
		`{"find":"c","$db":"a","filter":{"a.b":{"$gte":1},"$or":[{"_id":1},{"x":{"$regex":"a+b","$options":"i"}}]},"sort":{"a":1,"b":-1},"projection":{"a.b":1},"limit":3}`,
		`{"find":"c","$db":"a","filter":{"a":{"$in":[1,2,null]},"b":{"$ne":2},"c":{"$exists":false},"d":{"$type":["string",2]}}}`,
		`{"find":"c","$db":"a","filter":{"a":{"$nin":[1,{"$regularExpression":{"pattern":"^x","options":"i"}}]},"b":{"$not":{"$gt":1}},"$nor":[{"c":1}]}}`,
		`{"find":"c","$db":"a","filter":{"a":{"$all":[1,{"$regularExpression":{"pattern":"^x","options":""}}]},"b":{"$elemMatch":{"x":1,"$or":[{"y":2}]}},"c":{"$size":2,"$mod":[4,1]}}}`,
		`{"update":"c","$db":"a","updates":[{"q":{"_id":1},"u":{"$set":{"a.5":1},"$inc":{"n":1},"$push":{"l":{"$each":[3,1],"$slice":-2,"$position":-1}},"$pull":{"m":{"x":{"$gt":1}}}},"upsert":true,"multi":true}]}`,
		`{"update":"c","$db":"a","updates":[{"q":{"a":1},"u":{"b":1},"upsert":true}]}`,
		`{"update":"c","$db":"a","updates":[{"q":{"_id":1},"u":{"$mul":{"n":2},"$rename":{"a":"b.c"},"$currentDate":{"d":true,"e":{"$type":"timestamp"}},"$pull":{"m":{"$in":[1]}}}}]}`,
		`{"delete":"c","$db":"a","deletes":[{"q":{"a":{"$lt":1}},"limit":1}]}`,
		`{"findAndModify":"c","$db":"a","query":{"a":1},"sort":{"b":-1},"update":{"$inc":{"a":2},"$max":{"c":1},"$min":{"i":1},"$unset":{"d":1},"$addToSet":{"e":1},"$pullAll":{"f":[1]},"$pop":{"g":1},"$setOnInsert":{"h":1}},"upsert":true,"new":true}`,
		`{"aggregate":"c","$db":"a","pipeline":[{"$match":{"a":1}},{"$skip":1},{"$limit":2},{"$group":{"_id":1,"n":{"$sum":1}}}],"cursor":{"batchSize":1}}`,
		`{"aggregate":"c","$db":"a","pipeline":[{"$match":{"a":1}},{"$sort":{"a":-1}},{"$skip":1},{"$limit":2},{"$project":{"a":1}},{"$count":"n"}],"cursor":{"batchSize":1}}`,
		`{"explain":{"find":"c","filter":{"a":1}},"$db":"a"}`,
		`{"getMore":{"$numberLong":"1"},"collection":"c","$db":"a"}`,
		`{"dropIndexes":"c","index":"*","$db":"a"}`,
		`{"listCollections":1,"filter":{"name":"c"},"$db":"a"}`,
	} {
		all = append(all, frame(tb, doc(tb, json)))
	}
	return all
}

// FuzzWire sends arbitrary bytes to a connection. The server must continue to serve others,
// and its documents must stay readable.
func FuzzWire(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Add(bytes.Join(seeds(f), nil))
	s := start(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		// With a valid length, the server reads the rest. The ping is a second message.
		if len(b) < headerSize || len(b) > 1<<20 {
			return
		}
		b = bytes.Clone(b)
		binary.LittleEndian.PutUint32(b, uint32(len(b)))
		conn, err := s.DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		if _, err := conn.Write(append(b, frame(t, D{{Key: "ping", Value: 1}, {Key: "$db", Value: "a"}})...)); err != nil {
			return
		}
		header := make([]byte, headerSize)
		if _, err := io.ReadFull(conn, header); err == nil {
			if n := binary.LittleEndian.Uint32(header); n > maxMessage {
				t.Errorf("an answer of %d bytes", n)
			}
		} else if err != io.EOF && err != io.ErrUnexpectedEOF {
			t.Errorf("neither answer nor end: %v", err)
		}
	})
}

// FuzzDocuments runs arbitrary valid documents through filters, updates and keys.
func FuzzDocuments(f *testing.F) {
	pairs := []string{
		`{"a":[1,{"b":[2,{"c":3}]}]}`, `{"a.b.c":3}`, `{"$set":{"a.1.b.1.c":4}}`,
		`{"a":["x",null]}`, `{"a":{"$nin":[1,[2]],"$not":{"$regex":"y"}},"$nor":[{"b":1}]}`, `{"$set":{"a":1}}`,
		`{"a":["x",[1,2]]}`, `{"a":{"$all":["x",[1,2]],"$size":2,"$elemMatch":{"$mod":[2,1]}},"b":{"$all":[{"$elemMatch":{"c":1}}]}}`, `{"$set":{"a":1}}`,
		`{"a":[1,"x"],"n":3}`, `{"n":{"$mod":[2,1]}}`, `{"$mul":{"n":2.5},"$rename":{"a":"b.c"},"$pull":{"d":{"$nin":[1]}}}`,
		`{"a":[{"b":1}]}`, `{"$or":[{"a.b":1},{"c":2}]}`, `{"$push":{"a":{"$each":[1],"$position":0}}}`,
	}
	for i := 0; i < len(pairs); i += 3 {
		f.Add([]byte(rawDoc(f, pairs[i])), []byte(rawDoc(f, pairs[i+1])), []byte(rawDoc(f, pairs[i+2])))
	}
	f.Fuzz(func(t *testing.T, d, query, change []byte) {
		if validate(d) != nil || validate(query) != nil || validate(change) != nil {
			return
		}
		fl, err := compileFilter(query)
		if err == nil {
			fl.matches(d)
			c := &collection{ns: "a.c"}
			c.choose(fl, nil)
		}
		u, err := compileUpdate(documentValue(change))
		if err != nil {
			return
		}
		if after, err := u.apply(d, false); err == nil && len(after) < maxDocument && !validDocument(after, -maxDepth) {
			t.Errorf("%x\non %x\ngives invalid %x", change, d, after)
		}
		if fl != nil {
			_, _ = u.newDocument(fl)
		}
	})
}
