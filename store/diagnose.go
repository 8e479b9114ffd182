package store

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"slices"
	"strings"
	"syscall"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/auth"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/description"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"
)

// connectError tells in one line why the database cannot be used. It wraps the driver's
// error, and ErrUnavailable if the cause may pass by itself.
type connectError struct {
	text   string
	passes bool // the cause may pass by itself
	err    error
}

func (e *connectError) Error() string { return e.text }

func (e *connectError) Unwrap() []error {
	if e.passes {
		return []error{ErrUnavailable, e.err}
	}
	return []error{e.err}
}

// cause is a reason with one server, in words.
type cause struct {
	text   string
	passes bool
}

// diagnose explains an error of the first ping.
func diagnose(err error, o Options) *connectError {
	var selection topology.ServerSelectionError
	c := ofServer(err, "", o)
	switch {
	case errors.As(err, &selection):
		c = ofTopology(selection.Desc, o)
	case errors.Is(err, context.Canceled):
		c = cause{"the start was canceled", false}
	case strings.Contains(err.Error(), "wire version"): // the driver has no type for it
		c = cause{"the database is too old or too new: " + err.Error(), false}
	case c == cause{}:
		c = cause{"the database cannot be used: " + err.Error(), true}
	}
	return &connectError{clip(withoutPassword(c.text, o.URI), 400), c.passes, err}
}

// diagnoseString explains an error of newClient, which makes no connection.
func diagnoseString(err error, o Options) *connectError {
	c := ofDNS(err)
	file, isFile := errors.AsType[*fs.PathError](err)
	switch {
	case c != cause{}:
	case isFile:
		c = cause{fmt.Sprintf("a file that the connection string names cannot be read: %v", file), false}
	case strings.HasPrefix(o.URI, "mongodb+srv://") && wrongOption(o.URI) == "":
		c = cause{"the connection string or its SRV and TXT records in the DNS are not valid; the records must name servers of the same domain", false}
	default:
		c = cause{badString(o.URI), false}
	}
	return &connectError{c.text, c.passes, err}
}

// badString is the error of a connection string that the driver does not take.
func badString(uri string) string {
	if name := wrongOption(uri); name != "" {
		return "invalid connection string: the option " + name + " has a wrong value"
	}
	if strings.Contains(uri, "?") {
		return "invalid connection string: its options are not of the form name=value with & between them, or conflict"
	}
	return "invalid connection string: want mongodb://… or mongodb+srv://…"
}

// ofTopology explains why the driver selected no server. A cause that does not pass
// explains most.
func ofTopology(d description.Topology, o Options) cause {
	var found []cause
	for _, s := range d.Servers {
		if c := ofDescription(s, o); c != (cause{}) {
			found = append(found, c)
		}
	}
	if i := slices.IndexFunc(found, func(c cause) bool { return !c.passes }); i >= 0 {
		return found[i]
	}
	switch {
	case len(found) > 0:
		return found[0]
	case len(d.Servers) == 0 && d.SetName != "":
		return cause{fmt.Sprintf("no host of the connection string belongs to the replica set %s: check replicaSet, or remove it and add directConnection=true for a server alone", d.SetName), false}
	case len(d.Servers) == 0:
		return cause{"the connection string leads to no server", false}
	case d.Kind == description.TopologyKindReplicaSetNoPrimary && slices.ContainsFunc(d.Servers, hasAnswered):
		return cause{"the replica set has no primary yet", true}
	}
	return cause{fmt.Sprintf("%s does not answer within %s: check host and port, firewalls, and the IP access list of Atlas", d.Servers[0].Addr, o.Timeout), true}
}

// hasAnswered reports whether the driver has learned what a server is.
func hasAnswered(s description.Server) bool { return s.Kind != description.Unknown }

// ofDescription explains what is wrong with one server, if anything is known.
func ofDescription(s description.Server, o Options) cause {
	at := string(s.Addr)
	switch {
	case s.Kind == description.ServerKindRSGhost:
		return cause{at + " belongs to no replica set yet: run rs.initiate() there once", true}
	case s.LastError == nil:
		return cause{}
	}
	if c := ofServer(s.LastError, at, o); c != (cause{}) {
		return c
	}
	return cause{at + " cannot be used: " + s.LastError.Error(), true}
}

// ofServer explains the error of one server, or returns the zero cause. An empty address
// stands for any server.
func ofServer(err error, at string, o Options) cause {
	at = cmp.Or(at, "the database")
	return cmp.Or(ofDNS(err), ofTLS(err, at), ofLogin(err), ofLoss(err, at, o.URI), ofNetwork(err, at))
}

