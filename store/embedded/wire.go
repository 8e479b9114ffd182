package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/wiremessage"
)

const (
	maxMessage = 48_000_000 // bytes; MongoDB's limit, which hello announces
	headerSize = 16

	// maxCommandExtra is how many bytes a command may exceed a document by, as in MongoDB.
	maxCommandExtra = 16 << 10

	opQuery = wiremessage.OpCode(2004) // for the first message of a driver
)

// message is one request: OP_MSG, or the OP_QUERY that is a driver's first message.
type message struct {
	id        int32
	legacy    bool // OP_QUERY, whose answer is OP_REPLY
	noCommand bool // an OP_QUERY that reads a collection; refused
	oneWay    bool // moreToCome: the client expects no answer
	body      document
	sequences map[string][]document
}

// readMessage reads one message. A *failure concerns only this message: the server answers it
// and continues. Any other error ends the connection. The message counts in mine, the
// connection's share of the memory for messages.
func readMessage(ctx context.Context, r io.Reader, mine *share) (*message, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	length, id, _, op, _, _ := wiremessage.ReadHeader(header[:])
	if length < headerSize || length > maxMessage {
		return nil, fmt.Errorf("message of %d bytes", length)
	}
	b, err := readBody(ctx, r, int(length)-headerSize, mine)
	if err != nil {
		return nil, err
	}
	return parseMessage(id, op, b)
}

// parseMessage reads the body of a message. A *failure concerns only this message.
func parseMessage(id int32, op wiremessage.OpCode, body []byte) (*message, error) {
	m := &message{id: id}
	switch op {
	case wiremessage.OpMsg:
		return m, m.parse(body)
	case opQuery:
		m.legacy = true
		return m, m.parseQuery(body)
	}
	return nil, fmt.Errorf("opcode %d is not supported", op)
}

// readBody reads n bytes. Its buffer grows with the received bytes, so that a false claim of
// 48 MB costs no memory. While the buffer grows, both the old and the new one count in mine.
func readBody(ctx context.Context, r io.Reader, n int, mine *share) ([]byte, error) {
	const step = 1 << 20
	var b []byte
	for len(b) < n {
		from := len(b)
		size := min(n, from+max(from, step))
		if err := mine.resize(ctx, from+size); err != nil {
			return nil, fmt.Errorf("message of %d bytes: %w", n, err)
		}
		b = append(make([]byte, 0, size), b...)[:size]
		if err := mine.resize(ctx, size); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(r, b[from:]); err != nil {
			return nil, fmt.Errorf("incomplete message: %w", err)
		}
	}
	return b, nil
}

func (m *message) parse(b []byte) error {
	flags, b, ok := wiremessage.ReadMsgFlags(b)
	if !ok {
		return fail(codeInvalidBSON, "OP_MSG without flags")
	}
	m.oneWay = flags&wiremessage.MoreToCome != 0
	if required := flags &^ wiremessage.MoreToCome & 0xffff; required != 0 { // a checksum among them
		return fail(codeIllegalOperation, "OP_MSG flags %#x are not supported", uint32(required))
	}
	for len(b) > 0 {
		var err error
		if b, err = m.section(b); err != nil {
			return err
		}
	}
	if m.body == nil {
		return fail(codeInvalidBSON, "OP_MSG without a body")
	}
	return nil
}

func (m *message) section(b []byte) (rest []byte, err error) {
	switch kind := b[0]; kind {
	case 0:
		d, rest, err := takeDocument(b[1:])
		if err == nil && len(d) > maxDocument+maxCommandExtra {
			err = fail(codeObjectTooLarge, "a command of %d bytes is larger than %d; send documents as a sequence", len(d), maxDocument+maxCommandExtra)
		}
		if err == nil && m.body != nil {
			err = fail(codeInvalidBSON, "OP_MSG with two bodies")
		}
		m.body = d
		return rest, err
	case 1:
		size := 0
		if len(b) >= 5 {
			size = int(int32(binary.LittleEndian.Uint32(b[1:])))
		}
		if size < 5 || size > len(b)-1 {
			return nil, fail(codeInvalidBSON, "OP_MSG document sequence has a wrong size")
		}
		return b[1+size:], m.sequence(b[5 : 1+size])
	default:
		return nil, fail(codeInvalidBSON, "OP_MSG section of unknown kind %d", kind)
	}
}

