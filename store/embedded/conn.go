package embedded

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"
)

const (
	maxConnections = 1000
	answerTimeout  = time.Minute // for the client to read one answer
	messageTimeout = time.Minute // from the first byte of a message to its last
)

var errTooManyConnections = errors.New("too many connections")

// serve starts a goroutine for conn, or closes conn and returns an error. Connections at
// Options.Listen have a budget; connections of the process have none.
func (s *Server) serve(conn net.Conn, b *budget) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		_ = conn.Close()
		return net.ErrClosed
	case b == nil && len(s.conns)-s.budget.connections >= maxConnections, b != nil && b.connections >= maxListenConnections:
		_ = conn.Close()
		return errTooManyConnections
	}
	s.conns[conn] = true
	s.lastID++
	id := s.lastID
	if b != nil {
		b.connections++
	}
	s.work.Go(func() {
		mine := &share{budget: b}
		err := s.serveMessages(conn, id, mine)
		_ = conn.Close()
		mine.release()
		s.mu.Lock()
		delete(s.conns, conn)
		if b != nil {
			b.connections--
		}
		s.mu.Unlock()
		if !errors.Is(err, io.EOF) && s.ctx.Err() == nil {
			s.log.LogAttrs(s.ctx, slog.LevelDebug, "connection ended", slog.Any("err", err))
		}
	})
	return nil
}

// serveMessages answers messages one by one until the connection ends. A client may be
// idle without a limit between two messages, and not within one.
func (s *Server) serveMessages(conn net.Conn, id int32, mine *share) error {
	in := bufio.NewReaderSize(conn, 16<<10)
	for {
		mine.release()
		_ = conn.SetReadDeadline(time.Time{})
		if _, err := in.Peek(1); err != nil {
			return err
		}
		_ = conn.SetReadDeadline(time.Now().Add(messageTimeout))
		m, err := readMessage(s.ctx, in, mine)
		bad, refused := errors.AsType[*failure](err)
		if err != nil && !refused {
			return err
		}
		var answer document
		if refused {
			answer = errorAnswer(bad)
		} else {
			answer = s.answerWithinBudget(mine, m, id)
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

// answerWithinBudget runs one command when the budget has room for the largest possible answer.
// The share then holds the actual answer until the caller has written it.
func (s *Server) answerWithinBudget(mine *share, m *message, connection int32) document {
	if mine.budget == nil {
		return s.answer(m, connection)
	}
	taken := mine.held
	if name := firstKey(m.body); commands[name].access == reads || strings.EqualFold(name, "findAndModify") {
		const largest = 2 * maxBatchBytes // a batch or a document, and its encoded copy
		if err := mine.resizeInOrder(s.ctx, taken+largest); err != nil {
			return errorAnswer(fail(codeMemoryLimit, "no room for an answer: %v", err))
		}
	}
	answer := s.answer(m, connection)
	if err := mine.resize(s.ctx, taken+2*len(answer)); err != nil { // encode copies it
		return errorAnswer(fail(codeMemoryLimit, "no room for the answer: %v", err))
	}
	return answer
}

// answer runs one command. Errors and panics become answers.
func (s *Server) answer(m *message, connection int32) document {
	answer, err := s.run(s.ctx, m, connection)
	if err != nil {
		return errorAnswer(err)
	}
	return answer
}

// run runs one command. Panics become errors.
func (s *Server) run(ctx context.Context, m *message, connection int32) (answer document, err error) {
	err = s.file.faults.run(func() (err error) {
		answer, err = s.execute(ctx, m, connection)
		return err
	})
	return answer, err
}
