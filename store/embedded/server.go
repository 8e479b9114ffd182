package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// ErrLocked means that another process, or another Server of this one, has the file open.
var ErrLocked = errors.New("database file is in use by another process, which must stop first")

// errClosing is the cause of every context that Close ends.
var errClosing = errors.New("server is closing")

const (
	lockWait     = 1500 * time.Millisecond // for a file that another process is about to let go
	mmapSize     = 256 << 20               // bytes of address space, not memory: growing the map stops all readers
	janitorEvery = time.Minute
	acceptRetry  = 100 * time.Millisecond
)

// Options configure a Server. Only File has no default.
type Options struct {
	File   string // of bbolt, made with mode 0600 when it is not there; its folder must exist
	Listen string // loopback TCP address to serve as well, such as "127.0.0.1:27018"; default none
	NoSync bool   // answer before the data is safe from a power failure: for tests only

	// Log gets what is the server's own to report, never a document; default none.
	Log *slog.Logger
}

// Server is a running database. It is safe for concurrent use.
type Server struct {
	log      *slog.Logger
	file     *datafile
	writer   *writer
	cursors  cursors
	listener net.Listener // nil without Options.Listen
	budget   *budget      // of the connections there
	started  time.Time

	ctx    context.Context // ends with Close
	cancel context.CancelCauseFunc
	work   sync.WaitGroup // every goroutine of the server

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool

	closeOnce sync.Once
	closeErr  error
}

// Start opens the file and serves it until Close. Within two seconds it returns
// ErrLocked when somebody else has the file.
func Start(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	listener, err := listen(o.Listen)
	if err != nil {
		return nil, err
	}
	file, err := openFile(o)
	if err != nil {
		if listener != nil {
			_ = listener.Close()
		}
		return nil, fmt.Errorf("opening %s: %w", o.File, err)
	}
	s := &Server{log: o.Log, file: file, listener: listener, budget: newBudget(maxListenBytes), started: time.Now(), conns: map[net.Conn]bool{}}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.writer = &writer{file: file, log: o.Log, jobs: make(chan *job)}
	s.work.Go(func() { s.writer.loop(s.ctx) })
	s.work.Go(s.janitor)
	if listener != nil {
		s.work.Go(s.accept)
	}
	return s, nil
}

// listen refuses everything but loopback: there is no authentication.
func listen(address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen address: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("listen address %q is not loopback, and the embedded database has no authentication", address)
	}
	return net.Listen("tcp", address)
}

// URI is what to give the driver. Without a port it only works together with
// DialContext: the host in it is nobody's.
func (s *Server) URI() string {
	host := "embedded.invalid"
	if s.listener != nil {
		host = s.listener.Addr().String()
	}
	return "mongodb://" + host + "/?directConnection=true"
}

// Addr is the TCP address that Options.Listen asked for, nil without.
func (s *Server) Addr() net.Addr {
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// DialContext connects inside the process, whatever the address. It makes a Server
// the ContextDialer of a driver's ClientOptions.SetDialer.
func (s *Server) DialContext(context.Context, string, string) (net.Conn, error) {
	client, server := newPipe()
	if err := s.serve(server, nil); err != nil {
		return nil, err
	}
	return client, nil
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		switch {
		case s.ctx.Err() != nil:
			return
		case err != nil: // out of file descriptors, mostly: it passes
			s.log.Warn("accepting a connection", "err", err)
			time.Sleep(acceptRetry)
			continue
		}
		if err := s.serve(conn, s.budget); err != nil {
			s.log.Warn("connection refused", "err", err)
		}
	}
}

// Close ends all connections, finishes the write that is running, and closes the
// file. Commands that still waited are not done. Further calls give the first one's
// result. Disconnect clients before: afterwards a driver looks for its server for as
// long as its server selection timeout.
func (s *Server) Close() error {
	s.closeOnce.Do(func() {
		s.cancel(errClosing)
		if s.listener != nil {
			_ = s.listener.Close()
		}
		s.mu.Lock()
		s.closed = true
		for conn := range s.conns {
			_ = conn.Close()
		}
		s.mu.Unlock()
		s.work.Wait()
		s.closeErr = s.file.close()
	})
	return s.closeErr
}

// janitor closes idle cursors and removes expired documents.
func (s *Server) janitor() {
	tick := time.NewTicker(janitorEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			s.cursors.expire(now)
			_ = s.file.writable() // logged there; a server that no client pings finds out as well
			if n, err := s.sweep(now); err != nil && s.ctx.Err() == nil {
				s.log.Error("removing expired documents", "err", err)
			} else if n > 0 {
				s.log.Debug("removed expired documents", "count", n)
			}
		case <-s.ctx.Done():
			return
		}
	}
}
