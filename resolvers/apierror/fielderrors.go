package apierror

import (
	"maps"
	"slices"
	"strings"
)

// FieldErrors holds the errors of an input by field.
type FieldErrors map[string]string

// Add adds an error of a field, unless text is "".
func (f FieldErrors) Add(field, text string) {
	if text != "" {
		f[field] = text
	}
}

// String returns all errors in one text.
func (f FieldErrors) String() string {
	var sentences []string
	for _, field := range slices.Sorted(maps.Keys(f)) {
		sentences = append(sentences, field+" "+f[field])
	}
	return strings.Join(sentences, "; ")
}

// Err returns nil if there are none, else one error that names all of them.
func (f FieldErrors) Err() error {
	if len(f) == 0 {
		return nil
	}
	return &Error{Code: BadUserInput, Message: f.String(), Fields: f}
}
