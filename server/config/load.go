package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/viper"
	"github.com/subosito/gotenv"
)

// maxConfigFile bounds each file with settings, in bytes.
const maxConfigFile = 64 << 10

// unset marks a number that has no default in config.yaml, until derive sets it.
const unset = -1

// lookup returns a variable of one source, like os.LookupEnv.
type lookup func(name string) (string, bool)

// Load reads the settings from defaults, which is config.yaml, the file named by
// CONFIG_FILE, .env in dir, and getenv; later sources are stronger. Its error lists all
// problems, each with the key and the variable, and quotes no value; the result then has
// the notices only.
func Load(defaults []byte, getenv func(string) (string, bool), dir string) (Config, error) {
	var c Config
	c.ConnectyCube.SignUpsPerMinute, c.Limits.RegistrationsPerNetwork = unset, unset
	l := newLoader(fields(&c), defaults)
	dotenv := l.dotenv(filepath.Join(dir, ".env"))
	l.variables("the environment", getenv)
	l.variables(".env", dotenv)
	l.file(getenv, dotenv)
	c.Notices = append(l.guesses("the environment", getenv), l.guesses(".env", dotenv)...)
	for _, lf := range l.fields {
		l.decode(lf)
	}
	c.check(&l.settingErrors)
	if err := l.err(); err != nil {
		return Config{Notices: c.Notices}, err
	}
	c.derive()
	return c, nil
}

// settingErrors collects all problems, so that one attempt to start shows everything.
// Its texts are constant or consist of names, because any value may be a secret, even
// in the wrong place.
type settingErrors struct {
	list   []error
	failed map[string]bool   // keys without a valid value; checks that depend on them are skipped
	source map[string]string // the source of each key's value; absent = the default
}

// maxErrors bounds the errors that are shown: the file of another program may have any
// number.
const maxErrors = 50

// add adds an error for key, whose value is not valid.
func (p *settingErrors) add(key, text string) {
	name := fmt.Sprintf("%s (%s)", key, envName(key))
	if from := p.source[key]; from != "" {
		name = fmt.Sprintf("%s (%s, set in %s)", key, envName(key), from)
	}
	p.failed[key] = true
	p.list = append(p.list, fmt.Errorf("%s: %s", name, text))
}

// require adds an error for key unless ok holds, or unless key or one of others, on
// which ok depends, has an error already.
func (p *settingErrors) require(ok bool, key, text string, others ...string) {
	for _, k := range append(others, key) {
		if p.failed[k] {
			return
		}
	}
	if !ok {
		p.add(key, text)
	}
}

func (p *settingErrors) err() error {
	n := len(p.list)
	if n == 0 {
		return nil
	}
	list := p.list
	if n > maxErrors {
		list = append(slices.Clone(list[:maxErrors]), fmt.Errorf("and %d more", n-maxErrors))
	}
	return &LoadError{list, n}
}

// LoadError is the error of Load. It has at most maxErrors faults, and one that counts the
// others.
type LoadError struct {
	Faults []error // each is one line
	n      int
}

func (e *LoadError) Error() string {
	if e.n == 1 {
		return "1 problem with the configuration: " + e.Faults[0].Error()
	}
	return fmt.Sprintf("%d problems with the configuration:\n%v", e.n, errors.Join(e.Faults...))
}

// Unwrap returns the faults.
func (e *LoadError) Unwrap() []error { return e.Faults }

// loader finds the strongest value of each setting. viper merges the sources. Before
// that, the loader reports what viper ignores: unknown keys, values in place of
// sections, and variables without a key.
type loader struct {
	settingErrors
	viper    *viper.Viper
	fields   []field
	byKey    map[string]field
	sections map[string]bool
}

func newLoader(list []field, defaultsYAML []byte) *loader {
	l := &loader{
		settingErrors: settingErrors{failed: make(map[string]bool), source: make(map[string]string)},
		viper:         viper.New(),
		fields:        list,
		byKey:         make(map[string]field),
		sections:      make(map[string]bool),
	}
	for _, lf := range list {
		l.byKey[lf.key] = lf
		if section, _, ok := strings.Cut(lf.key, "."); ok {
			l.sections[section] = true
		}
	}
	defaults, err := parseYAML(defaultsYAML)
	if err != nil {
		panic("config.yaml: " + err.Error()) // the file is embedded, so only a test can see this
	}
	for name, value := range defaults {
		l.viper.SetDefault(name, value)
	}
	return l
}

// variables stores the settings that get has and no stronger source has.
func (l *loader) variables(source string, get lookup) {
	for _, lf := range l.fields {
		if l.source[lf.key] != "" {
			continue
		}
		value, found, err := variable(lf, get)
		if !found {
			continue
		}
		l.source[lf.key] = source
		if err != nil {
			l.add(lf.key, err.Error())
			continue
		}
		l.viper.Set(lf.key, value)
	}
}

