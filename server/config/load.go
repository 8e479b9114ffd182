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

// maxConfigFile bounds, in bytes, every file that settings are read from.
const maxConfigFile = 64 << 10

// unset marks a number without a default in config.yaml until derive gives it one.
const unset = -1

// lookup finds a variable in one source, as os.LookupEnv does.
type lookup func(name string) (string, bool)

// Load reads the settings from defaults, which is config.yaml, the file named by CONFIG_FILE, .env in
// dir, and getenv, strongest last. It reports everything that is wrong in one error, each
// with its key and its variable, and shows no value in it.
func Load(defaults []byte, getenv func(string) (string, bool), dir string) (Config, error) {
	var c Config
	c.ConnectyCube.SignUpsPerMinute, c.Limits.RegistrationsPerNetwork = unset, unset
	l := newLoader(fields(&c), defaults)
	dotenv := l.dotenv(filepath.Join(dir, ".env"))
	l.variables("the environment", getenv)
	l.variables(".env", dotenv)
	l.file(getenv, dotenv)
	for _, lf := range l.fields {
		l.decode(lf)
	}
	c.check(&l.settingErrors)
	if err := l.err(); err != nil {
		return Config{}, err
	}
	c.derive()
	return c, nil
}

// settingErrors gathers all that is wrong with the settings, so that one attempt to start
// shows everything. Its texts are constant or made of names: a value may be a secret, and
// a secret may have been put in any place.
type settingErrors struct {
	list   []error
	failed map[string]bool   // keys without a usable value: nothing else is concluded from them
	source map[string]string // where a key's value comes from; the default when absent
}

// maxErrors bounds how many are shown; a file of another program has any number.
const maxErrors = 50

// add notes that the value of key is unusable.
func (p *settingErrors) add(key, text string) {
	name := fmt.Sprintf("%s (%s)", key, envName(key))
	if from := p.source[key]; from != "" {
		name = fmt.Sprintf("%s (%s, set in %s)", key, envName(key), from)
	}
	p.failed[key] = true
	p.list = append(p.list, fmt.Errorf("%s: %s", name, text))
}

// require adds a problem with key unless ok holds, or the value of key or of another that
// ok depends on is unusable anyway.
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
	noun := "problems"
	if n == 1 {
		noun = "problem"
	}
	return fmt.Errorf("%d %s with the configuration:\n%w", n, noun, errors.Join(list...))
}

// loader finds the strongest value of each setting. viper keeps the layers; what viper
// would pass over in silence (unknown keys, sections of the wrong shape, variables of
// keys that no file names) is checked before it gets to see it.
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
		panic("config.yaml: " + err.Error()) // built in, so only a test ever sees this
	}
	for name, value := range defaults {
		l.viper.SetDefault(name, value)
	}
	return l
}

// variables takes every setting that get has and no stronger source had.
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

// variable is the value that get has for lf under one of its names. Its errors name
// variables and show no value.
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

// nonEmpty is get, for which an empty variable is an unset one: that is what compose
// files and shells make of a variable they do not know.
func nonEmpty(get lookup, name string) (string, bool) {
	value, ok := get(name)
	return value, ok && value != ""
}

// quotedLine finds the line that gotenv complains about. Its text, which may hold a
// secret, is used only to count how far down the file it is.
var quotedLine = regexp.MustCompile("(?s)^line `(.*)` ")

// dotenv reads the .env file at path, without touching the process's environment. No
// such file is no problem.
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
		l.list = append(l.list, fmt.Errorf(".env: %s is not of the form NAME=value, or a quote stays open", where))
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

// inspect returns what the file named by CONFIG_FILE rightly says under prefix, and notes
// the rest as problems.
func (l *loader) inspect(prefix string, values map[string]any) map[string]any {
	kept := make(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		key, value := prefix+name, values[name]
		lf, known := l.byKey[key]
		section, nested := value.(map[string]any)
		switch {
		case known && !strings.Contains(name, "."):
			if value == nil { // a key without a value leaves the default in place
				continue
			}
			if l.source[key] == "" {
				l.source[key] = "CONFIG_FILE"
			}
			if reflect.TypeOf(value).Kind() == reflect.Map { // whose names may be a secret themselves
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

// yamlLine finds the one thing worth keeping of the YAML reader's errors, which quote
// what they could not read.
var yamlLine = regexp.MustCompile(`line \d+`)

// parseYAML reads a document whose root is a section. The keys keep their case. Its
// errors quote nothing from data.
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
	// the reader stops after one document; settings in a second would have no effect
	if i := bytes.LastIndex(data, []byte("\n---")); i > 0 {
		first := make(map[string]any)
		if decoder.Decode(data[:i], first) == nil && len(first) > 0 {
			return nil, errors.New("want one YAML document, not several")
		}
	}
	return values, nil
}

// readConfigFile reads a file of at most maxConfigFile bytes. Its errors name neither the
// path nor the content: a secret put where a path belongs must not be shown either. What
// is not a regular file is refused, since opening a pipe may take for ever.
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
