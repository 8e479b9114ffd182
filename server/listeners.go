package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"cubegate/connectycube/sandbox/certs"
	"cubegate/middleware"
)

// Limits of every listener, beside those of the routes.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 15 * time.Second
	idleTimeout    = 75 * time.Second // longer than that of common proxies, so that the proxy closes first
	maxHeaderBytes = 16 << 10
)

// endpoint is one address of the process with the HTTP server that answers
// there. Its opener sets the server's handler before serve is called.
type endpoint struct {
	port        net.Listener // below listener
	listener    net.Listener
	server      *http.Server
	connections *middleware.Connections
	served      chan struct{} // closed when serve has returned
}

// listen opens an endpoint.
func (s *setup) listen(at listenerSetting, reserved []middleware.Reservation) (*endpoint, error) {
	conns, err := newConnections(s.cfg, reserved, s.log)
	if err != nil {
		return nil, err
	}
	e, err := listenOn(net.JoinHostPort(at.host, strconv.Itoa(at.port)), conns, s.log)
	if err != nil {
		return nil, at.explain(err)
	}
	e.server.TLSConfig = tlsOf(s.authority)
	s.onClose(e.close)
	return e, nil
}

// listenOn opens an endpoint at a host and a port, with a bound for its connections.
func listenOn(at string, conns *middleware.Connections, log *slog.Logger) (*endpoint, error) {
	ln, err := listenTCP(context.Background(), at)
	if err != nil {
		return nil, err
	}
	return &endpoint{
		port:        ln,
		listener:    conns.Listen(onePort{ln}),
		connections: conns,
		served:      make(chan struct{}),
		server: &http.Server{
			ReadHeaderTimeout: headerTimeout,
			ReadTimeout:       readTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			ConnState:         conns.Track,
			ConnContext:       conns.Context,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		},
	}, nil
}

// listenTCP listens without Multipath TCP, whose sockets take no filter: see
// ignoreNewConnections.
func listenTCP(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	return config.Listen(ctx, "tcp", address)
}

// onePort is a listener that the shutdown closes before the HTTP server does.
type onePort struct{ net.Listener }

// Close closes the listener, if it is open.
func (p onePort) Close() error { return closePort(p.Listener) }

// close closes the port, if it is open.
func (e *endpoint) close(context.Context) error { return closePort(e.port) }

func closePort(ln net.Listener) error {
	if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Bounds of a connection of HTTP/2; sizes are in bytes. Together they keep it within
// bytesPerConnection; middleware.Connections counts its requests.
const (
	http2Streams = 100      // requests at once; RFC 9113 recommends no fewer
	http2Frame   = 16 << 10 // the least that the protocol allows
	http2Unread  = 64 << 10 // of all bodies, before a handler reads them; the least that net/http allows
	http2Table   = 4096     // of header compression
)

// acceptHTTP2 lets an endpoint serve HTTP/2 beside HTTP/1 without TLS, as proxies speak
// it: with prior knowledge (RFC 9113, section 3.3).
func (e *endpoint) acceptHTTP2() {
	e.server.Protocols = new(http.Protocols)
	e.server.Protocols.SetHTTP1(true)
	e.server.Protocols.SetUnencryptedHTTP2(true)
	e.server.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams:          http2Streams,
		MaxReadFrameSize:              http2Frame,
		MaxReceiveBufferPerConnection: http2Unread,
		MaxReceiveBufferPerStream:     http2Unread,
		MaxDecoderHeaderTableSize:     http2Table,
		MaxEncoderHeaderTableSize:     http2Table,
	}
}

// serveUntil serves the endpoints that are not nil until ctx ends. If one fails,
// it returns that error.
func serveUntil(ctx context.Context, endpoints ...*endpoint) error {
	failed := make(chan error, len(endpoints))
	for _, e := range endpoints {
		if e != nil {
			go func() { failed <- e.serve() }()
		}
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// serve answers until the server is closed, over TLS if it has certificates.
func (e *endpoint) serve() error {
	defer close(e.served)
	if e.server.TLSConfig != nil {
		return e.server.ServeTLS(e.listener, "", "")
	}
	return e.server.Serve(e.listener)
}

// addr returns the IP address and the port.
func (e *endpoint) addr() *net.TCPAddr { return e.listener.Addr().(*net.TCPAddr) }

// scheme returns the scheme of the endpoint's URLs.
func (e *endpoint) scheme() string {
	if e.server.TLSConfig != nil {
		return "https"
	}
	return "http"
}

// localURL returns the URL at which this machine reaches the endpoint.
func (e *endpoint) localURL() string {
	host := e.addr().IP.String()
	if e.addr().IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return e.scheme() + "://" + net.JoinHostPort(host, strconv.Itoa(e.addr().Port))
}

// shownURL is localURL as people type it.
func (e *endpoint) shownURL() string {
	if e.addr().IP.IsUnspecified() {
		return e.scheme() + "://localhost:" + strconv.Itoa(e.addr().Port)
	}
	return e.localURL()
}

// isLoopback reports whether only this machine reaches a listener on host.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// networkURLs returns the URLs at which other machines reach an endpoint on all interfaces.
func (e *endpoint) networkURLs() []string {
	if !e.addr().IP.IsUnspecified() {
		return nil
	}
	var list []string
	for _, ip := range certs.Addresses() {
		if !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			list = append(list, e.scheme()+"://"+net.JoinHostPort(ip.String(), strconv.Itoa(e.addr().Port)))
		}
	}
	return list
}
