package resolvers

import (
	"maps"
	"slices"
	"strings"
)

// problems are what is wrong with each field.
type problems map[string]string

func (p problems) add(field, problem string) {
	if problem != "" {
		p[field] = problem
	}
}

// err is nil without problems, else one error that names all of them.
func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	var sentences []string
	for _, field := range slices.Sorted(maps.Keys(p)) {
		sentences = append(sentences, field+" "+p[field])
	}
	return &Error{Code: BadUserInput, Message: strings.Join(sentences, "; "), Fields: p}
}
