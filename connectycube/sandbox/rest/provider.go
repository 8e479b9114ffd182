package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"cubegate/connectycube/sandbox/core"
)

const (
	callbackTimeout   = 5 * time.Second // assumed (docs/connectycube.md, Identity provider)
	maxCallbackAnswer = 64 << 10        // bytes
)

// fill replaces each placeholder once. It does not search the values, so a login that
// contains #{password} stays unchanged.
func fill(template string, value func(path string) string) string {
	return core.Placeholder.ReplaceAllStringFunc(template, func(found string) string {
		return value(found[2 : len(found)-1])
	})
}

// callbackClient copies the given client, or builds one without a proxy. A connection
// serves one request: if the provider closes a reused one, Go's transport would repeat
// a GET.
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

// askProvider makes the callback, maps its answer and notes the outcome. An answer
// without a uid is an error.
func (s *API) askProvider(ctx context.Context, c core.CIdP, fields core.Params) (core.Params, error) {
	mapped, err := s.mapProvider(ctx, c, fields)
	s.NoteCallback(core.Callback{At: s.Now(), Problem: problemOf(err)})
	return mapped, err
}

func (s *API) mapProvider(ctx context.Context, c core.CIdP, fields core.Params) (core.Params, error) {
	answer, err := s.callBack(ctx, c, fields)
	if err != nil {
		return nil, err
	}
	mapped := core.Params{}
	for target, template := range c.ResponseParams {
		value := fill(template, func(path string) string { return dig(answer, path) })
		if value = strings.TrimSpace(value); value != "" {
			mapped[target] = value
		}
	}
	if !mapped.Has("uid") {
		return nil, errNoUID
	}
	return mapped, nil
}

// callBack makes the request to the provider and returns the decoded answer. It
// continues if the client leaves, as the service would. If the provider fails or refuses,
// the error is a *providerFailure.
func (s *API) callBack(ctx context.Context, c core.CIdP, fields core.Params) (any, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callbackTimeout)
	defer cancel()
	req, err := providerRequest(ctx, c, fields)
	if err != nil || c.Outside && !isPublic(ctx, req.URL.Hostname()) {
		return nil, &providerFailure{}
	}
	resp, err := s.callbacks.Do(req)
	if err != nil {
		return nil, &providerFailure{}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxCallbackAnswer))
	if err != nil {
		return nil, &providerFailure{}
	}
	var answer any
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	readable := dec.Decode(&answer) == nil
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, &providerFailure{resp.StatusCode, answer, body}
	}
	if !readable {
		return nil, errNoUID
	}
	return answer, nil
}

// dig follows a path such as user.id or users.0.id to a text or number.
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

func providerRequest(ctx context.Context, c core.CIdP, fields core.Params) (*http.Request, error) {
	value := func(name string) string {
		switch name {
		case "login", "password", "email":
			return fields.Text(name)
		}
		return ""
	}
	params := make(map[string]string, len(c.RequestParams))
	for name, template := range c.RequestParams {
		params[name] = fill(template, value)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return nil, err
	}
	if err := sendParams(req, c, params); err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	for name, template := range c.Headers {
		req.Header.Set(name, fill(template, value))
	}
	return req, nil
}

// sendParams puts the parameters into the query of a GET, or the body of a POST.
func sendParams(req *http.Request, c core.CIdP, params map[string]string) error {
	form := url.Values{}
	if c.Method != http.MethodPost {
		form = req.URL.Query()
	}
	for name, v := range params {
		form.Set(name, v)
	}
	if c.Method != http.MethodPost {
		req.URL.RawQuery = form.Encode()
		return nil
	}
	raw, media := []byte(form.Encode()), "application/x-www-form-urlencoded"
	if c.Body != core.BodyForm {
		var err error
		if raw, err = json.Marshal(params); err != nil {
			return err
		}
		media = "application/json"
	}
	req.Method = http.MethodPost
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	req.Header.Set("Content-Type", media)
	return nil
}
