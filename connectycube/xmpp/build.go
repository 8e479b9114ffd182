package xmpp

import (
	"slices"
	"strconv"
	"unicode/utf8"
)

// prefixed are the namespaces that Append writes with a prefix: the stream's,
// because some clients look for the prefix itself, and XML's, because XML requires it.
var prefixed = map[string]string{NSStreams: "stream", nsXML: "xml"}

// Append appends e to dst as text. The text declares all its namespaces.
//
// Append always writes well-formed XML. It replaces characters that XML does not
// allow with U+FFFD and leaves out elements and attributes with invalid names: a
// custom parameter with a space in its key must not end the streams of its readers.
func Append(dst []byte, e *Element) []byte {
	return appendElement(dst, e, NSClient, "")
}

// String returns the text that Append writes.
func (e *Element) String() string {
	return string(Append(nil, e))
}

// appendElement writes e below a parent in the namespace parent. declared is the
// default namespace at this point.
func appendElement(dst []byte, e *Element, parent, declared string) []byte {
	if !ValidName(e.Name) {
		return dst
	}
	space := e.Space
	if space == "" {
		space = parent
	}
	prefix := prefixed[space]
	dst = append(dst, '<')
	name := len(dst)
	if prefix != "" {
		dst = append(append(dst, prefix...), ':')
	}
	dst = append(dst, e.Name...)
	tag := string(dst[name:])
	switch {
	case prefix == "" && space != declared:
		dst = appendAttr(dst, "xmlns", space)
		declared = space
	case space == NSStreams:
		dst = appendAttr(dst, "xmlns:stream", space)
	}
	dst = appendAttrs(dst, e.Attrs)
	if e.Text == "" && len(e.Children) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	dst = appendEscaped(dst, e.Text, false)
	for i := range e.Children {
		dst = appendElement(dst, &e.Children[i], space, declared)
	}
	dst = append(dst, "</"...)
	dst = append(dst, tag...)
	return append(dst, '>')
}

func appendAttrs(dst []byte, attrs []Attr) []byte {
	for i, a := range attrs {
		same := func(b Attr) bool { return b.Name == a.Name && b.Space == a.Space }
		switch {
		case !ValidName(a.Name), a.Name == "xmlns" && a.Space == "", slices.ContainsFunc(attrs[:i], same):
		case a.Space == "":
			dst = appendAttr(dst, a.Name, a.Value)
		case a.Space == nsXML:
			dst = appendAttr(dst, "xml:"+a.Name, a.Value)
		default:
			prefix := "a" + strconv.Itoa(i)
			dst = appendAttr(dst, "xmlns:"+prefix, a.Space)
			dst = appendAttr(dst, prefix+":"+a.Name, a.Value)
		}
	}
	return dst
}

func appendAttr(dst []byte, name, value string) []byte {
	dst = append(dst, ' ')
	dst = append(dst, name...)
	dst = append(dst, `="`...)
	return append(appendEscaped(dst, value, true), '"')
}

func appendEscaped(dst []byte, s string, attribute bool) []byte {
	start := 0
	for i, r := range s {
		reference := ""
		switch {
		case r == '<':
			reference = "&lt;"
		case r == '>':
			reference = "&gt;"
		case r == '&':
			reference = "&amp;"
		case r == '"' && attribute:
			reference = "&quot;"
		case r == '\r':
			reference = "&#xD;"
		case r == '\n' && attribute:
			reference = "&#xA;"
		case r == '\t' && attribute:
			reference = "&#x9;"
		case !validRune(r), r == utf8.RuneError:
			reference = "\uFFFD"
		default:
			continue
		}
		dst = append(dst, s[start:i]...)
		dst = append(dst, reference...)
		start = i + runeSize(s[i:])
	}
	return append(dst, s[start:]...)
}

// runeSize returns the bytes of the first rune of s: 1 for invalid UTF-8.
func runeSize(s string) int {
	_, size := utf8.DecodeRuneInString(s)
	return size
}