func (m *message) sequence(b []byte) error {
	end := bytes.IndexByte(b, 0)
	if end < 0 {
		return fail(codeInvalidBSON, "OP_MSG document sequence without a name")
	}
	name, list := string(b[:end]), []document{}
	for b = b[end+1:]; len(b) > 0; {
		d, rest, err := takeDocument(b)
		if err != nil {
			return err
		}
		if len(list) == maxWrites { // a document of 5 bytes takes 24 further bytes in the list
			return fail(codeInvalidLength, "OP_MSG document sequence of more than %d documents", maxWrites)
		}
		list, b = append(list, d), rest
	}
	if _, taken := m.sequences[name]; taken {
		return fail(codeInvalidBSON, "OP_MSG with two sequences %q", name)
	}
	if m.sequences == nil {
		m.sequences = map[string][]document{}
	}
	m.sequences[name] = list
	return nil
}

// takeDocument returns the first document of b, validated, and the rest of b.
func takeDocument(b []byte) (document, []byte, error) {
	n := valueSize(b, bsoncore.TypeEmbeddedDocument)
	if n < 0 || n > len(b) {
		return nil, nil, fail(codeInvalidBSON, "document longer than its message")
	}
	return b[:n], b[n:], validate(b[:n])
}

func (m *message) parseQuery(b []byte) error {
	if len(b) < 4 {
		return fail(codeInvalidBSON, "OP_QUERY too short")
	}
	collection, b, found := bytes.Cut(b[4:], []byte{0})
	if !found || len(b) < 8 {
		return fail(codeInvalidBSON, "OP_QUERY too short")
	}
	db, isCommand := strings.CutSuffix(string(collection), ".$cmd")
	m.noCommand = !isCommand
	d, _, err := takeDocument(b[8:])
	if err != nil {
		return err
	}
	if wrapped, ok := lookup(d, "$query"); ok && wrapped.Type == bsoncore.TypeEmbeddedDocument {
		d = wrapped.Data
	}
	if m.noCommand {
		return fail(codeOldQuery, "OP_QUERY is not supported. The client driver may require an upgrade.")
	}
	switch name := firstKey(d); name {
	case "hello", "isMaster", "ismaster", "buildInfo", "buildinfo", "saslStart", "saslContinue", "authenticate": // as MongoDB 7
	default:
		return fail(codeOldQuery, "Unsupported OP_QUERY command: %s. The client driver may require an upgrade.", name)
	}
	whole := newBuilder()
	for k, v := range fields(d) {
		whole.add(k, v)
	}
	whole.add("$db", stringValue(db))
	m.body = whole.document()
	return nil
}

// withOldError adds the error's text in the field that a client reads when a query failed.
func withOldError(answer document) document {
	b := newBuilder()
	if text, ok := lookup(answer, "errmsg"); ok {
		b.add("$err", text)
	}
	for k, v := range fields(answer) {
		b.add(k, v)
	}
	return b.document()
}

// encode returns the message that answers m.
func (m *message) encode(answer document) []byte {
	b := make([]byte, 0, len(answer)+64)
	if m.legacy {
		_, b = wiremessage.AppendHeaderStart(b, wiremessage.NextRequestID(), m.id, wiremessage.OpReply)
		flags := wiremessage.AwaitCapable
		if m.noCommand {
			flags |= wiremessage.QueryFailure // without it, the client takes the error for a document that it found
			answer = withOldError(answer)
		}
		b = wiremessage.AppendReplyFlags(b, flags)
		b = wiremessage.AppendReplyCursorID(b, 0)
		b = wiremessage.AppendReplyStartingFrom(b, 0)
		b = wiremessage.AppendReplyNumberReturned(b, 1)
	} else {
		_, b = wiremessage.AppendHeaderStart(b, wiremessage.NextRequestID(), m.id, wiremessage.OpMsg)
		b = wiremessage.AppendMsgFlags(b, 0)
		b = wiremessage.AppendMsgSectionType(b, wiremessage.SingleDocument)
	}
	b = append(b, answer...)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	return b
}
