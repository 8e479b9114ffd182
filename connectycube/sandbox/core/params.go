package core

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Params are the fields of a body or query, whatever their encoding. Values are
// string, json.Number, bool, nil, []any or map[string]any.
type Params map[string]any

// ValidText replaces invalid UTF-8, which a form can contain, so that answers stay valid JSON.
func ValidText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// Has reports whether the field exists, even as null.
func (p Params) Has(key string) bool { _, ok := p[key]; return ok }

// Text returns a scalar as text, and "" for null, for a missing field and for any
// other value.
func (p Params) Text(key string) string {
	t, _ := Scalar(p[key])
	return t
}

// Scalar returns a text, number or boolean as text. ok is false for any other value.
func Scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// Integer reads a whole number or its text; see Whole.
func (p Params) Integer(key string) (int64, bool) { return Whole(p.Text(key)) }

// List returns the trimmed items of a,b or [a,b] that are not empty.
func (p Params) List(key string) []string {
	var items []string
	add := func(v any) {
		t, _ := Scalar(v)
		for item := range strings.SplitSeq(t, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
	}
	if many, ok := p[key].([]any); ok {
		for _, v := range many {
			add(v)
		}
		return items
	}
	add(p[key])
	return items
}

// Object returns a nested object, or nil.
func (p Params) Object(key string) Params {
	m, _ := p[key].(map[string]any)
	return m
}

// Flag reports whether a field means yes: 1 or true, as number, text or boolean.
func (p Params) Flag(key string) bool {
	t := p.Text(key)
	return t == "1" || t == "true"
}

// textField is a field of a request for which a text is set.
type textField struct {
	key string
	to  *string
	max int // characters
}

// setTexts sets the fields that p contains and returns the error texts of those that
// are too long.
func (p Params) setTexts(fields []textField) (wrong []string) {
	for _, f := range fields {
		if !p.Has(f.key) {
			continue
		}
		*f.to = p.Text(f.key)
		if text := CheckLength(f.key, *f.to, 0, f.max); text != "" {
			wrong = append(wrong, text)
		}
	}
	return wrong
}
