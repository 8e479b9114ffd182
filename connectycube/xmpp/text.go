package xmpp

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// lines normalizes line ends: XML 1.0, section 2.11.
func lines(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s // Replace would copy s even if nothing changes
	}
	return newlines.Replace(s)
}

// blank normalizes white space in an attribute's value: XML 1.0, section 3.3.3.
func blank(s string) string {
	if !strings.ContainsAny(s, "\t\r\n") {
		return s
	}
	return blanks.Replace(s)
}

var (
	newlines = strings.NewReplacer("\r\n", "\n", "\r", "\n")
	blanks   = strings.NewReplacer("\r\n", " ", "\r", " ", "\n", " ", "\t", " ")
)

// unescape resolves references and normalizes white space. It knows the five
// entities of XML, and references to characters by their number.
func unescape(s string, attribute bool) (string, error) {
	if !attribute && strings.Contains(s, "]]>") {
		return "", fmt.Errorf("%w: ]]> in text", ErrMalformed)
	}
	plain := lines
	if attribute {
		plain = blank
	}
	if strings.IndexByte(s, '&') < 0 {
		return plain(s), nil
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "&")
		b.WriteString(plain(before))
		if !found {
			return b.String(), nil
		}
		reference, after, ok := strings.Cut(rest, ";")
		if !ok {
			return "", fmt.Errorf("%w: reference without end", ErrMalformed)
		}
		r, err := dereference(reference)
		if err != nil {
			return "", err
		}
		b.WriteRune(r)
		s = after
	}
}

func dereference(name string) (rune, error) {
	switch name {
	case "lt":
		return '<', nil
	case "gt":
		return '>', nil
	case "amp":
		return '&', nil
	case "quot":
		return '"', nil
	case "apos":
		return '\'', nil
	}
	number, ok := strings.CutPrefix(name, "#")
	if !ok {
		return 0, ErrRestricted
	}
	base := 10
	if hex, ok := strings.CutPrefix(number, "x"); ok {
		number, base = hex, 16
	}
	n, err := strconv.ParseUint(number, base, 21) // 21 bits hold every rune
	if err != nil || !validRune(rune(n)) {
		return 0, fmt.Errorf("%w: reference to no character", ErrMalformed)
	}
	return rune(n), nil
}

// validRune reports whether XML 1.0 allows the character.
func validRune(r rune) bool {
	switch {
	case r < 0x20:
		return r == '\t' || r == '\n' || r == '\r'
	case r >= 0xD800 && r <= 0xDFFF, r == 0xFFFE, r == 0xFFFF:
		return false
	}
	return r <= utf8.MaxRune
}

func validText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !validRune(r) {
			return false
		}
	}
	return true
}

// ValidName reports whether s is a name for an element or attribute, without a
// prefix.
func ValidName(s string) bool {
	for i, r := range s {
		if !nameRune(r) || i == 0 && !nameStart(r) {
			return false
		}
	}
	return s != "" && utf8.ValidString(s)
}

func nameStart(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
	}
	for _, span := range nameStarts {
		if r >= span[0] && r <= span[1] {
			return true
		}
	}
	return false
}

func nameRune(r rune) bool {
	return nameStart(r) || r >= '0' && r <= '9' || r == '-' || r == '.' || r == 0xB7 ||
		r >= 0x300 && r <= 0x36F || r == 0x203F || r == 0x2040
}

// nameStarts are the ranges of non-ASCII letters that can begin a name: XML 1.0,
// fifth edition, production 4.
var nameStarts = [][2]rune{
	{0xC0, 0xD6}, {0xD8, 0xF6}, {0xF8, 0x2FF}, {0x370, 0x37D}, {0x37F, 0x1FFF},
	{0x200C, 0x200D}, {0x2070, 0x218F}, {0x2C00, 0x2FEF}, {0x3001, 0xD7FF},
	{0xF900, 0xFDCF}, {0xFDF0, 0xFFFD}, {0x10000, 0xEFFFF},
}
