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

// ErrLocked means that another process, or another Server of this process, has the file open.
var ErrLocked = errors.New("database file is in use by another process")

// errClosing is the cause of the contexts that Close cancels.
var errClosing = errors.New("server is closing")

const (
	lockWait            = 1500 * time.Millisecond // for another process that is closing the file
	mmapSize            = 256 << 20               // bytes of address space, not of memory; a growing map blocks all readers
	maintenanceInterval = time.Minute
	acceptRetry         = 100 * time.Millisecond
)

// Options configure a Server. Only File has no default.
type Options struct {
	File   string // bbolt's file; created with mode 0600 if it is missing; its folder must exist
	Listen string // loopback TCP endpoint to serve in addition, such as "127.0.0.1:27018"; default none
	NoSync bool   // answer before the data is safe from a power failure; only for tests

	// Log never gets a document; default none.
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

	ctx    context.Context // canceled by Close
	cancel context.CancelCauseFunc
	work   sync.WaitGroup // every goroutine of the server

	mu     sync.Mutex
	conns  map[net.Conn]bool
	lastID int32 // of a connection, as hello reports it
	closed bool
	socket *socket // nil without ListenSocket

	shut func() error // closes once
}

// Start opens the file and serves it until Close. If another process has the file open, Start
// returns ErrLocked within two seconds.
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
	s := &Server{log: o.Log, file: file, listener: listener, budget: newBudget(maxListenBytes), conns: map[net.Conn]bool{}}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.writer = &writer{file: file}
	s.work.Go(s.maintain)
	if listener != nil {
		s.work.Go(func() { s.accept(listener) })
	}
	s.shut = sync.OnceValue(s.close)
	return s, nil
}

// listen accepts only loopback endpoints, because there is no authentication.
func listen(endpoint string) (net.Listener, error) {
	if endpoint == "" {
		return nil, nil
	}
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil {
		return nil, fmt.Errorf("listen endpoint: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("listen endpoint %q is not loopback, and the embedded database has no authentication", endpoint)
	}
	return net.Listen("tcp", endpoint)
}

// URI returns the connection string for the driver. Without Options.Listen its host does not
// exist, and the driver must use Exchange or DialContext.
func (s *Server) URI() string {
	if s.listener == nil {
		return SocketURI
	}
	return "mongodb://" + s.listener.Addr().String() + "/?directConnection=true"
}

// Addr returns the TCP endpoint of Options.Listen, or nil without it.
func (s *Server) Addr() net.Addr {
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// DialContext connects inside the process and ignores the endpoint. With it, a Server is the
// ContextDialer for a driver's ClientOptions.SetDialer. It is for tests that break connections;
// Exchange costs less.
func (s *Server) DialContext(context.Context, string, string) (net.Conn, error) {
	client, server := newPipe()
	if err := s.serve(server, nil); err != nil {
		return nil, err
	}
	return client, nil
}

func (s *Server) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		switch {
		case s.ctx.Err() != nil:
			return
		case err != nil: // mostly a temporary lack of file descriptors
			s.log.LogAttrs(s.ctx, slog.LevelWarn, "accepting a connection failed", slog.Any("err", err))
			time.Sleep(acceptRetry)
			continue
		}
		if err := s.serve(conn, s.budget); err != nil {
			s.log.LogAttrs(s.ctx, slog.LevelWarn, "connection refused", slog.Any("err", err))
		}
	}
}

// Close ends all connections, finishes the running write, and closes the file. Waiting commands
// fail. Further calls return the result of the first. Disconnect clients before Close: a
// driver that is still connected searches for the server until its server selection timeout.
func (s *Server) Close() error { return s.shut() }

func (s *Server) close() error {
	s.cancel(errClosing)
	if s.listener != nil {
		_ = s.listener.Close()
	}
	s.mu.Lock()
	s.closed = true
	s.socket.remove() // while the file is locked
	for conn := range s.conns {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
	return s.file.close()
}

// maintain closes idle cursors and removes expired documents.
func (s *Server) maintain() {
	tick := time.NewTicker(maintenanceInterval)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			s.cursors.expire(now)
			_ = s.file.writable() // probes, and logs the result, even if no client pings
			if n, err := s.sweep(now); err != nil && s.ctx.Err() == nil {
				s.log.LogAttrs(s.ctx, slog.LevelError, "removing expired documents failed", slog.Any("err", err))
			} else if n > 0 {
				s.log.LogAttrs(s.ctx, slog.LevelDebug, "expired documents removed", slog.Int("count", n))
			}
		case <-s.ctx.Done():
			return
		}
	}
}
