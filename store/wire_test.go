package store_test

import (
	"encoding/binary"
	"io"
	"net"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// wireServer is a MongoDB server that answers each command as told, over TCP, until the
// test ends.
func wireServer(t *testing.T, answer func(command string) bson.D) (address string) {
	t.Helper()
	return tcpServer(t, func(conn net.Conn) {
		for {
			id, document, legacy, err := readCommand(conn)
			if err != nil {
				return
			}
			name := "?"
			if elements, err := document.Elements(); err == nil && len(elements) > 0 {
				name = elements[0].Key()
			}
			body, err := bson.Marshal(answer(name))
			if err != nil {
				panic(err)
			}
			if _, err := conn.Write(reply(id, body, legacy)); err != nil {
				return
			}
		}
	})
}

// tcpServer calls serve with each connection and closes it afterwards.
func tcpServer(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); serve(conn) }()
		}
	}()
	return listener.Addr().String()
}

// readCommand reads an OP_MSG, or an OP_QUERY, which begins a connection
// (https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/).
func readCommand(conn io.Reader) (id uint32, document bson.Raw, legacy bool, err error) {
	header := make([]byte, 16)
	if _, err := io.ReadFull(conn, header); err != nil {
		return 0, nil, false, err
	}
	body := make([]byte, binary.LittleEndian.Uint32(header)-16)
	if _, err := io.ReadFull(conn, body); err != nil {
		return 0, nil, false, err
	}
	const flags, kind, skipAndReturn = 4, 1, 8
	start := flags + kind
	if legacy = binary.LittleEndian.Uint32(header[12:]) == 2004; legacy {
		start = flags + len("admin.$cmd") + 1 + skipAndReturn
	}
	return binary.LittleEndian.Uint32(header[4:]), body[start:], legacy, nil
}

// reply builds an OP_MSG, or an OP_REPLY with one document.
func reply(to uint32, body []byte, legacy bool) []byte {
	const opReply, opMsg = 1, 2013
	content, op := append(make([]byte, 5), body...), uint32(opMsg)
	if legacy {
		content, op = append(make([]byte, 20), body...), opReply
		content[16] = 1 // document
	}
	out := binary.LittleEndian.AppendUint32(nil, uint32(16+len(content)))
	out = binary.LittleEndian.AppendUint32(out, 1)
	out = binary.LittleEndian.AppendUint32(out, to)
	out = binary.LittleEndian.AppendUint32(out, op)
	return append(out, content...)
}

// hello is the answer of a healthy server with more elements.
func hello(more ...bson.E) bson.D {
	return append(bson.D{
		{Key: "ok", Value: 1}, {Key: "isWritablePrimary", Value: true}, {Key: "ismaster", Value: true}, {Key: "helloOk", Value: true},
		{Key: "maxBsonObjectSize", Value: 16 << 20}, {Key: "maxMessageSizeBytes", Value: 48_000_000}, {Key: "maxWriteBatchSize", Value: 1000},
		{Key: "minWireVersion", Value: 0}, {Key: "maxWireVersion", Value: 21}, {Key: "saslSupportedMechs", Value: bson.A{"SCRAM-SHA-256"}},
	}, more...)
}

// refusedBy is the answer to a failed command.
func refusedBy(code int32, name, text string) bson.D {
	return bson.D{{Key: "ok", Value: 0}, {Key: "code", Value: code}, {Key: "codeName", Value: name}, {Key: "errmsg", Value: text}}
}
