package embedded

import (
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/wiremessage"
)

// TestOldQueriesFail checks the answers to OP_QUERY, which PyMongo 3 still sends for a cursor of
// the type EXHAUST, and the Java driver 3.6 for all commands of its handshake. A client takes a document without the flag QueryFailure for one that it found.
func TestOldQueriesFail(t *testing.T) {
	for _, tt := range []struct {
		collection, query string
		flags             wiremessage.ReplyFlag
		want              string
	}{
		{"test.$cmd", `{"isMaster":1}`, wiremessage.AwaitCapable, `"ok":1.0`},
		{"admin.$cmd", `{"buildinfo":1}`, wiremessage.AwaitCapable, `"version":"7.`},
		{"admin.$cmd", `{"saslStart":1,"mechanism":"PLAIN"}`, wiremessage.AwaitCapable, `"code":18`},
		{"test.$cmd", `{"find":"c"}`, wiremessage.AwaitCapable, `"code":352,"errmsg":"Unsupported OP_QUERY command: find.`},
		{"test.c", `{"a":1}`, wiremessage.AwaitCapable | wiremessage.QueryFailure, `{"$err":"OP_QUERY is not supported.`},
		{"test.c", `{"$query":{"isMaster":1}}`, wiremessage.AwaitCapable | wiremessage.QueryFailure, `"code":352`},
	} {
		body := append(make([]byte, 4), tt.collection...)
		body = append(append(body, make([]byte, 1+8)...), rawDoc(t, tt.query)...)
		m, err := parseMessage(7, opQuery, body)
		var answer document
		if err != nil {
			answer = errorAnswer(err)
		} else {
			answer = start(t).answer(m, 1)
		}
		_, _, to, op, reply, _ := wiremessage.ReadHeader(m.encode(answer))
		flags, reply, _ := wiremessage.ReadReplyFlags(reply)
		found, _, ok := bsoncore.ReadDocument(reply[16:]) // after the cursor, the start and the number of documents
		if to != 7 || op != wiremessage.OpReply || flags != tt.flags || !ok || !strings.Contains(asJSON(found), tt.want) {
			t.Errorf("%s %s: an answer to %d, %v, flags %v: %s", tt.collection, tt.query, to, op, flags, found)
		}
	}
}
