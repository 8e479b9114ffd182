package storetest

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/wiremessage"
)

// ReplicaSet is a relay in front of a standalone server that plays the primary of a replica set
// with one member. It answers a command of a retryable write only once, as a replica set does: a
// repetition with the same session and number gets the first answer.
type ReplicaSet struct {
	listener net.Listener
	dial     func() (net.Conn, error)

	mu       sync.Mutex
	conns    map[net.Conn]bool
	electing bool
	script   func(command string) Failure
	counts   map[string]int
	answers  map[string]bson.Raw // of retryable writes, by session and number
}

// Failure is how a ReplicaSet answers one command. The zero Failure is the server's own answer.
type Failure struct {
	Code         int32
	After        bool // the server executes the command, and its answer is lost
	WriteConcern bool // the server executes the command, and Code is the write concern error
}

// NewReplicaSet starts a relay to the server that dial connects to. It runs until the test ends.
func NewReplicaSet(t *testing.T, dial func() (net.Conn, error)) *ReplicaSet {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &ReplicaSet{listener: listener, dial: dial, conns: map[net.Conn]bool{}, counts: map[string]int{}, answers: map[string]bson.Raw{}}
	var relays sync.WaitGroup
	relays.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			relays.Go(func() { r.relay(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		r.mu.Lock()
		for conn := range r.conns {
			_ = conn.Close()
		}
		r.conns = nil
		r.mu.Unlock()
		relays.Wait()
	})
	return r
}

// URI returns the connection string of the replica set.
func (r *ReplicaSet) URI() string {
	return "mongodb://" + r.listener.Addr().String() + "/?replicaSet=rs0"
}

// SetElection starts or ends an election. During an election there is no primary, and the
// member refuses all commands.
func (r *ReplicaSet) SetElection(electing bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.electing = electing
}

// SetScript sets the function that decides how to answer each command except hello. A nil
// function answers as the server does.
func (r *ReplicaSet) SetScript(script func(command string) Failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.script, r.counts = script, map[string]int{}
}

// Counts returns how many commands the member has received since SetScript, by name.
func (r *ReplicaSet) Counts() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counts)
}

// relay serves one connection.
func (r *ReplicaSet) relay(client net.Conn) {
	defer client.Close()
	server, err := r.dial()
	if err != nil {
		return
	}
	defer server.Close()
	r.mu.Lock()
	if r.conns == nil {
		r.mu.Unlock()
		return
	}
	r.conns[client], r.conns[server] = true, true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.conns, client)
		delete(r.conns, server)
	}()
	for {
		request, err := readWire(client)
		if err != nil {
			return
		}
		reply, err := r.answer(server, request)
		if err != nil {
			return
		}
		if _, err := client.Write(reply.encode()); err != nil {
			return
		}
	}
}

// answer returns the answer to one request.
func (r *ReplicaSet) answer(server net.Conn, request wire) (wire, error) {
	command := request.command()
	if command == "hello" || command == "isMaster" || command == "ismaster" {
		reply, err := forward(server, request)
		if err == nil {
			reply.body = r.hello(reply.body)
		}
		return reply, err
	}
	write := transactionOf(request.body)
	failure, earlier := r.receive(command, write)
	if earlier != nil {
		return request.reply(earlier), nil
	}
	if failure.Code != 0 && !failure.After && !failure.WriteConcern {
		return request.reply(failureAnswer(failure.Code, write != "")), nil
	}
	request.body = mustEncode(without(mustDecode(request.body), "txnNumber"))
	reply, err := forward(server, request)
	if err != nil {
		return reply, err
	}
	if failure.WriteConcern {
		reply.body = withWriteConcernError(reply.body, failure.Code)
	}
	if write != "" {
		r.mu.Lock()
		r.answers[write] = reply.body
		r.mu.Unlock()
	}
	if failure.After {
		reply.body = failureAnswer(failure.Code, write != "")
	}
	return reply, nil
}

// receive counts a command and returns how to answer it, or the answer to the same write before.
func (r *ReplicaSet) receive(command, write string) (Failure, bson.Raw) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[command]++
	if r.electing {
		code := int32(notWritablePrimary)
		if slices.Contains([]string{"find", "count", "aggregate", "getMore", "ping"}, command) {
			code = notPrimaryNoSecondaryOk
		}
		return Failure{Code: code}, nil
	}
	if earlier := r.answers[write]; earlier != nil {
		return Failure{}, earlier
	}
	if r.script == nil {
		return Failure{}, nil
	}
	return r.script(command), nil
}

// MongoDB's codes for a member that is not the primary (error_codes.yml).
const (
	notWritablePrimary      = 10107
	notPrimaryNoSecondaryOk = 13435
)

