package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"cubegate/tokens"
)

const (
	maxText = 4096 // bytes of a text
	maxList = 100  // entries of a list
)

// decode stores the strongest value of lf in the Config, or adds an error. It does not
// use viper's conversions, which turn invalid values into zero and quote values in
// their errors.
func (l *loader) decode(lf field) {
	raw := l.viper.Get(lf.key)
	if l.failed[lf.key] || raw == nil {
		return
	}
	if texts := texts(raw); slices.ContainsFunc(texts, lf.isPlaceholder) {
		l.add(lf.key, placeholderHint+lf.newValueHint())
		return
	}
	var ok bool
	switch target := lf.value.Addr().Interface().(type) {
	case *string:
		*target, ok = asText(raw)
		*target = strings.TrimSpace(*target)
		if words := lf.tag.Get("oneof"); words != "" {
			*target = strings.ToLower(*target)
			ok = ok && slices.Contains(strings.Fields(words), *target)
		}
	case *tokens.Secret: // not trimmed: blanks may be part of a secret
		var text string
		text, ok = asText(raw)
		*target = tokens.Secret(text)
	case *int:
		*target, ok = asInt(raw)
		ok = ok && lf.inRange(*target, strconv.Atoi)
	case *bool:
		*target, ok = asBool(raw)
	case *time.Duration:
		*target, ok = asDuration(raw)
		ok = ok && lf.inRange(int(*target), func(s string) (int, error) {
			d, err := time.ParseDuration(s)
			return int(d), err
		})
	case *[]string:
		*target, ok = asList(raw)
		if lf.key == "cors.origins" { // scheme and host know no case (RFC 3986, section 6.2.2.1)
			for i, origin := range *target {
				(*target)[i] = strings.ToLower(origin)
			}
		}
	default:
		panic(fmt.Sprintf("%s: no setting can be a %T", lf.key, target))
	}
	if !ok {
		l.add(lf.key, "want "+lf.wanted())
	}
}

// newValueHint says how to create the value of a secret that the operator invents.
func (lf field) newValueHint() string {
	if slices.Contains([]string{"jwt.secret", "jwt.previous_secrets", "connectycube.cidp_secret"}, lf.key) {
		return "; " + newSecretHint
	}
	return ""
}

// texts lists the texts in a value from any source.
func texts(raw any) []string {
	switch v := raw.(type) {
	case string:
		return []string{v}
	case []any:
		var list []string
		for _, entry := range v {
			if text, ok := entry.(string); ok {
				list = append(list, text)
			}
		}
		return list
	}
	return nil
}

// wanted describes the valid values of lf.
func (lf field) wanted() string {
	low, high, _ := strings.Cut(lf.tag.Get("range"), "..")
	switch lf.value.Interface().(type) {
	case int:
		return fmt.Sprintf("a whole number from %s to %s", low, high)
	case time.Duration:
		return fmt.Sprintf("a duration from %s to %s with its unit, such as 1500ms, 30s or 1h", low, high)
	case bool:
		return "true or false"
	case []string:
		return fmt.Sprintf("a list of at most %d texts", maxList)
	}
	if words := strings.Fields(lf.tag.Get("oneof")); len(words) > 0 {
		return "one of " + strings.Join(words, ", ")
	}
	return fmt.Sprintf("text of at most %d bytes, without control characters; in YAML, numbers and dates need quotes to be text", maxText)
}

// inRange reports whether n lies within the range tag, whose ends parse converts.
func (lf field) inRange(n int, parse func(string) (int, error)) bool {
	from, to, _ := strings.Cut(lf.tag.Get("range"), "..")
	low, errLow := parse(from)
	high, errHigh := parse(to)
	if errLow != nil || errHigh != nil {
		panic(lf.key + ": bad range tag")
	}
	return low <= n && n <= high
}

func asText(raw any) (string, bool) {
	text, ok := raw.(string)
	return text, ok && len(text) <= maxText && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// asInt accepts a number from YAML, and text from other sources.
func asInt(raw any) (int, bool) {
	switch v := raw.(type) {
	case int:
		return v, true
	case string:
		n, err := strconv.Atoi(strings.TrimSpace(v))
		return n, err == nil
	}
	return 0, false
}

func asBool(raw any) (bool, bool) {
	switch v := raw.(type) {
	case bool:
		return v, true
	case string:
		b, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(v)))
		return b, err == nil
	}
	return false, false
}

func asDuration(raw any) (time.Duration, bool) {
	text, ok := raw.(string)
	if !ok {
		return 0, false
	}
	d, err := time.ParseDuration(strings.TrimSpace(text))
	return d, err == nil
}

// asList accepts a list from YAML, and text with commas between the entries. The word
// none means an empty list, because an empty variable counts as unset.
func asList(raw any) ([]string, bool) {
	list := []string{}
	switch v := raw.(type) {
	case string:
		if strings.TrimSpace(v) != "none" {
			list = strings.Split(v, ",")
		}
	case []any:
		for _, entry := range v {
			text, ok := entry.(string)
			if !ok {
				return nil, false
			}
			list = append(list, text)
		}
	default:
		return nil, false
	}
	for i, entry := range list {
		text, ok := asText(strings.TrimSpace(entry))
		if !ok {
			return nil, false
		}
		list[i] = text
	}
	return list, len(list) <= maxList
}
