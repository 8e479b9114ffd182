package server

import (
	"log/slog"

	"cubegate/middleware"
	"cubegate/server/config"
)

const (
	// bytesPerConnection is what one connection may cost. Measured with
	// `go run ./bench connections -n 8000` in KiB of resident memory for each
	// (linux/amd64, Go 1.26, garbage included):
	//
	//	silent                         7
	//	part of the headers           10
	//	one byte of a body            18
	//	kept alive after an answer    18
	//	packed body, begun            37
	//	15 KB of long headers         37
	//	64 KB of body but for a byte  91
	//	15 KB of short headers       145
	//	both of these                174
	//	HTTP/2, silent                18
	//	HTTP/2, one byte of a body    36
	//	HTTP/2, short headers         61
	//	HTTP/2, 64 KB of body        141
	//
	// A request of HTTP/2 takes a place beside that of its connection; see
	// middleware.Connections.Streams.
	//
	// The kernel's part of a socket comes on top, a few KiB.
	bytesPerConnection = 192 << 10

	// connectionShare is the divisor of the memory that gives the connections' part.
	// The rest is for the process itself, password hashes (35 MiB each), answers, and
	// the embedded database.
	connectionShare = 3

	// mostConnections bounds connections if the memory has no limit.
	mostConnections = 10_000

	// fewestConnections is the bound for a process with very little memory.
	fewestConnections = 64

	// otherFiles is the number of file descriptors kept for other uses: the database,
	// ConnectyCube, and the connections that middleware.Connections has reserved places for
	// or closes at the moment (about 350).
	otherFiles = 700

	// mostFresh bounds the new connections of one listener, and freshShare is their share of
	// the file descriptors. They cost about 7 KiB each, and 1,024 let a rush of a thousand
	// clients arrive that are a moment slower than the server.
	mostFresh  = 1024
	freshShare = 8
)

// reservations keep places for the requests that the server must answer during a
// flood. A running login waits for ConnectyCube's callback, and an orchestrator kills a
// process whose probes fail.
func reservations() []middleware.Reservation {
	return append(probeReservation(), middleware.Reservation{Paths: []string{VerifyPath}, Places: 64})
}

// probeReservation keeps places for the health probes.
func probeReservation() []middleware.Reservation {
	return []middleware.Reservation{{Paths: []string{"/healthz", "/readyz"}, Places: 16}}
}

// newConnections returns the bound for the connections of one listener.
func newConnections(cfg config.Config, reserved []middleware.Reservation, log *slog.Logger) (*middleware.Connections, error) {
	listeners := 1
	if cfg.HasSandbox() {
		listeners = 2
	}
	most := cfg.HTTP.MaxConnections
	if most == 0 {
		most = defaultConnections(memoryLimit(), fileLimit(), listeners)
	}
	return middleware.NewConnections(middleware.ConnectionsOptions{
		Max:        most,
		Fresh:      freshConnections(fileLimit(), listeners),
		PerAddress: cfg.HTTP.MaxConnectionsPerAddress,
		Trusted:    trustedProxies(cfg),
		Reserved:   reserved,
		Log:        log,
	})
}

// defaultConnections computes how many connections one of the listeners may have,
// from the limits of the process: bytes of memory and open files, 0 for no limit.
func defaultConnections(memory, files int64, listeners int) int {
	most := int64(mostConnections)
	if memory > 0 {
		most = min(most, memory/connectionShare/bytesPerConnection)
	}
	if files > 0 {
		most = min(most, files-otherFiles-int64(listeners*freshConnections(files, listeners)))
	}
	return int(max(most/int64(listeners), fewestConnections))
}

// freshConnections returns how many new connections one of the listeners may have.
func freshConnections(files int64, listeners int) int {
	if files == 0 {
		return mostFresh
	}
	return int(min(mostFresh, max(files/freshShare/int64(listeners), fewestConnections)))
}
