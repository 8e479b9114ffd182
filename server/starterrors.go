package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"syscall"

	"cubegate/server/config"
	"cubegate/store/embedded"
)

// listenerSetting names the settings of a listener, and its place.
type listenerSetting struct {
	hostName, portName string // such as HOST and PORT
	host               string
	port               int
}

// privilegedShift is added to a port below 1024 for one that any user may open: 80 becomes
// 8080.
const privilegedShift = 8000

// explain returns the cause of an error of net.Listen and its cure, in one line.
func (l listenerSetting) explain(err error) error {
	switch name, isDNS := errors.AsType[*net.DNSError](err); {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %d is in use; set %s=%d: %w", l.port, l.portName, l.freePort(), err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("port %d needs rights that this process does not have; set %s=%d, and let a proxy forward port %d to it: %w", l.port, l.portName, l.port+privilegedShift, l.port, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s=%s is no address of this machine; set %s to one of its addresses, or to 0.0.0.0 for all: %w", l.hostName, l.host, l.hostName, err)
	case isDNS:
		return fmt.Errorf("%s=%s does not resolve to an address; set %s to an address of this machine, or to 0.0.0.0 for all: %w", l.hostName, name.Name, l.hostName, err)
	}
	return fmt.Errorf("%s: %w", l.portName, err)
}

// freePort returns a port near l's that is free at the moment.
func (l listenerSetting) freePort() int {
	const step, attempts = 10, 20
	for i := range attempts {
		port := l.port + (i+1)*step
		if port > 65535 {
			break
		}
		if ln, err := net.Listen("tcp", net.JoinHostPort(l.host, strconv.Itoa(port))); err == nil {
			_ = ln.Close()
			return port
		}
	}
	return 0 // any free port
}

// explainDatabase returns the cause of an error of the embedded database and its cure, in
// one line.
func explainDatabase(cfg config.Config, err error) error {
	op, isOp := errors.AsType[*net.OpError](err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, embedded.ErrLocked):
		by := "another process"
		if r := readRunning(cfg); r.PID > 0 {
			by = fmt.Sprintf("a cubegate that runs (process %d)", r.PID)
		}
		return fmt.Errorf("DATA_DIR=%s is in use by %s; stop that first, or set DATA_DIR to another folder: %w", cfg.DataDir, by, err)
	case isOp && op.Op == "listen":
		host, text, _ := net.SplitHostPort(cfg.Mongo.EmbeddedListen)
		port, _ := strconv.Atoi(text) // config.Load has checked it
		return fmt.Errorf("MONGO_EMBEDDED_LISTEN: %w", listenerSetting{"the host", "the port", host, port}.explain(err))
	case isFolderFault(err):
		return explainFolder(cfg, err)
	}
	return fmt.Errorf("the database in DATA_DIR: %w", err)
}

// isFolderFault reports whether the folder or its disk is the reason of an error.
func isFolderFault(err error) bool {
	path, ok := errors.AsType[*fs.PathError](err)
	return ok && path.Op != "read" && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.ENOTDIR))
}

// explainFolder returns the cause of an error with DATA_DIR and its cure, in one line.
func explainFolder(cfg config.Config, err error) error {
	return fmt.Errorf("DATA_DIR=%s cannot be used; %s: %w", cfg.DataDir, folderCure(err), err)
}

// folderCure returns the cure for an error with DATA_DIR.
func folderCure(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "free space on its disk, or set DATA_DIR to a folder on another one"
	case errors.Is(err, syscall.EROFS):
		return "set DATA_DIR to a folder on a disk that is not read-only, such as a volume"
	}
	return fmt.Sprintf("make it a folder that the user of this process (uid %d) may write, or set DATA_DIR to one", os.Getuid())
}