// variable returns the value of lf in get, under any of its names. Its errors name
// variables and quote no value.
func variable(lf field, get lookup) (value string, found bool, err error) {
	name := envName(lf.key)
	value, found = nonEmpty(get, name)
	if alias := lf.tag.Get("alias"); alias != "" {
		other, ok := nonEmpty(get, alias)
		if ok && found && other != value {
			return "", true, fmt.Errorf("%s and %s are both set and differ; keep one", name, alias)
		}
		if ok {
			name, value, found = alias, other, true
		}
	}
	if !lf.secret() {
		return value, found, nil
	}
	fileName := envName(lf.key) + "_FILE"
	path, ok := nonEmpty(get, fileName)
	switch {
	case !ok:
		return value, found, nil
	case found:
		return "", true, fmt.Errorf("%s and %s are both set; keep one", name, fileName)
	}
	data, err := readConfigFile(path)
	if err != nil {
		return "", true, fmt.Errorf("the file named by %s cannot be read: %w", fileName, err)
	}
	value = strings.TrimRight(string(data), "\r\n")
	if value == "" {
		return "", true, fmt.Errorf("the file named by %s is empty", fileName)
	}
	return value, true, nil
}

// nonEmpty is get, except that an empty variable counts as unset: compose files and
// shells pass unknown variables as empty ones.
func nonEmpty(get lookup, name string) (string, bool) {
	value, ok := get(name)
	return value, ok && value != ""
}

// quotedLine extracts the line that an error of gotenv quotes. The line may contain a
// secret and serves only to find its number.
var quotedLine = regexp.MustCompile("(?s)^line `(.*)` ")

// dotenv reads the .env file at path, if there is one, without changing the environment
// of the process.
func (l *loader) dotenv(path string) lookup {
	data, err := readConfigFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = nil, nil
	}
	if err != nil {
		l.list = append(l.list, fmt.Errorf(".env cannot be read: %w", err))
	}
	vars, err := gotenv.StrictParse(bytes.NewReader(data))
	if err != nil {
		where := "a line"
		if m := quotedLine.FindStringSubmatch(err.Error()); m != nil {
			if before, _, ok := strings.Cut(string(data), m[1]); ok {
				where = fmt.Sprintf("line %d", strings.Count(before, "\n")+1)
			}
		}
		l.list = append(l.list, fmt.Errorf(".env: %s is not of the form NAME=value, or a quote is not closed", where))
	}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if !l.isVariable(name) {
			l.list = append(l.list, l.unknownVariable(name))
		}
	}
	return func(name string) (string, bool) {
		value, ok := vars[name]
		return value, ok
	}
}

// file reads the YAML file named by CONFIG_FILE, if any.
func (l *loader) file(getenv, dotenv lookup) {
	path, ok := nonEmpty(getenv, "CONFIG_FILE")
	if !ok {
		path, ok = nonEmpty(dotenv, "CONFIG_FILE")
	}
	if !ok {
		return
	}
	data, err := readConfigFile(path)
	if err != nil {
		l.list = append(l.list, fmt.Errorf("the file named by CONFIG_FILE cannot be read: %w", err))
		return
	}
	values, err := parseYAML(data)
	if err != nil {
		l.list = append(l.list, fmt.Errorf("the file named by CONFIG_FILE: %w", err))
		return
	}
	if err := l.viper.MergeConfigMap(l.inspect("", values)); err != nil {
		l.list = append(l.list, errors.New("the file named by CONFIG_FILE cannot be merged"))
	}
}

// inspect returns the valid part of the values under prefix, which come from
// CONFIG_FILE, and adds errors for the rest.
func (l *loader) inspect(prefix string, values map[string]any) map[string]any {
	kept := make(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		key, value := prefix+name, values[name]
		lf, known := l.byKey[key]
		section, nested := value.(map[string]any)
		switch {
		case known && !strings.Contains(name, "."):
			if value == nil { // a key without a value keeps the default
				continue
			}
			if l.source[key] == "" {
				l.source[key] = "CONFIG_FILE"
			}
			if reflect.TypeOf(value).Kind() == reflect.Map { // its names may be secrets
				l.add(key, "want "+lf.wanted()+", not a section")
				continue
			}
			kept[name] = value
		case l.sections[key]:
			if nested {
				kept[name] = l.inspect(key+".", section)
			} else if value != nil {
				l.list = append(l.list, fmt.Errorf("%s (in CONFIG_FILE): want a section of settings", key))
			}
		default:
			l.list = append(l.list, l.unknownKey(key))
		}
	}
	return kept
}

// yamlLine extracts the line number from errors of the YAML reader, which quote the
// file.
var yamlLine = regexp.MustCompile(`line \d+`)

// parseYAML parses a document whose root is a mapping. It keeps the case of keys. Its
// errors quote nothing of data.
func parseYAML(data []byte) (map[string]any, error) {
	decoder, err := viper.NewCodecRegistry().Decoder("yaml")
	if err != nil {
		return nil, err
	}
	values := make(map[string]any)
	if err := decoder.Decode(data, values); err != nil {
		where := yamlLine.FindString(err.Error())
		if where == "" {
			where = "somewhere"
		}
		return nil, fmt.Errorf("not YAML of the form key: value (%s)", where)
	}
	// The reader stops after one document, so it would ignore settings in a second one.
	if i := bytes.LastIndex(data, []byte("\n---")); i > 0 {
		first := make(map[string]any)
		if decoder.Decode(data[:i], first) == nil && len(first) > 0 {
			return nil, errors.New("want one YAML document, not several")
		}
	}
	return values, nil
}

// readConfigFile reads a file of at most maxConfigFile bytes. Its errors contain
// neither the path nor the content, because a secret may stand in the place of a path.
// It refuses other than regular files, because opening a pipe may block forever.
func readConfigFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfigFile+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(data) > maxConfigFile {
		return nil, fmt.Errorf("larger than %d KiB", maxConfigFile>>10)
	}
	return data, nil
}

func withoutPath(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}
