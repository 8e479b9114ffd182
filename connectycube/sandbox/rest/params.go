package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"cubegate/connectycube/sandbox/core"
)

const (
	maxBody   = 256 << 10 // bytes; the largest known field is a custom_data of 8 KiB
	maxFields = 1000      // of one form or query
	maxNested = 4         // brackets in a form's field name

	largeBody     = 4 << 10 // bytes; decoded, a body may take forty times as much
	maxLarge      = 8       // larger bodies that are handled at once: 80 MiB
	maxLargeQueue = 5 * time.Second
)

// largeBodies bounds the number of large bodies that are handled at once. A request
// enters after its body was read, so that slow clients take no place.
type largeBodies chan struct{}

// enter waits for a place for a body of so many bytes. After a success, the caller
// must call release.
func (l largeBodies) enter(ctx context.Context, size int) (release func(), err error) {
	if size <= largeBody {
		return func() {}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, maxLargeQueue)
	defer cancel()
	select {
	case l <- struct{}{}:
		return func() { <-l }, nil
	case <-ctx.Done():
		return nil, errTooManyBodies
	}
}

// readParams reads the fields of a body and, for GET and DELETE, of the query. A field
// of the body has precedence. SDKs send a DELETE's fields in either place.
func readParams(r *http.Request, body []byte) (core.Params, error) {
	fields, err := decodeBody(body, r.Header.Get("Content-Type"))
	if err != nil || r.Method == http.MethodPost || r.Method == http.MethodPut {
		return fields, err
	}
	query, err := decodeForm(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	maps.Copy(query, fields)
	return query, nil
}

// decodeBody decides by the body and not by its Content-Type: SDKs send JSON and
// forms, and curl calls both a form.
func decodeBody(body []byte, contentType string) (core.Params, error) {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return core.Params{}, nil
	case body[0] == '{':
		return decodeJSON(body)
	case strings.Contains(contentType, "json"), !bytes.ContainsRune(body, '='):
		return nil, errors.New("body is neither a JSON object nor a form")
	}
	return decodeForm(string(body))
}

func decodeJSON(body []byte) (core.Params, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber() // IDs have more digits than a float64
	var p core.Params
	if err := dec.Decode(&p); err != nil {
		return nil, fmt.Errorf("reading JSON: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("data after the JSON object")
	}
	return p, nil
}

// decodeForm reads a form or query: user[login]=a, tags[]=a&tags[]=b, id[in][]=1. A
// repeated name without brackets has its last value. A name with two types is an error.
func decodeForm(raw string) (core.Params, error) {
	if strings.Count(raw, "&") >= maxFields {
		return nil, fmt.Errorf("more than %d fields", maxFields)
	}
	// A semicolon is text, as in near=30,50;1000: https://url.spec.whatwg.org/#urlencoded-parsing
	values, err := url.ParseQuery(strings.ReplaceAll(raw, ";", "%3B"))
	if err != nil {
		return nil, fmt.Errorf("reading a form: %w", err)
	}
	root := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		steps, err := splitName(strings.Clone(name)) // without the copy, a stored name would keep the whole form in memory
		if err != nil {
			return nil, err
		}
		if err := put(root, steps, values[name]); err != nil {
			return nil, err
		}
	}
	return root, nil
}

// splitName splits a[b][] into a, b and an empty step.
func splitName(name string) ([]string, error) {
	head, rest, nested := strings.Cut(name, "[")
	if head == "" {
		return nil, errors.New("a field has no name")
	}
	steps := []string{head}
	for nested {
		step, after, closed := strings.Cut(rest, "]")
		if !closed || len(steps) > maxNested {
			return nil, errors.New("brackets of a field name do not match, or there are too many")
		}
		steps = append(steps, step)
		if after == "" {
			break
		}
		if after[0] != '[' || step == "" {
			return nil, errors.New("a field name continues after its brackets")
		}
		rest = after[1:]
	}
	return steps, nil
}

var errTwoKinds = errors.New("a field has two types")

func put(node map[string]any, steps []string, values []string) error {
	for len(steps) > 2 || len(steps) == 2 && steps[1] != "" {
		switch child := node[steps[0]].(type) {
		case nil:
			made := map[string]any{}
			node[steps[0]], node = made, made
		case map[string]any:
			node = child
		default:
			return errTwoKinds
		}
		steps = steps[1:]
	}
	if _, taken := node[steps[0]]; taken {
		return errTwoKinds
	}
	if len(steps) == 1 {
		node[steps[0]] = strings.Clone(core.ValidText(values[len(values)-1]))
		return nil
	}
	list := make([]any, len(values))
	for i, v := range values {
		list[i] = strings.Clone(core.ValidText(v))
	}
	node[steps[0]] = list
	return nil
}
