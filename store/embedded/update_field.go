package embedded

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// compileRename compiles one path of $rename. The modifier has the path that the value goes to.
func compileRename(path string, from []string, arg value) (modifier, error) {
	if arg.Type != bsoncore.TypeString {
		return modifier{}, fail(codeBadValue, "The 'to' field for $rename must be a string: %s", path)
	}
	to := stringOf(arg)
	if to == path {
		return modifier{}, fail(codeBadValue, "The source and target field for $rename must differ: %s", path)
	}
	parts, err := checkPath(to)
	return modifier{path: to, parts: parts, from: from}, err
}

// rename moves a value, and replaces the value at the new path. Neither path may lead through an array.
func (m *modifier) rename(d document) (document, error) {
	var v value
	without, err := edit(d, m.from, needViable, func(old value) (value, error) {
		v = old
		return value{}, nil
	})
	if err != nil || v.Type == 0 {
		return d, err
	}
	if throughArray(d, m.from) {
		return d, fail(codeBadValue, "The source field cannot be an array element, for $rename to '%s'", m.path)
	}
	if throughArray(d, m.parts) {
		return d, fail(codeBadValue, "The destination field cannot be an array element, for $rename to '%s'", m.path)
	}
	return edit(without, m.parts, makeParents, func(value) (value, error) { return v, nil })
}

// throughArray reports whether a path leads through an array.
func throughArray(d document, parts []string) bool {
	_, below, _ := descend(d, parts)
	return len(below) > 0
}

// compileCurrentDate sets the time at which the command is read. Unlike MongoDB's, two timestamps
// of one second are equal: their increment is always 1.
func compileCurrentDate(arg value) (change, error) {
	now, kind := time.Now(), "date"
	switch arg.Type {
	case bsoncore.TypeBoolean:
	case bsoncore.TypeEmbeddedDocument:
		f := newForm("$currentDate", arg.Data)
		kind = f.string("$type")
		if err := f.finish(); err != nil {
			return nil, err
		}
	default:
		kind = ""
	}
	switch kind {
	case "date":
		return compileSet(value{Type: bsoncore.TypeDateTime, Data: bsoncore.AppendDateTime(nil, now.UnixMilli())})
	case "timestamp":
		return compileSet(value{Type: bsoncore.TypeTimestamp, Data: bsoncore.AppendTimestamp(nil, uint32(now.Unix()), 1)})
	}
	return nil, fail(codeBadValue, "$currentDate needs a boolean, or {$type: 'date'} or {$type: 'timestamp'}")
}
