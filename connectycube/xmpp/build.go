package xmpp

import (
	"slices"
	"strconv"
	"unicode/utf8"
)

// prefixed are the namespaces that are written with a prefix: the stream's
// because some clients look for the prefix itself, XML's because it must be.
var prefixed = map[string]string{NSStreams: "stream", nsXML: "xml"}

// Append adds e's text to dst. The text stands by itself: it declares all
// namespaces it uses.
//
// Append always makes well-formed XML. Characters that XML does not have become
// U+FFFD, and elements and attributes whose name it cannot hold are left out: a
// custom parameter with a blank in its key must not end its readers' streams.
func Append(dst []byte, e *Element) []byte {
	return appendElement(dst, e, NSClient, "")
}

// String is e's text, as Append writes it.
func (e *Element) String() string {
	return string(Append(nil, e))
}

// appendElement writes e below a parent in the namespace parent, where the
// default namespace is declared.
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

// runeSize is 1 for a byte that is no UTF-8.
func runeSize(s string) int {
	_, size := utf8.DecodeRuneInString(s)
	return size
}
