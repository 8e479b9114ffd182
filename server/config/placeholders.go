package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// placeholderHint is the error for a value that isPlaceholder finds.
const placeholderHint = "has a placeholder in place of its value; set the real value, or remove the setting"

// marks matches a value that a template leaves where the real one belongs.
var marks = regexp.MustCompile(`(?is)^(?:<.*>|\$?\{\{.*\}\}|[$#]\{.*\}|\$[a-z_][a-z0-9_]*|%[a-z_]+%|\[[a-z _-]+\]|x{3,}|\*{3,}|\.{3,}|…+)$`)

// inBrackets matches words in angle brackets, such as the <db_password> that Atlas writes
// into a connection string.
var inBrackets = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`<[A-Za-z][^<>]*>`) })

// Words that placeholders are made of.
const placeholderWords = "your|my|own|the|this|that|it|me|here|please|now|an|a|of|to|for|from|in|with|and|be|must|goes|real|actual|" +
	"changeme|changeit|change|replaceme|replace|insert|enter|paste|put|fill|fixme|placeholder|todo|tbd|example|sample|dummy|" +
	"connectycube|cubegate|authorization|auth|application|api|app|admin|id|keys|key|secret|token|passwords|password|passwd|pass|pwd|" +
	"username|user|name|email|mongodb|mongo|database|db|cluster|hostname|host|server|domain|website|site|company|project|" +
	"organization|org|address|ip|port|url|uri|endpoint|path|folder|directory|dir|file|data|origin|value|string|text|number|issuer|" +
	"jwt|chat|control|cidp|provider|dashboard|console|com|net|io"

var (
	placeholderWord   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompilePOSIX(placeholderWords) }) // the longest word
	placeholderPhrase = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(?:(?:` + placeholderWords + `)[-_ .]*)+[0-9]{0,3}!?$`)
	})
)

// Words that make a phrase of such words a placeholder: the first list alone, the second
// together with another word.
var (
	clearWords = []string{"your", "changeme", "changeit", "replaceme", "fixme", "placeholder"}
	verbs      = []string{"change", "replace", "insert", "enter", "paste", "put", "fill"}
)

// isPlaceholder reports whether text stands for a value that is not there yet. In URLs,
// names and paths it looks at each part; a key is one part. A key that another service
// issued is never a single word like todo, nor several words like auth_key.
func (lf field) isPlaceholder(text string) bool {
	text = strings.TrimSpace(text)
	if marks.MatchString(text) {
		return true
	}
	parts := []string{text}
	if !lf.secret() || lf.key == "mongo.uri" {
		if inBrackets().MatchString(text) {
			return true
		}
		parts = strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("/@:,?&=", r) })
	}
	issued := lf.key == "auth_key" || lf.key == "connectycube.admin_key"
	return slices.ContainsFunc(parts, func(part string) bool {
		if plain, err := url.PathUnescape(part); err == nil {
			part = plain
		}
		return marks.MatchString(part) || isPlaceholderPhrase(strings.ToLower(part), issued)
	})
}

func isPlaceholderPhrase(part string, issued bool) bool {
	if issued && slices.Contains([]string{"todo", "tbd", "example", "sample", "dummy", "undefined", "null", "none", "nil", "secret", "password"}, part) {
		return true
	}
	return mayBePhrase(part, issued) && isPhrase(part, issued)
}

// isPhrase reports whether part consists of the words of placeholders, with one that real
// values do not have.
func isPhrase(part string, issued bool) bool {
	if !placeholderPhrase().MatchString(part) {
		return false
	}
	words := placeholderWord().FindAllString(part, -1)
	is := func(list []string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(list, w) })
	}
	return is(clearWords) || len(words) > 1 && (issued || is(verbs))
}

// mayBePhrase reports whether isPhrase may be true. It is false for almost all
// values, and saves the pattern, whose compilation takes longer than all other checks of the
// settings.
func mayBePhrase(part string, issued bool) bool {
	contains := func(word string) bool { return strings.Contains(part, word) }
	if !issued && !slices.ContainsFunc(clearWords, contains) && !slices.ContainsFunc(verbs, contains) {
		return false
	}
	for word := range strings.SplitSeq(placeholderWords, "|") {
		if strings.HasPrefix(part, word) {
			return true
		}
	}
	return false
}
