package embedded

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

const (
	maxConnections = 1000
	answerTimeout  = time.Minute // for the client to take one answer
	messageTimeout = time.Minute // for one message to arrive, once it has begun
)

var errTooManyConnections = fmt.Errorf("more than %d connections", maxConnections)

var lastConnection atomic.Int32

// serve gives conn a goroutine, or closes it with an error.
func (s *Server) serve(conn net.Conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		_ = conn.Close()
		return net.ErrClosed
	case len(s.conns) >= maxConnections:
		_ = conn.Close()
		return errTooManyConnections
	}
	s.conns[conn] = true
	s.work.Go(func() {
		err := s.converse(conn, lastConnection.Add(1))
		_ = conn.Close()
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
		if !errors.Is(err, io.EOF) && s.ctx.Err() == nil {
			s.log.Debug("connection ended", "err", err)
		}
	})
	return nil
}

// converse answers messages one by one until the connection ends. A client may be
// idle for as long as it likes, but not in the middle of a message.
func (s *Server) converse(conn net.Conn, id int32) error {
	in := bufio.NewReaderSize(conn, 16<<10)
	for {
		_ = conn.SetReadDeadline(time.Time{})
		if _, err := in.Peek(1); err != nil {
			return err
		}
		_ = conn.SetReadDeadline(time.Now().Add(messageTimeout))
		m, err := readMessage(in)
		var bad *failure
		if err != nil && !errors.As(err, &bad) {
			return err
		}
		var answer document
		if bad != nil {
			answer = refusal(bad)
		} else {
			answer = s.answer(m, id)
		}
		if m.oneWay {
			continue
		}
		_ = conn.SetWriteDeadline(time.Now().Add(answerTimeout))
		if _, err := conn.Write(m.encode(answer)); err != nil {
			return err
		}
	}
}

// answer runs one command. Whatever goes wrong becomes an answer.
func (s *Server) answer(m *message, connection int32) (answer document) {
	err := s.file.faults.run(func() (err error) {
		answer, err = s.execute(m, connection)
		return err
	})
	if err != nil {
		return refusal(err)
	}
	return answer
}
