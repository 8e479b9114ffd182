package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/wiremessage"
)

// request returns a command as a message.
func request(t *testing.T, command bson.D) []byte {
	t.Helper()
	body, err := bson.Marshal(command)
	if err != nil {
		t.Fatal(err)
	}
	_, b := wiremessage.AppendHeaderStart(nil, 7, 0, wiremessage.OpMsg)
	b = wiremessage.AppendMsgFlags(b, 0)
	b = append(wiremessage.AppendMsgSectionType(b, wiremessage.SingleDocument), body...)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	return b
}

// exchange runs a command and returns its answer.
func exchange(t *testing.T, s *Server, command bson.D) bson.M {
	t.Helper()
	sent := request(t, command)
	b, err := s.Exchange(t.Context(), sent)
	if err != nil {
		t.Fatal(err)
	}
	clear(sent) // the driver uses the memory again
	length, _, to, op, rest, ok := wiremessage.ReadHeader(b)
	if !ok || int(length) != len(b) || to != 7 || op != wiremessage.OpMsg {
		t.Fatalf("header of %x", b)
	}
	var answer bson.M
	if err := bson.Unmarshal(rest[5:], &answer); err != nil { // after the flags and the kind
		t.Fatal(err)
	}
	return answer
}

func exchangeServer(t *testing.T) *Server {
	t.Helper()
	s, err := Start(Options{File: filepath.Join(t.TempDir(), "test.db"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestExchange(t *testing.T) {
	s := exchangeServer(t)
	in := func(db string, command bson.D) bson.D { return append(command, bson.E{Key: "$db", Value: db}) }
	docs := bson.A{}
	for i := range 5 {
		docs = append(docs, bson.D{{Key: "_id", Value: i}, {Key: "odd", Value: i%2 == 1}})
	}
	if got := exchange(t, s, in("app", bson.D{{Key: "insert", Value: "c"}, {Key: "documents", Value: docs}})); got["n"] != int32(5) {
		t.Errorf("insert: %v", got)
	}
	// The cursor reads on with its filter after the memory of the first message has changed.
	got := exchange(t, s, in("app", bson.D{{Key: "find", Value: "c"}, {Key: "filter", Value: bson.D{{Key: "odd", Value: false}}}, {Key: "batchSize", Value: 1}}))
	cursor := bson.M{}
	for _, e := range got["cursor"].(bson.D) {
		cursor[e.Key] = e.Value
	}
	got = exchange(t, s, in("app", bson.D{{Key: "getMore", Value: cursor["id"]}, {Key: "collection", Value: "c"}}))
	for _, e := range got["cursor"].(bson.D) {
		cursor[e.Key] = e.Value
	}
	if next := cursor["nextBatch"].(bson.A); len(next) != 2 {
		t.Errorf("the rest of the cursor: %v", next)
	}
	if got := exchange(t, s, in("app", bson.D{{Key: "nonsense", Value: 1}})); got["code"] != int32(codeCommandNotFound) {
		t.Errorf("unknown command: %v", got)
	}
	if got := exchange(t, s, in("a b", bson.D{{Key: "find", Value: "c"}})); got["code"] != int32(codeInvalidNamespace) {
		t.Errorf("wrong database: %v", got)
	}
}

func TestExchangeRefusesWhatIsNoMessage(t *testing.T) {
	s := exchangeServer(t)
	ping := request(t, bson.D{{Key: "ping", Value: 1}, {Key: "$db", Value: "app"}})
	opcode := append([]byte{}, ping...)
	opcode[12]++
	for name, b := range map[string][]byte{"empty": nil, "short": ping[:15], "cut": ping[:len(ping)-1], "longer": append(append([]byte{}, ping...), 0), "opcode": opcode} {
		if answer, err := s.Exchange(t.Context(), b); err == nil {
			t.Errorf("%s: %x", name, answer)
		}
	}
}

func TestExchangeEndsWithItsContext(t *testing.T) {
	s := exchangeServer(t)
	stop := make(chan struct{})
	held := make(chan struct{})
	go func() { // holds the writer
		_, _ = s.writer.do(context.Background(), func(*txn) ([]byte, error) { close(held); <-stop; return nil, nil })
	}()
	<-held
	ctx, cancel := context.WithCancel(t.Context())
	answered := make(chan error)
	go func() {
		_, err := s.Exchange(ctx, request(t, bson.D{{Key: "insert", Value: "c"}, {Key: "documents", Value: bson.A{bson.D{{Key: "_id", Value: 1}}}}, {Key: "$db", Value: "app"}}))
		answered <- err
	}()
	cancel()
	if err := <-answered; !errors.Is(err, context.Canceled) {
		t.Errorf("Exchange error = %v, want context.Canceled", err)
	}
	close(stop)
	expired, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if _, err := s.Exchange(expired, request(t, bson.D{{Key: "insert", Value: "c"}, {Key: "documents", Value: bson.A{bson.D{{Key: "_id", Value: 1}}}}, {Key: "$db", Value: "app"}})); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Exchange error = %v, want context.DeadlineExceeded", err)
	}
	if got := exchange(t, s, bson.D{{Key: "count", Value: "c"}, {Key: "$db", Value: "app"}}); got["n"] != int32(0) {
		t.Errorf("a command that its context ended has written: %v", got)
	}
}

func TestExchangeWithAClosedServer(t *testing.T) {
	s := exchangeServer(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Exchange(t.Context(), request(t, bson.D{{Key: "ping", Value: 1}, {Key: "$db", Value: "app"}})); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Exchange error = %v, want net.ErrClosed", err)
	}
}
