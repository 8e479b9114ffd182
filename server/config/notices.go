package config

import (
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// A Notice is something about the settings that the operator should know and that stops
// nothing. It has names, no values.
type Notice struct {
	Text     string // constant
	Variable string // the variable that it is about
	Setting  string // the variable that the operator should use
}

// The texts of notices.
const (
	Misspelled = "variable ignored: it looks like a misspelled setting"
	TakenAs    = "variable taken for a setting of another name"
	NoDatabase = "connection string names no database: the database test is used, as by Mongoose"
	Overridden = "variable ignored: the setting has a value under its own name"
)

// foreign lists words within one typing error of a setting that other programs use.
var foreign = []string{"POST", "COST", "LOST", "MOST", "SORT"}

// MisspelledIn returns a notice for each variable of environ, which is like os.Environ,
// that differs from a variable of ours by one typing error: a letter too many, too few or
// wrong, or two letters in each other's place. The environment has no stricter check,
// because most of its variables belong to other programs.
func MisspelledIn(environ []string) []Notice {
	known := []string{"CONFIG_FILE"}
	for _, lf := range fields(new(Config)) {
		known = append(known, lf.names()...)
	}
	var list []Notice
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if len(name) > maxShown || slices.Contains(known, name) || slices.Contains(foreign, name) {
			continue
		}
		if i := slices.IndexFunc(known, func(k string) bool { return isOneTypo(name, k) }); i >= 0 && len(list) < maxErrors {
			list = append(list, Notice{Misspelled, name, known[i]})
		}
	}
	return list
}

// isOneTypo reports whether name is known with one typing error. Lower case and hyphens
// are no error of their own, but a name in lower case without an underscore, such as
// port, belongs to another program.
func isOneTypo(name, known string) bool {
	if !strings.ContainsAny(name, "_-") && name != strings.ToUpper(name) {
		return false
	}
	name = strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	return levenshtein.ComputeDistance(name, known) <= 1 || isSwapped(name, known)
}

// isSwapped reports whether a and b differ by two neighbors in each other's place.
func isSwapped(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) - 1 {
		if a[i] != b[i] {
			return a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
		}
	}
	return false
}

// guesses stores the settings that get has under a name of another program and that no
// source has under a name of ours.
func (l *loader) guesses(source string, get lookup) []Notice {
	var list []Notice
	for _, lf := range l.fields {
		taken := ""
		for _, name := range strings.Fields(lf.tag.Get("guess")) {
			value, found := nonEmpty(get, name)
			switch {
			case !found:
			case l.source[lf.key] == "":
				l.source[lf.key], taken = source+" as "+name, name
				l.viper.Set(lf.key, value)
				list = append(list, Notice{TakenAs, name, envName(lf.key)})
			case l.viper.GetString(lf.key) == value:
			case taken != "":
				l.add(lf.key, taken+" and "+name+" are both set and differ; keep one, named "+envName(lf.key))
			default:
				list = append(list, Notice{Overridden, name, envName(lf.key)})
			}
		}
	}
	return list
}
