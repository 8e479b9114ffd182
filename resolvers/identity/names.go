package identity

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// validateName returns what is wrong with a first or last name, or "". A name may have
// the characters of any script, and what belongs to them: combining marks, joiners,
// variation selectors, directional marks and emoji.
func validateName(name string) string {
	switch n := utf8.RuneCountInString(name); {
	case n == 0:
		return "is required"
	case n > maxNameChars:
		return fmt.Sprintf("must have at most %d characters: ConnectyCube limits the full name to 200", maxNameChars)
	case strings.ContainsFunc(name, unicode.IsControl):
		return "must not have control characters"
	case strings.ContainsFunc(name, isLineSeparator):
		return "must not have line or paragraph separators"
	case strings.ContainsFunc(name, turnsText):
		return "must not have characters that turn the direction of other text, such as U+202E"
	case strings.ContainsFunc(name, isNoCharacter):
		return "must not have U+FFFD, half surrogate pairs or noncharacters"
	case hidesText(name):
		return "must not have tag characters, except in the flags of regions"
	case !strings.ContainsFunc(name, isVisible):
		return "must have a visible character"
	}
	return ""
}

func isLineSeparator(r rune) bool { return r == '\u2028' || r == '\u2029' }

// turnsText reports the embeddings, overrides and isolates of UAX #9, which turn the
// text that follows them, the names and messages of other users included. The marks
// U+061C, U+200E and U+200F turn no letters, and names in Arabic and Hebrew have them.
func turnsText(r rune) bool {
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// isNoCharacter reports noncharacters, of which XML and so the chat forbid some
// (https://www.w3.org/TR/xml/#charsets), and the character that replaces what could not
// be decoded, such as one half of a surrogate pair in JSON.
func isNoCharacter(r rune) bool {
	return r == utf8.RuneError || unicode.Is(unicode.Noncharacter_Code_Point, r)
}

// isTag reports tag characters, which can hide an ASCII text of any length.
func isTag(r rune) bool { return r >= '\U000E0000' && r <= '\U000E007F' }

// regionFlag is an emoji tag sequence (UTS #51, section 1.4.9), such as the flag of
// Scotland: a black flag, the code of a region in tags, and the end.
var regionFlag = regexp.MustCompile(`\x{1F3F4}[\x{E0030}-\x{E0039}\x{E0061}-\x{E007A}]{3,6}\x{E007F}`)

// hidesText reports whether a name has tags outside of flags.
func hidesText(name string) bool {
	return strings.ContainsFunc(regionFlag.ReplaceAllString(name, ""), isTag)
}

// blank are characters without ink that Unicode counts among the letters and symbols.
var blank = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x2800, Hi: 0x2800, Stride: 1}, // Braille pattern blank
		{Lo: 0xFFFC, Hi: 0xFFFC, Stride: 1}, // object replacement character
	},
	R32: []unicode.Range32{
		{Lo: 0x13441, Hi: 0x13442, Stride: 1}, // Egyptian blanks
		{Lo: 0x1D159, Hi: 0x1D159, Stride: 1}, // musical symbol null notehead
	},
}

// isVisible reports characters that show by themselves. Combining marks, joiners,
// fillers, selectors and spaces do not. Private characters do, and so do those that are
// younger than our tables: some names have them.
func isVisible(r rune) bool {
	if unicode.Is(unicode.Prepended_Concatenation_Mark, r) { // such as the Arabic number sign
		return true
	}
	return !unicode.In(r, unicode.Mn, unicode.Me, unicode.Z, unicode.Cc, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, blank)
}