// hello returns the server's answer to hello with the state of the replica set.
func (r *ReplicaSet) hello(answer bson.Raw) bson.Raw {
	r.mu.Lock()
	electing := r.electing
	r.mu.Unlock()
	me := r.listener.Addr().String()
	d := mustDecode(answer)
	for _, field := range []string{"ismaster", "isWritablePrimary"} {
		d = without(d, field)
	}
	d = append(d, bson.D{
		{Key: "ismaster", Value: !electing}, {Key: "isWritablePrimary", Value: !electing}, {Key: "secondary", Value: electing},
		{Key: "setName", Value: "rs0"}, {Key: "setVersion", Value: int32(1)}, {Key: "hosts", Value: bson.A{me}}, {Key: "me", Value: me},
	}...)
	if !electing {
		d = append(d, bson.E{Key: "primary", Value: me})
	}
	return mustEncode(d)
}

// failureAnswer is the answer of a command that fails. A retryable write has the label that lets the
// driver repeat it.
func failureAnswer(code int32, retryable bool) bson.Raw {
	d := bson.D{{Key: "ok", Value: 0.0}, {Key: "errmsg", Value: "the member changes its state"}, {Key: "code", Value: code}, {Key: "codeName", Value: fmt.Sprint("Code", code)}}
	if retryable {
		d = append(d, bson.E{Key: "errorLabels", Value: bson.A{"RetryableWriteError"}})
	}
	return mustEncode(d)
}

func withWriteConcernError(answer bson.Raw, code int32) bson.Raw {
	return mustEncode(append(mustDecode(answer), bson.E{Key: "writeConcernError", Value: bson.D{
		{Key: "code", Value: code}, {Key: "codeName", Value: fmt.Sprint("Code", code)}, {Key: "errmsg", Value: "the member changes its state"}}}))
}

// transactionOf identifies a retryable write. It is empty for any other command.
func transactionOf(body bson.Raw) string {
	number, err := body.LookupErr("txnNumber")
	if err != nil {
		return ""
	}
	return body.Lookup("lsid").String() + " " + number.String()
}

func mustDecode(raw bson.Raw) bson.D {
	var d bson.D
	if err := bson.Unmarshal(raw, &d); err != nil {
		panic(err) // a driver and a server exchange only valid documents
	}
	return d
}

func mustEncode(d bson.D) bson.Raw {
	raw, err := bson.Marshal(d)
	if err != nil {
		panic(err)
	}
	return raw
}

// wire is one message: OP_MSG, or the OP_QUERY and OP_REPLY of a driver's first exchange.
type wire struct {
	id, to int32
	op     wiremessage.OpCode
	before []byte // flags and the like
	body   bson.Raw
	after  []byte // further sections
}

const (
	headerSize    = 16
	opQuery       = wiremessage.OpCode(2004)
	replySize     = 20 // bytes before the document of an OP_REPLY
	msgSize       = 5  // bytes before the document of an OP_MSG
	maxWireLength = 48_000_000
)

func readWire(from io.Reader) (wire, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(from, header[:]); err != nil {
		return wire{}, err
	}
	length, id, to, op, _, _ := wiremessage.ReadHeader(header[:])
	if length < headerSize || length > maxWireLength {
		return wire{}, fmt.Errorf("message of %d bytes", length)
	}
	b := make([]byte, length-headerSize)
	if _, err := io.ReadFull(from, b); err != nil {
		return wire{}, err
	}
	at := msgSize
	switch op {
	case opQuery:
		end := slices.Index(b[4:], 0)
		at = 4 + end + 1 + 8
	case wiremessage.OpReply:
		at = replySize
	}
	if len(b) < at+4 {
		return wire{}, fmt.Errorf("message of %d bytes without a document", length)
	}
	end := at + int(binary.LittleEndian.Uint32(b[at:]))
	return wire{id, to, op, b[:at], b[at:end], b[end:]}, nil
}

func (w wire) encode() []byte {
	_, b := wiremessage.AppendHeaderStart(nil, w.id, w.to, w.op)
	b = slices.Concat(b, w.before, w.body, w.after)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	return b
}

// command returns the name of the command.
func (w wire) command() string {
	first, err := w.body.IndexErr(0)
	if err != nil {
		return ""
	}
	return first.Key()
}

// reply returns the message with an answer that is not the server's.
func (w wire) reply(answer bson.Raw) wire {
	return wire{wiremessage.NextRequestID(), w.id, wiremessage.OpMsg, make([]byte, msgSize), answer, nil}
}

// forward sends a request to the server and returns its reply.
func forward(server net.Conn, request wire) (wire, error) {
	if _, err := server.Write(request.encode()); err != nil {
		return wire{}, err
	}
	return readWire(server)
}
