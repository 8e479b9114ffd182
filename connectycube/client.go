// Package connectycube is a client for the part of ConnectyCube's REST API that
// a server needs: signing users up, opening sessions for them, finding them by
// our own ID. It owns paths, headers, bodies and the meaning of a failure. It
// knows nothing of our users, of the claims in our tokens, or of chat.
//
// Each call is independent. The client holds no session, follows no redirect and
// repeats no request: only the caller knows whether a repetition is harmless.
// While the service fails, a circuit breaker refuses calls at once; see
// breaker.go.
//
// Start reading at Client.do, then at the table in errors.go. The facts about the
// service, with their sources, are in docs/connectycube.md.
package connectycube

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

const (
	defaultBaseURL = "https://api.connectycube.com"
	defaultTimeout = 10 * time.Second
	maxAnswer      = 1 << 20 // bytes; a session with a full profile is about 1 KiB
)

// Options configure a Client. Only AppID and AuthKey have no default.
type Options struct {
	BaseURL string // default https://api.connectycube.com; a path prefix is allowed
	AppID   int64  // ConnectyCube application ID
	AuthKey string // ConnectyCube application key

	// AdminKey opens the application's administration API; empty if the
	// application has none.
	AdminKey string

	Timeout time.Duration // for one request, body included; default 10s

	// HTTP sends the requests; default a client of our own. New copies it, and
	// the copy neither follows redirects nor keeps cookies. The sandbox's client
	// never leaves the process.
	HTTP *http.Client

	// RootCAs verify the service's certificate if HTTP is nil; default those of this machine.
	RootCAs *x509.CertPool

	// Breaker stops calls while the service fails; a zero field has its default.
	Breaker BreakerOptions

	// Traceparent returns the header traceparent of a call made with ctx; "" = none.
	Traceparent func(ctx context.Context) string

	// Observe gets each exchange with the service, probes too. It must not block.
	Observe func(Exchange)

	Log *slog.Logger // receives the breaker's changes; default none
}

// Client talks to one ConnectyCube application. It is safe for concurrent use.
type Client struct {
	base     string // without a trailing slash
	appID    int64
	authKey  string
	adminKey string
	timeout  time.Duration
	http     *http.Client
	health   health
	breaker  *breaker
	trace    func(ctx context.Context) string // Options.Traceparent
	observe  func(Exchange)
	wrong    atomic.Pointer[WrongOptionError] // found by the last Check; nil: none
}

