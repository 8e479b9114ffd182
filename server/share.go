package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cubegate/connectycube/sandbox/certs"
	"cubegate/server/config"
	"cubegate/store"
	"cubegate/store/embedded"
)

// socketFile returns the path of the socket at which commands use the embedded database of a
// running server.
func socketFile(cfg config.Config) string { return filepath.Join(cfg.DataDir, "cubegate.sock") }

// runningServer describes a running server to commands. The file exists while the server
// listens at the socket, and is believed only when the socket answers.
type runningServer struct {
	PID     int    `json:"pid"`
	API     string `json:"api"`     // URL
	Sandbox string `json:"sandbox"` // URL; empty without one
}

func (r runningServer) isTLS() bool { return strings.HasPrefix(r.API, "https:") }

func runningFile(cfg config.Config) string { return filepath.Join(cfg.DataDir, "running.json") }

// readRunning returns the description in DATA_DIR, or the zero value if there is none.
func readRunning(cfg config.Config) (r runningServer) {
	if info, err := os.Lstat(runningFile(cfg)); err != nil || !info.Mode().IsRegular() {
		return runningServer{}
	}
	raw, err := os.ReadFile(runningFile(cfg))
	if err != nil || json.Unmarshal(raw, &r) != nil {
		return runningServer{}
	}
	return r
}

// write replaces the description in DATA_DIR.
func (r runningServer) write(cfg config.Config) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(cfg.DataDir, ".running-*") // has mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(raw, '\n'))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), runningFile(cfg))
}

// shareDatabase lets commands use the embedded database while the server runs. A server
// that cannot, for example because its file system has no sockets, runs without.
func (s *Server) shareDatabase(ctx context.Context) {
	if s.database == nil {
		return
	}
	running := runningServer{PID: os.Getpid(), API: s.api.localURL()}
	if s.sandbox != nil {
		running.Sandbox = s.sandbox.localURL()
	}
	err := running.write(s.cfg)
	if err == nil {
		s.onClose(func(context.Context) error { return os.Remove(runningFile(s.cfg)) })
		err = s.database.ListenSocket(socketFile(s.cfg))
	}
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "commands cannot use the database while the server runs", slog.Any("err", err))
	}
}

// commandSetup is the setup of a command, which may use the database of a running server.
type commandSetup struct {
	*setup
	running *runningServer // whose database the command uses; nil: none
}

func newCommandSetup(cfg config.Config, log *slog.Logger) *commandSetup {
	return &commandSetup{setup: newSetup(cfg, log)}
}

// Waits of a command for the embedded database, which another command may use at the moment.
const (
	shareWait  = 15 * time.Second
	sharePause = 50 * time.Millisecond
)

// errNoDatabase means that there is no database to work on.
var errNoDatabase = errors.New("DATA_DIR has no database; start the server once, or set DATA_DIR to the folder of the server")

// openShared opens the store for a command. The process that has the file of the embedded
// database locked is the only one that uses it: if a server runs, the command asks it
// through its socket, and otherwise it opens the file itself. Two commands take turns.
func (s *commandSetup) openShared(ctx context.Context) error {
	if !s.cfg.HasEmbeddedDatabase() {
		return s.openStore(ctx)
	}
	if err := hasDatabase(s.cfg); err != nil { // opening would create an empty file
		return err
	}
	return s.takeTurns(ctx,
		func() error { return s.explainLoss(ctx, connectStore(ctx, s.setup, s.runningOptions())) },
		func() error { return s.openStore(ctx) })
}

// hasDatabase returns an error if DATA_DIR has no database.
func hasDatabase(cfg config.Config) error {
	if _, err := os.Stat(databaseFile(cfg)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w: %w", databaseFile(cfg), errNoDatabase, errors.Unwrap(err))
	}
	return nil
}

// takeTurns calls beside if a running server has the embedded database, and else alone, which
// opens the file. While another process has the file without listening yet, it tries again.
func (s *commandSetup) takeTurns(ctx context.Context, beside, alone func() error) error {
	for deadline := time.Now().Add(shareWait); ; {
		runs, err := s.findRunning(ctx)
		if err != nil {
			return err
		}
		if runs {
			return beside()
		}
		err = alone()
		if !errors.Is(err, embedded.ErrLocked) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(sharePause):
		}
	}
}

// findRunning reports whether a server runs that has the embedded database, and then sets
// s.running.
func (s *commandSetup) findRunning(ctx context.Context) (bool, error) {
	conn, err := s.dialRunning(ctx, "", "")
	if errors.Is(err, embedded.ErrNoSocket) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("DATA_DIR: %w", err)
	}
	_ = conn.Close()
	running := readRunning(s.cfg)
	s.running = &running
	return true, nil
}

// runningOptions returns the options for the database of the running server.
func (s *commandSetup) runningOptions() store.Options {
	o := storeOptions(s.cfg, s.log)
	o.URI, o.Dial = embedded.SocketURI, s.dialRunning
	return o
}

// dialRunning connects to the database of the running server.
func (s *commandSetup) dialRunning(ctx context.Context, _, _ string) (net.Conn, error) {
	return embedded.DialSocket(ctx, socketFile(s.cfg))
}

// explainLoss returns a clear error if the running server, whose database a command uses, is
// the reason of err.
func (s *commandSetup) explainLoss(ctx context.Context, err error) error {
	if err == nil || s.running == nil || !errors.Is(err, store.ErrUnavailable) {
		return err
	}
	conn, lost := s.dialRunning(context.WithoutCancel(ctx), "", "")
	if lost != nil {
		return fmt.Errorf("the server stopped while the command used its database; run the command again, which also finishes what is half done: %w", err)
	}
	_ = conn.Close()
	return err
}

// trustRunning returns the certificate of the authority of a running server, nil if that
// does not use TLS.
func (s *commandSetup) trustRunning() ([]byte, error) {
	if !s.running.isTLS() {
		return nil, nil
	}
	folder, err := authorityFolder(s.cfg)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(folder, certs.File))
}

// openRunningCube builds the client for a command beside a running server: of ConnectyCube,
// or of the sandbox of that server.
func (s *commandSetup) openRunningCube() error {
	o := cubeOptions(s.cfg, s.log)
	if s.cfg.HasSandbox() {
		if s.running == nil || s.running.Sandbox == "" {
			return errors.New("APP_ID: the running server has no sandbox; run the command with the settings of the server")
		}
		certificate, err := s.trustRunning()
		if err != nil {
			return fmt.Errorf("the certificate of the running server: %w", err)
		}
		if certificate != nil {
			o.RootCAs = rootsWith(certificate)
		}
		o = ofSandbox(o, s.running.Sandbox)
	}
	return connectCube(s.setup, o)
}

// wireAccounts builds only the part that keeps accounts, for a command beside a running
// server, whose sandbox it uses.
func (s *commandSetup) wireAccounts(ctx context.Context) error {
	if err := s.openSecret(ctx); err != nil {
		return err
	}
	if err := s.openRunningCube(); err != nil {
		return err
	}
	ring, err := newRing(s.cfg)
	if err != nil {
		return err
	}
	issuer, _, err := s.openTokens(ring)
	if err != nil {
		return err
	}
	s.accounts, err = s.wireProvisioning(ring, issuer)
	return err
}