func ofDNS(err error) cause {
	failed, ok := errors.AsType[*net.DNSError](err)
	switch {
	case !ok:
		return cause{}
	case failed.IsNotFound && strings.HasPrefix(failed.Name, "_"):
		return cause{fmt.Sprintf("the DNS has no SRV record %s: check the host's name, or use mongodb:// for a server without such records", failed.Name), true}
	case failed.IsNotFound:
		return cause{fmt.Sprintf("the name %s does not resolve: check its spelling, or whether its server runs", failed.Name), true}
	}
	return cause{fmt.Sprintf("the DNS does not answer about the name %s", failed.Name), true}
}

func ofTLS(err error, at string) cause {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	alert, isAlert := errors.AsType[*net.OpError](err)
	switch {
	case errors.As(err, &unknown):
		return cause{at + " has a TLS certificate of an authority that this machine does not trust: name it with tlsCAFile", false}
	case errors.As(err, &name):
		return cause{at + " has a TLS certificate for another name: connect by a name in the certificate", false}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return cause{at + " has a TLS certificate that has expired or is not valid yet: renew it, or check this machine's clock", false}
	case errors.As(err, &invalid), errors.As(err, new(*tls.CertificateVerificationError)):
		return cause{at + " has a TLS certificate that is not valid for a server", false}
	case errors.As(err, &record):
		return cause{at + " does not speak TLS: remove tls=true, or switch TLS on there", false}
	case isAlert && alert.Op == "remote error":
		return cause{fmt.Sprintf("%s refuses TLS (%v): it may want a client's certificate (tlsCertificateKeyFile), or, at Atlas, this machine in the IP access list", at, alert.Err), false}
	case isAlert && alert.Op == "local error":
		return cause{fmt.Sprintf("TLS with %s fails: %v", at, alert.Err), false}
	}
	return cause{}
}

// MongoDB's error codes for logins and rights (error_codes.yml), and that of Atlas.
const (
	badValue             = 2
	unauthorized         = 13
	authenticationFailed = 18
	commandNotFound      = 59
	notImplemented       = 238
	mechanismUnavailable = 334
	atlasError           = 8000
)

func ofLogin(err error) cause {
	const wrong = "the database refuses the login: the user name or the password is wrong, or the user belongs to another database (authSource)"
	refused, isAuth := errors.AsType[*auth.Error](err)
	code := int32(0)
	var answer driver.Error
	if errors.As(err, &answer) {
		code = answer.Code
	}
	if command, ok := errors.AsType[mongo.CommandError](err); ok {
		code = command.Code
	}
	switch {
	case code == unauthorized:
		return cause{"the user of the connection string has too few rights, or the string has no user: the role readWrite on the database is needed", false}
	case code == authenticationFailed, code == atlasError:
		return cause{wrong, false}
	case isAuth && slices.Contains([]int32{badValue, commandNotFound, notImplemented, mechanismUnavailable}, code):
		return cause{"the database does not know this kind of login: remove user and password, or set authMechanism", false}
	case isAuth && !mongo.IsNetworkError(refused) && !mongo.IsTimeout(refused) && !isLost(refused):
		return cause{wrong, false}
	}
	return cause{}
}

func ofNetwork(err error, at string) cause {
	timeout, isTimeout := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return cause{at + " refuses connections: no database listens there", true}
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return cause{at + " cannot be reached: there is no route to it", true}
	case strings.Contains(err.Error(), "length of read message too large"), strings.Contains(err.Error(), "malformed message length"):
		return cause{at + " does not speak MongoDB's protocol: check host and port, which may be those of a proxy or another service", false}
	case isTimeout && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return cause{at + " does not answer in time: check host and port, firewalls, and the IP access list of Atlas", true}
	}
	return cause{}
}

// ofLoss explains a connection that the other side closed.
func ofLoss(err error, at, uri string) cause {
	uri = strings.ToLower(uri)
	switch wantsTLS := strings.Contains(uri, "tls=true") || strings.Contains(uri, "ssl=true") || strings.HasPrefix(uri, "mongodb+srv:"); {
	case !isLost(err):
		return cause{}
	case wantsTLS:
		return cause{at + " closes the connection before TLS begins: it may not speak TLS (tls=false), or just start", true}
	}
	return cause{at + " closes the connection at once: it may want TLS (tls=true), or just start", true}
}

// isLost reports whether the other side closed the connection.
func isLost(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
