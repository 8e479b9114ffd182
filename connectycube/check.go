package connectycube

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// Option names a field of Options whose value is wrong.
type Option string

// The options that Check can find wrong.
const (
	OptionAppID   Option = "AppID"
	OptionAuthKey Option = "AuthKey"
	OptionBaseURL Option = "BaseURL"
)

// WrongOptionError means that the service, or what answers in its place, does not accept
// an option. It is ErrMisconfigured.
type WrongOptionError struct {
	Option Option
	Reason string // one line without secrets
	Cause  error  // may be ErrUnavailable, so it is not wrapped
}

func (e *WrongOptionError) Error() string { return string(e.Option) + ": " + e.Reason }

// Unwrap returns ErrMisconfigured.
func (e *WrongOptionError) Unwrap() error { return ErrMisconfigured }

// Check asks the service whether it accepts the options. It opens an application session,
// which changes nothing and ends by itself after two hours, and takes at most the
// breaker's ProbeTimeout. The error is a *WrongOptionError, or wraps ErrUnavailable or
// ErrRefused.
//
// While the last Check has found a wrong option, every other call returns that error and
// sends nothing: with a wrong application ID, for example, the key alone would sign users
// up in another application.
func (c *Client) Check(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, c.breaker.bounds.ProbeTimeout)
	defer cancel()
	err := c.probe(within)
	if ctx.Err() != nil {
		return fmt.Errorf("checking the options: %w: %w", ErrUnavailable, ctx.Err())
	}
	wrong := wrongOption(err, c.base == defaultBaseURL)
	c.wrong.Store(wrong)
	switch {
	case wrong != nil:
		return wrong
	case err != nil:
		return fmt.Errorf("checking the options: %w", err)
	}
	return nil
}

// wrongOption returns the option that the error of a probe blames, or nil. The URL of the
// real service is never wrong: an unexpected answer from there is an outage, or a page of
// this network.
func wrongOption(err error, realService bool) *WrongOptionError {
	api, isAnswer := errors.AsType[*APIError](err)
	lost, isLost := errors.AsType[*noAnswer](err)
	switch {
	case isAnswer && errors.Is(err, ErrMisconfigured) && api.says(textNoApplication):
		return &WrongOptionError{OptionAppID, "ConnectyCube has no such application", err}
	case isAnswer && errors.Is(err, ErrMisconfigured) && api.Status != http.StatusNotFound && (!api.foreign || realService):
		return &WrongOptionError{OptionAuthKey, "ConnectyCube refuses the key for this application", err}
	case realService:
		return nil
	case isAnswer && (errors.Is(err, ErrMisconfigured) || api.isOfAnotherServer()):
		return &WrongOptionError{OptionBaseURL, fmt.Sprintf("no API of ConnectyCube answers there (status %d)", api.Status), err}
	case isLost && lost.wrongURL != "":
		return &WrongOptionError{OptionBaseURL, lost.wrongURL, err}
	}
	return nil
}

// isOfAnotherServer reports whether ConnectyCube's API does not send such an answer, even
// while it fails.
func (e *APIError) isOfAnotherServer() bool {
	switch {
	case e.Status < 400, e.foreign && e.Status == http.StatusNotImplemented:
		return true
	case e.Status == http.StatusRequestTimeout, e.Status == http.StatusTooManyRequests:
		return false
	}
	return e.foreign && e.Status < 500
}

// says reports whether an answer contains one of the texts.
func (e *APIError) says(texts ...string) bool {
	return containsAny(strings.ToLower(strings.Join(e.Messages, "\n")), texts)
}

// urlFault explains an exchange that another base URL would not have, or returns "". A
// proxy's trouble is none of the URL.
func urlFault(err error) string {
	op, isOp := errors.AsType[*net.OpError](err)
	name, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case isOp && op.Op == "proxyconnect":
		return ""
	case isDNS && name.IsNotFound:
		return "the name of its host does not resolve"
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return "the TLS certificate there is not valid for it"
	case errors.As(err, new(tls.RecordHeaderError)), errors.Is(err, http.ErrSchemeMismatch):
		return "the server there does not speak TLS; want http:// instead of https://"
	case strings.Contains(err.Error(), "malformed HTTP"): // net/http has no type for it
		return "the server there does not speak HTTP"
	}
	return ""
}
