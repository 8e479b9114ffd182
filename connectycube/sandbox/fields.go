package sandbox

import (
	"encoding/json"
	"strconv"
	"strings"
)

// params are the fields of a body or query, whatever their encoding. Values are
// string, json.Number, bool, nil, []any or map[string]any.
type params map[string]any

// clean keeps answers valid JSON: a form can carry any bytes.
func clean(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func (p params) has(key string) bool { _, ok := p[key]; return ok }

// text gives a scalar as text, and "" for null, for a missing field and for
// anything that is not a scalar.
func (p params) text(key string) string {
	t, _ := scalar(p[key])
	return t
}

func scalar(v any) (string, bool) {
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

// integer reads a number or a numeric string.
func (p params) integer(key string) (int64, bool) {
	n, err := strconv.ParseInt(p.text(key), 10, 64)
	return n, err == nil
}

// list gives a,b as well as [a,b] as the trimmed items that are not empty.
func (p params) list(key string) []string {
	var items []string
	add := func(v any) {
		t, _ := scalar(v)
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

// object gives a nested object, or nil.
func (p params) object(key string) params {
	m, _ := p[key].(map[string]any)
	return m
}

// flag reads what means yes: 1 and true, as number, text or truth value.
func (p params) flag(key string) bool {
	t := p.text(key)
	return t == "1" || t == "true"
}
