package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// compose.yaml and its tools read these from the same .env.
const composeVariable, composePrefix = "DOMAIN", "COMPOSE_"

// isVariable reports whether a line of .env can mean something to anybody. In the
// environment itself there is no such check: most of it belongs to others.
func (l *loader) isVariable(name string) bool {
	if name == "CONFIG_FILE" || name == composeVariable || strings.HasPrefix(name, composePrefix) {
		return true
	}
	return slices.ContainsFunc(l.fields, func(lf field) bool {
		env := envName(lf.key)
		return name == env || name == lf.tag.Get("alias") || lf.secret() && name == env+"_FILE"
	})
}

func (l *loader) unknownVariable(name string) error {
	names := make([]string, len(l.fields))
	for i, lf := range l.fields {
		names[i] = envName(lf.key)
	}
	return fmt.Errorf("%.*q (in .env): there is no such setting%s", maxShown, name, suggestion(name, names))
}

// unknownKey says that no setting has this key, and which one may have been meant.
func (l *loader) unknownKey(key string) error {
	keys := make([]string, len(l.fields))
	for i, lf := range l.fields {
		keys[i] = lf.key
	}
	if i := strings.IndexByte(key, '.'); i >= 0 && slices.Contains(keys, key) {
		return fmt.Errorf("%s (in CONFIG_FILE): want %s indented below %s:, in place of the dot", key, key[i+1:], key[:i])
	}
	return fmt.Errorf("%.*q (in CONFIG_FILE): there is no such key%s", maxShown, key, suggestion(key, keys))
}

const (
	maxShown = 64 // characters of a name that is not ours
	maxSlips = 2  // of the finger; more make another word
)

// suggestion asks whether the nearest of the known names was meant, if any is near.
func suggestion(name string, known []string) string {
	fold := func(s string) string { return strings.ToLower(strings.NewReplacer(".", "_", "-", "_").Replace(s)) }
	best, least := "", maxSlips+1
	for _, k := range known {
		if slips := levenshtein.ComputeDistance(fold(name[:min(len(name), maxShown)]), fold(k)); slips < least {
			best, least = "; did you mean "+k+"?", slips
		}
	}
	return best
}
