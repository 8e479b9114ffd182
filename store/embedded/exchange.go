package embedded

import (
	"bytes"
	"context"
	"fmt"
	"net"

	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/wiremessage"
)

// Exchange runs the command in one message of MongoDB's protocol on the caller's goroutine, and
// returns the message that answers it. A client in the same process needs no connection for it,
// and no goroutine has to wake up another one. An error of the command is an answer. Exchange
// itself fails if the Server is closed, if request is no command, or if ctx ended the command
// before it wrote anything.
func (s *Server) Exchange(ctx context.Context, request []byte) ([]byte, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.work.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(errClosing) })()
	length, id, _, op, body, ok := wiremessage.ReadHeader(request)
	if !ok || int(length) != len(request) || length > maxMessage {
		return nil, fmt.Errorf("message of %d bytes", len(request))
	}
	m, err := parseMessage(id, op, bytes.Clone(body)) // a cursor keeps its filter
	if m == nil {
		return nil, err
	}
	var answer document
	if err == nil {
		answer, err = s.run(ctx, m, 0)
	}
	if cause := context.Cause(ctx); err != nil && cause != nil && cause != errClosing {
		return nil, cause
	}
	if err != nil {
		answer = errorAnswer(err)
	}
	if m.oneWay {
		return nil, nil
	}
	return m.encode(answer), nil
}

// enter counts the caller among the work that Close waits for.
func (s *Server) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.work.Add(1)
	return nil
}
