package core

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

// number is the grammar of a number in JSON (RFC 8259, section 6), with a plus sign
// and leading zeros allowed, because queries contain them.
var number = regexp.MustCompile(`^[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,4})?$`)

// Number reads a number with or without a fraction. The Dart SDK prints seconds as
// 1620656869.0. ok is false for a text that is no finite number.
func Number(text string) (n float64, ok bool) {
	if !number.MatchString(text) {
		return 0, false
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil && !math.IsInf(n, 0)
}

// Whole reads a whole number, which may have a fraction of zeros, such as 12.0.
func Whole(text string) (n int64, ok bool) {
	if digits, zeros, has := strings.Cut(text, "."); has && zeros != "" && strings.Trim(zeros, "0") == "" {
		text = digits
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// FormatNumber writes a number without an exponent.
func FormatNumber(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
