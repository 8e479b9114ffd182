package embedded

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeBuffer bounds the unread bytes in one direction of a pipe.
const pipeBuffer = 256 << 10

// newPipe returns the two ends of a connection inside the process. Unlike net.Pipe
// it has a buffer, so that a writer does not wait for each read.
func newPipe() (client, server net.Conn) {
	there, back := newHalf(), newHalf()
	return &pipeEnd{in: back, out: there}, &pipeEnd{in: there, out: back}
}

type pipeEnd struct{ in, out *half }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "embedded" }

func (p *pipeEnd) Read(b []byte) (int, error)         { return p.in.read(b) }
func (p *pipeEnd) Write(b []byte) (int, error)        { return p.out.write(b) }
func (p *pipeEnd) LocalAddr() net.Addr                { return pipeAddr{} }
func (p *pipeEnd) RemoteAddr() net.Addr               { return pipeAddr{} }
func (p *pipeEnd) SetReadDeadline(t time.Time) error  { p.in.reader.set(p.in, t); return nil }
func (p *pipeEnd) SetWriteDeadline(t time.Time) error { p.out.writer.set(p.out, t); return nil }

func (p *pipeEnd) SetDeadline(t time.Time) error {
	_ = p.SetReadDeadline(t)
	return p.SetWriteDeadline(t)
}

func (p *pipeEnd) Close() error {
	p.in.close()
	p.out.close()
	return nil
}

// half is one direction.
type half struct {
	mu      sync.Mutex
	changed *sync.Cond // signals a change of the fields below
	buf     []byte
	closed  bool
	reader  deadline
	writer  deadline
}

func newHalf() *half {
	s := &half{}
	s.changed = sync.NewCond(&s.mu)
	return s
}

// deadline wakes the half's waiters when it passes; guarded by the half's mutex.
type deadline struct {
	timer  *time.Timer
	serial int // counts the settings; the last one is in force
	passed bool
}

func (d *deadline) set(s *half, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.serial++
	d.passed = false
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		d.passed = true
		s.changed.Broadcast()
		return
	}
	mine := d.serial
	d.timer = time.AfterFunc(left, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if d.serial == mine { // otherwise Stop came too late for an older setting
			d.passed = true
			s.changed.Broadcast()
		}
	})
}

func (s *half) read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.reader.passed:
			return 0, os.ErrDeadlineExceeded
		case len(s.buf) > 0:
			n := copy(b, s.buf)
			if s.buf = s.buf[n:]; len(s.buf) == 0 {
				s.buf = nil
			}
			s.changed.Broadcast()
			return n, nil
		case s.closed:
			return 0, io.EOF
		case len(b) == 0:
			return 0, nil
		}
		s.changed.Wait()
	}
}

func (s *half) write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	written := 0
	for {
		switch room := pipeBuffer - len(s.buf); {
		case s.closed:
			return written, io.ErrClosedPipe
		case s.writer.passed:
			return written, os.ErrDeadlineExceeded
		case len(b) == 0:
			return written, nil
		case room > 0:
			n := min(room, len(b))
			s.buf = append(s.buf, b[:n]...)
			b, written = b[n:], written+n
			s.changed.Broadcast()
			continue
		}
		s.changed.Wait()
	}
}

func (s *half) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.changed.Broadcast()
}
