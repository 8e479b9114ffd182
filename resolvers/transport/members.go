package transport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"unicode"

	"cubegate/resolvers/apierror"
)

// maxNesting bounds the depth of objects and lists in a body.
// The deepest input of the schema needs 3 levels; free-form extensions need few.
const maxNesting = 64

// maxBodyValues bounds the values of a body: strings, numbers, objects, lists. A
// registration has fewer than 20. A body of 64 KiB with empty objects alone would
// take megabytes once decoded.
const maxBodyValues = 2000

// checkMembers refuses a JSON object in which two members could be confused, so
// that no two readers of a body see different values in it. encoding/json takes the
// last of two equal names and matches the fields of a struct in any letter case;
// its successor, which does neither, still needs GOEXPERIMENT.
//
// An object that is read into a struct must spell the names of fields exactly,
// and may hold no names that differ by letter case alone. An object that is read
// into a map (variables, extensions) may: its names are case-sensitive. No object
// may hold one name twice.
//
// The error names known fields only, never the input. Input that is not JSON
// passes, because json.Unmarshal refuses it next.
func checkMembers(raw []byte, into reflect.Type) error {
	w := memberWalk{dec: json.NewDecoder(bytes.NewReader(raw))}
	w.dec.UseNumber() // json.Unmarshal reports a number that overflows float64
	err := w.value(into, nil, 0)
	if w.malformed {
		return nil
	}
	return err
}

// memberWalk reads one JSON value from dec.
type memberWalk struct {
	dec       *json.Decoder
	values    int
	malformed bool
}

// value reads one value. t is the type that it is decoded into, or nil; path names
// the known fields above it; depth counts the objects and lists around it.
func (w *memberWalk) value(t reflect.Type, path []string, depth int) error {
	token, ok := w.token()
	if !ok {
		return nil
	}
	if w.values++; w.values > maxBodyValues {
		return &apierror.Error{Code: apierror.BadUserInput, Message: fmt.Sprintf("The body has more than %d values", maxBodyValues)}
	}
	delim, _ := token.(json.Delim)
	if delim != '{' && delim != '[' {
		return nil
	}
	if depth++; depth > maxNesting {
		return &apierror.Error{Code: apierror.BadUserInput, Message: fmt.Sprintf("The body is nested deeper than %d levels", maxNesting)}
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if delim == '[' {
		return w.list(t, path, depth)
	}
	return w.object(t, path, depth)
}

func (w *memberWalk) list(t reflect.Type, path []string, depth int) error {
	var item reflect.Type
	if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
		item = t.Elem()
	}
	for w.dec.More() {
		if err := w.value(item, path, depth); err != nil || w.malformed {
			return err
		}
	}
	w.token() // the closing bracket
	return nil
}

func (w *memberWalk) object(t reflect.Type, path []string, depth int) error {
	fields := fieldTypes(t)
	folded := t != nil && t.Kind() == reflect.Struct
	seen := map[string]bool{}
	for w.dec.More() {
		token, ok := w.token()
		if !ok {
			return nil
		}
		name, _ := token.(string)
		member, inner, err := matchMember(fields, name, path)
		if err != nil {
			return err
		}
		key := name
		if _, known := fields[name]; folded && !known { // no other spelling of a known one is accepted
			key = foldCase(name)
		}
		if seen[key] {
			return duplicateMember(fields, name, path)
		}
		seen[key] = true
		if inner == nil && t != nil && t.Kind() == reflect.Map {
			inner = t.Elem()
		}
		if err := w.value(inner, member, depth); err != nil || w.malformed {
			return err
		}
	}
	w.token() // the closing brace
	return nil
}

// token returns the next token. It returns false, and notes that the input is not
// JSON, if there is none.
func (w *memberWalk) token() (json.Token, bool) {
	token, err := w.dec.Token()
	if err != nil {
		w.malformed = true
	}
	return token, err == nil
}

// fieldTypes returns the types of the fields of t by their names in JSON, or nil if
// t is no struct.
func fieldTypes(t reflect.Type) map[string]reflect.Type {
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	fields := make(map[string]reflect.Type, t.NumField())
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" {
			name = field.Name
		}
		fields[name] = field.Type
	}
	return fields
}

// matchMember returns the path and the type of the field called name. It
// refuses a name that differs from a field's by letter case alone. The path does
// not grow below an unknown name.
func matchMember(fields map[string]reflect.Type, name string, path []string) ([]string, reflect.Type, error) {
	if t, known := fields[name]; known {
		return child(path, name), t, nil
	}
	for field := range fields {
		if strings.EqualFold(field, name) {
			p := apierror.FieldErrors{strings.Join(child(path, field), "."): "is spelled in a different letter case; names are case-sensitive"}
			return nil, nil, p.Err()
		}
	}
	return path, nil, nil
}

// duplicateMember returns an error that names the field that occurs twice in the
// object at path. It does not quote a name that is no field's.
func duplicateMember(fields map[string]reflect.Type, name string, path []string) error {
	if _, known := fields[name]; known {
		p := apierror.FieldErrors{strings.Join(child(path, name), "."): "occurs more than once; send it once"}
		return p.Err()
	}
	if len(path) > 0 {
		p := apierror.FieldErrors{strings.Join(path, "."): "has a member that occurs more than once; send it once"}
		return p.Err()
	}
	return &apierror.Error{Code: apierror.BadUserInput, Message: "The body has a member that occurs more than once, in any letter case; send it once"}
}

// foldCase returns the same text for all names that are equal by strings.EqualFold,
// the rule of encoding/json.
func foldCase(name string) string {
	return strings.Map(func(r rune) rune {
		for {
			next := unicode.SimpleFold(r)
			if next <= r { // the smallest rune of the orbit
				return next
			}
			r = next
		}
	}, name)
}
