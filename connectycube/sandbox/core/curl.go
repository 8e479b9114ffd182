package core

import (
	"fmt"
	"regexp"
	"strings"
)

// curlOf returns the request of e as a curl command for a shell such as bash. Secrets
// are masked, except the keys of this application, which are no secrets.
func (s *Application) curlOf(e Entry, origin string) string {
	path, _, _ := strings.Cut(e.Path, "?")
	_, masked, hasQuery := strings.Cut(maskPath(e.Path), "?")
	if hasQuery {
		_, query, _ := strings.Cut(e.Path, "?")
		path += "?" + s.withOwnKeys(query, masked)
	} else {
		path = maskPath(path)
	}
	words := []string{"curl"}
	if e.Method != "GET" {
		words = append(words, "-X "+shellWord(e.Method))
	}
	words = append(words, shellWord(origin+path))
	for name := range strings.SplitSeq(e.Headers, ", ") {
		if header := s.headerOf(e, name); header != "" {
			words = append(words, "-H "+shellWord(header))
		}
	}
	cutOff := len(e.Request) >= 2*JournalText
	if e.Request != "" {
		media := "application/x-www-form-urlencoded"
		if start := strings.TrimSpace(e.Request); strings.HasPrefix(start, "{") || strings.HasPrefix(start, "[") {
			media = "application/json"
		}
		words = append(words, "-H "+shellWord("Content-Type: "+media), "--data-raw "+shellWord(s.withOwnKeys(e.Request, maskBody(e.Request, false))))
	}
	command := strings.Join(words, " \\\n  ")
	if cutOff {
		command += "\n# The body was longer: the journal keeps its beginning."
	}
	return command
}

// headerOf returns a header of ConnectyCube, of which the journal keeps only the name
// or, of the SDK's name, the value.
func (s *Application) headerOf(e Entry, name string) string {
	value := Masked
	switch {
	case name == "" || strings.HasPrefix(name, "Cb-Sdk:"):
		return name
	case e.HasOwnKey && name == "Cb-Authkey":
		value = s.AuthKey
	case e.HasOwnKey && name == "Cb-Administration-Api-Key":
		value = s.AdminKey
	}
	return name + ": " + value
}

// keyFields find the fields with an application's keys in JSON and in forms.
var keyFields = []*regexp.Regexp{
	regexp.MustCompile(`("(?:auth_key|administration_api_key)"\s*:\s*)"([^"\\]*)"`),
	regexp.MustCompile(`((?:^|[?&])(?:auth_key|administration_api_key)=)([^&\s]*)`),
}

// withOwnKeys puts the keys of this application back into a masked text, if the raw
// text has no other values in their fields.
func (s *Application) withOwnKeys(raw, masked string) string {
	for _, field := range keyFields {
		found := field.FindAllStringSubmatch(raw, -1)
		if len(found) != 1 || found[0][2] != s.AuthKey && found[0][2] != s.AdminKey {
			continue
		}
		masked = field.ReplaceAllStringFunc(masked, func(match string) string {
			return strings.Replace(match, Masked, found[0][2], 1)
		})
	}
	return masked
}

// shellWord quotes text for bash. A control character could end the quotes of a
// command that is pasted into a terminal, so it becomes an escape.
func shellWord(text string) string {
	text = ValidText(text)
	isControl := func(r rune) bool { return r < ' ' && r != '\n' || r >= 0x7f && r <= 0x9f }
	if !strings.ContainsFunc(text, isControl) {
		return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for _, r := range text {
		switch {
		case r == '\'' || r == '\\':
			b.WriteString("\\" + string(r))
		case isControl(r) || r == '\n':
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + "'"
}
