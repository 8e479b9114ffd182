package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	callbackTimeout   = 5 * time.Second // not documented
	maxCallbackAnswer = 64 << 10        // bytes
)

// CIdP are the settings of a Custom Identity Provider, as the dashboard has them.
//
// Headers and RequestParams may hold #{login}, #{password} and #{email}: what the
// login request carries, empty when it does not. ResponseParams map uid (required),
// login, email, full_name and external_user_id to paths in the answer, #{user.id}.
type CIdP struct {
	Enabled        bool              `json:"enabled"`
	Method         string            `json:"method"` // GET (default) or POST, which sends JSON
	URL            string            `json:"url"`
	Headers        map[string]string `json:"headers"`
	RequestParams  map[string]string `json:"request_params"`
	ResponseParams map[string]string `json:"response_params"`
}

var responseTargets = []string{"uid", "login", "email", "full_name", "external_user_id"}

// Validate says what is wrong with the settings. Settings that are off may be
// incomplete.
func (c CIdP) Validate() error {
	var errs []error
	if method := strings.ToUpper(c.Method); method != "" && method != http.MethodGet && method != http.MethodPost {
		errs = append(errs, errors.New("cidp: method must be GET or POST"))
	}
	if u, err := url.Parse(c.URL); c.Enabled && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		errs = append(errs, errors.New("cidp: url must be an http or https address"))
	}
	if c.Enabled && !placeholder.MatchString(c.ResponseParams["uid"]) {
		errs = append(errs, errors.New(`cidp: response_params must map uid, as in {"uid":"#{user.id}"}`))
	}
	for target := range c.ResponseParams {
		if !slices.Contains(responseTargets, target) {
			errs = append(errs, fmt.Errorf("cidp: response_params: %q is none of %s", target, strings.Join(responseTargets, ", ")))
		}
	}
	if len(c.URL) > 2048 || tooMuch(c.Headers) || tooMuch(c.RequestParams) || tooMuch(c.ResponseParams) {
		errs = append(errs, errors.New("cidp: more than 50 entries, or a text over 2048 bytes"))
	}
	return errors.Join(errs...)
}

func tooMuch(m map[string]string) bool {
	for k, v := range m {
		if len(k) > 2048 || len(v) > 2048 {
			return true
		}
	}
	return len(m) > 50
}

// own gives a copy that nobody else can change, with empty maps for missing ones.
func (c CIdP) own() CIdP {
	c.Method = cmp.Or(strings.ToUpper(c.Method), http.MethodGet)
	for _, m := range []*map[string]string{&c.Headers, &c.RequestParams, &c.ResponseParams} {
		if *m = maps.Clone(*m); *m == nil {
			*m = map[string]string{}
		}
	}
	return c
}

// hideHeaders masks the values that the program gave in its Options: they are
// secrets that no client of the control area has typed. It changes the map of c.
func (c CIdP) hideHeaders(given map[string]string) CIdP {
	for name, value := range c.Headers {
		if value != "" && value == given[name] && !placeholder.MatchString(value) {
			c.Headers[name] = masked
		}
	}
	return c
}

// restoreHeaders replaces masks by the values of the Options, so that settings
// can be read, kept and written again.
func (c CIdP) restoreHeaders(given map[string]string) (CIdP, error) {
	c.Headers = maps.Clone(c.Headers)
	for name, value := range c.Headers {
		if value != masked {
			continue
		}
		if given[name] == "" {
			return CIdP{}, fmt.Errorf("cidp: headers: the mask of %q hides no value", name)
		}
		c.Headers[name] = given[name]
	}
	return c, nil
}

// SetCIdP replaces the settings. Logins that are waiting for the provider keep
// the old ones. The error is that of Validate; then nothing changes.
func (s *Sandbox) SetCIdP(c CIdP) error {
	if err := c.Validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cidp = c.own()
	return nil
}

// placeholder is #{path}.
var placeholder = regexp.MustCompile(`#\{([^{}]*)\}`)

// fill replaces each placeholder once: what it brings in is not looked at again,
// so a login that contains #{password} stays what it is.
func fill(template string, value func(path string) string) string {
	return placeholder.ReplaceAllStringFunc(template, func(found string) string {
		return value(found[2 : len(found)-1])
	})
}

