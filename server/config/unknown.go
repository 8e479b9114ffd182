package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// compose.yaml and its tools read these variables from the same .env.
const composeVariable, composePrefix = "DOMAIN", "COMPOSE_"

// isVariable reports whether the program or compose.yaml reads a variable of .env. The
// environment has no such check, because most of its variables belong to other
// programs.
func (l *loader) isVariable(name string) bool {
	if name == "CONFIG_FILE" || name == composeVariable || strings.HasPrefix(name, composePrefix) {
		return true
	}
	return slices.ContainsFunc(l.fields, func(lf field) bool { return slices.Contains(lf.names(), name) })
}

func (l *loader) unknownVariable(name string) error {
	names := make([]string, len(l.fields))
	for i, lf := range l.fields {
		names[i] = envName(lf.key)
	}
	return fmt.Errorf("%.*q (in .env): there is no such setting%s", maxShown, name, suggestion(name, names))
}

// unknownKey returns the error for a key of no setting, with the likely one.
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
	maxShown    = 64 // bytes of an unknown name
	maxDistance = 2  // typing errors between a name and its suggestion
)

// suggestion returns a question with the known name nearest to name, or "" if none is
// near.
func suggestion(name string, known []string) string {
	fold := func(s string) string { return strings.ToLower(strings.NewReplacer(".", "_", "-", "_").Replace(s)) }
	best, least := "", maxDistance+1
	for _, k := range known {
		if distance := levenshtein.ComputeDistance(fold(name[:min(len(name), maxShown)]), fold(k)); distance < least {
			best, least = "; did you mean "+k+"?", distance
		}
	}
	return best
}