// New checks o and returns a client; it makes no request. The error names every
// wrong field and never contains the key.
func New(o Options) (*Client, error) {
	if o.BaseURL == "" {
		o.BaseURL = defaultBaseURL
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	var errs []error
	if err := checkBaseURL(o.BaseURL); err != nil {
		errs = append(errs, err)
	}
	if o.AppID <= 0 {
		errs = append(errs, errors.New("connectycube: application ID must be a positive number"))
	}
	if o.AuthKey == "" || strings.ContainsFunc(o.AuthKey, notInHeader) {
		errs = append(errs, errors.New("connectycube: auth key must be printable ASCII and not empty"))
	}
	if strings.ContainsFunc(o.AdminKey, notInHeader) {
		errs = append(errs, errors.New("connectycube: administration key must be printable ASCII"))
	}
	if o.Timeout < 0 {
		errs = append(errs, errors.New("connectycube: timeout must be positive"))
	}
	bounds, err := o.Breaker.resolve(o.Timeout)
	if err != nil {
		errs = append(errs, err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Traceparent == nil {
		o.Traceparent = func(context.Context) string { return "" }
	}
	if o.Observe == nil {
		o.Observe = func(Exchange) {}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	c := &Client{
		base:     strings.TrimRight(o.BaseURL, "/"),
		appID:    o.AppID,
		authKey:  o.AuthKey,
		adminKey: o.AdminKey,
		timeout:  o.Timeout,
		http:     httpClient(o.HTTP, o.RootCAs),
		trace:    o.Traceparent,
		observe:  o.Observe,
	}
	c.breaker = newBreaker(bounds, o.Log, c.probe)
	return c, nil
}

// Close stops the client's background work, at most one probe, and waits for it.
// An open breaker stays open.
func (c *Client) Close() { c.breaker.close() }

// checkBaseURL never quotes the URL: the likeliest mistake is a password in it.
func checkBaseURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return errors.New("connectycube: base URL must look like https://host or http://host:port")
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return errors.New("connectycube: base URL must have no user, query or fragment")
	}
	return nil
}

func notInHeader(r rune) bool { return r <= ' ' || r > '~' }

// httpClient copies the given client, or builds one. It removes from the copy the
// settings with which one call can influence another or send a key to another host.
func httpClient(given *http.Client, roots *x509.CertPool) *http.Client {
	if given == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		// As many may stay idle as may be open: otherwise a steady load of more requests at once
		// opens and closes connections all the time, each with a TLS handshake.
		transport.MaxConnsPerHost = 128
		transport.MaxIdleConnsPerHost, transport.MaxIdleConns = 128, 128
		transport.MaxResponseHeaderBytes = 64 << 10
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
		given = &http.Client{Transport: transport}
	}
	own := *given
	own.Jar = nil
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// call is one exchange with the service.
type call struct {
	doing   string // for error messages: "signing up"
	method  string
	path    string // below the base URL, without .json
	query   url.Values
	token   string // sent as CB-Token when not empty
	keyed   bool   // send the application's key as CB-AuthKey
	admin   bool   // send the administration key
	body    any    // encoded as JSON when not nil
	as      authMode
	secrets []string // texts of an answer that no error may repeat
}

// do makes the call and decodes the answer's body into out. Any 2xx with a
// readable JSON body is a success; then out decides whether the body is usable.
// If out is nil, any 2xx is a success.
func (c *Client) do(ctx context.Context, k call, out any) (http.Header, error) {
	if wrong := c.wrong.Load(); wrong != nil {
		return nil, fmt.Errorf("%s: %w", k.doing, wrong)
	}
	report, err := c.breaker.admit(ctx)
	if err != nil {
		c.observe(Exchange{Result: resultOf(ctx, err)})
		return nil, fmt.Errorf("%s: %w", k.doing, err)
	}
	begun := time.Now()
	header, err := c.exchange(ctx, k, out)
	c.observe(Exchange{resultOf(ctx, err), time.Since(begun)})
	outcome, failure := outcomeOf(err), row{failures: 1}
	if time.Since(begun) >= c.timeout/2 {
		failure.late = 1
	}
	switch {
	case ctx.Err() != nil: // the service is not the reason
		report(errUncounted, row{})
	case outcome == errFailing && needsCallback(k, err):
		report(errUncounted, row{})
		c.breaker.doubt(failure)
		c.health.note(err)
	default:
		report(outcome, failure)
		c.health.note(err)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", k.doing, err)
	}
	return header, err
}

// probe opens an application session, which needs no callback, changes nothing
// and ends by itself after two hours.
func (c *Client) probe(ctx context.Context) error {
	begun := time.Now()
	_, err := c.exchange(ctx, c.openingSession("probing", nil), &sessionAnswer{})
	c.observe(Exchange{resultOf(ctx, err), time.Since(begun)})
	c.health.note(err)
	return err
}

func (c *Client) exchange(ctx context.Context, k call, out any) (http.Header, error) {
	ours, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := k.request(ours, c)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unavailable(c, ctx, ours, k, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, unavailable(c, ctx, ours, k, err)
	}
	if len(body) > maxAnswer {
		return nil, c.failure(k, resp, nil, fmt.Sprintf("answer is larger than %d bytes", maxAnswer))
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, c.failure(k, resp, body, "")
	}
	if out == nil {
		return resp.Header, nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return nil, c.failure(k, resp, body, "answer is not the expected JSON")
	}
	if u, ok := out.(interface{ usable() bool }); ok && !u.usable() {
		return nil, c.failure(k, resp, body, "answer lacks what was asked for")
	}
	return resp.Header, nil
}

// request builds the HTTP request of a call.
func (k call) request(ctx context.Context, c *Client) (*http.Request, error) {
	target := c.base + k.path + ".json" // the suffix is what every SDK sends
	if len(k.query) > 0 {
		target += "?" + k.query.Encode()
	}
	var body io.Reader
	if k.body != nil {
		raw, err := json.Marshal(k.body)
		if err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, k.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("building the request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "cubegate")
	if k.body != nil {
		req.Header.Set("Content-Type", "application/json;charset=utf-8")
	}
	if k.token != "" {
		req.Header.Set("CB-Token", k.token)
	}
	if k.keyed {
		req.Header.Set("CB-AuthKey", c.authKey)
	}
	if header := c.trace(ctx); header != "" {
		req.Header.Set("Traceparent", header)
	}
	if k.admin {
		req.Header.Set("CB-Administration-API-Key", c.adminKey)
	}
	return req, nil
}

// unavailable explains why no complete answer came. A deadline of the caller's own
// context stays visible to errors.Is. Other timeouts are failures of the service,
// so their errors become text.
func unavailable(c *Client, ctx, ours context.Context, k call, cause error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if ours.Err() != nil {
		return fmt.Errorf("%w: no complete answer within %s", ErrUnavailable, c.timeout)
	}
	if wrapped, ok := errors.AsType[*url.Error](cause); ok {
		cause = wrapped.Err // without the URL and its query
	}
	op, ok := errors.AsType[*net.OpError](cause)
	dialing := ok && op.Op == "dial"
	return fmt.Errorf("%w: %w", ErrUnavailable, &noAnswer{clip(mask(cause.Error(), secretsOf(c, k)), 200), !dialing, urlFault(cause)})
}

// secretsOf returns the texts of one call that no error may show.
func secretsOf(c *Client, k call) []string {
	return append([]string{c.authKey, c.adminKey, k.token}, k.secrets...)
}