// callbackClient copies the given client, or makes one that uses no proxy. Its
// connections serve one request each: on one that was used before, and that the
// provider closes, Go's transport would send a GET once more.
func callbackClient(given *http.Client) *http.Client {
	own := http.Client{}
	if given != nil {
		own = *given
	}
	transport, known := own.Transport.(*http.Transport)
	if own.Transport == nil {
		transport, known = http.DefaultTransport.(*http.Transport)
	}
	if known {
		transport = transport.Clone()
		transport.DisableKeepAlives = true
		if given == nil {
			transport.Proxy = nil
		}
		own.Transport = transport
	}
	own.Jar = nil
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// askProvider makes the call-back and maps its answer: with a uid or not at all.
func (s *Sandbox) askProvider(ctx context.Context, c CIdP, who params) (params, error) {
	answer, err := s.callBack(ctx, c, who)
	if err != nil {
		return nil, err
	}
	mapped := params{}
	for target, template := range c.ResponseParams {
		value := fill(template, func(path string) string { return dig(answer, path) })
		if value = strings.TrimSpace(value); value != "" {
			mapped[target] = value
		}
	}
	if !mapped.has("uid") {
		return nil, errNoUID
	}
	return mapped, nil
}

// userOfProvider finds the user of the uid, whose profile stays as it is, or
// makes one. The lock is held.
func (s *Sandbox) userOfProvider(mapped params, now time.Time) (*user, error) {
	uid := mapped.text("uid")
	if u := s.registry.byExternal[uid]; u != nil {
		return u, nil
	}
	fields := params{"login": providerLogin(uid)}
	maps.Copy(fields, mapped)
	fields["external_id"] = uid
	p, err := profile{}.with(fields)
	if err != nil {
		return nil, err
	}
	u := &user{profile: p}
	return u, s.registry.add(u, now)
}

// providerLogin is the login of a user that came from the provider without one.
func providerLogin(uid string) string { return "custom_" + uid }

// callBack makes the one request to the provider and returns its decoded answer.
// The caller's hanging up does not stop it, as it would not stop the service.
func (s *Sandbox) callBack(ctx context.Context, c CIdP, who params) (any, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callbackTimeout)
	defer cancel()
	req, err := c.request(ctx, who)
	if err != nil {
		return nil, errProviderSilent
	}
	resp, err := s.callbacks.Do(req)
	if err != nil {
		return nil, errProviderSilent
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxCallbackAnswer))
	if err != nil {
		return nil, errProviderSilent
	}
	var answer any
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	readable := dec.Decode(&answer) == nil
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, asBase(422, fmt.Sprintf("Custom Identity Provider responded with an error = %q. Status code = %d",
			providerText(answer, body), resp.StatusCode))
	}
	if !readable {
		return nil, errNoUID
	}
	return answer, nil
}

func (c CIdP) request(ctx context.Context, who params) (*http.Request, error) {
	value := func(name string) string {
		switch name {
		case "login", "password", "email":
			return who.text(name)
		}
		return ""
	}
	fields := make(map[string]string, len(c.RequestParams))
	for name, template := range c.RequestParams {
		fields[name] = fill(template, value)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return nil, err
	}
	if c.Method == http.MethodPost {
		raw, err := json.Marshal(fields)
		if err != nil {
			return nil, err
		}
		req.Method = http.MethodPost
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
		req.Header.Set("Content-Type", "application/json")
	} else {
		query := req.URL.Query()
		for name, v := range fields {
			query.Set(name, v)
		}
		req.URL.RawQuery = query.Encode()
	}
	req.Header.Set("Accept", "application/json")
	for name, template := range c.Headers {
		req.Header.Set(name, fill(template, value))
	}
	return req, nil
}

// dig follows a path like user.id or users.0.id to a text or number.
func dig(v any, path string) string {
	for step := range strings.SplitSeq(path, ".") {
		switch node := v.(type) {
		case map[string]any:
			v = node[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(node) {
				return ""
			}
			v = node[i]
		default:
			return ""
		}
	}
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// providerText is what the service quotes of a refusal: the error field, else
// the body. Which of the two it is was never quite clear.
func providerText(answer any, body []byte) string {
	if object, ok := answer.(map[string]any); ok {
		if text, ok := object["error"].(string); ok {
			return text
		}
	}
	const most = 200 // bytes
	return clean(string(body[:min(len(body), most)]))
}
