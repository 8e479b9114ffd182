package core

import (
	"container/list"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of custom data. They are our own. A full store refuses new content, because
// a record that silently replaced another would be lost data.
const (
	maxRecords     = 100_000
	maxDataBytes   = 64 << 20
	maxRecordBytes = 256 << 10
	maxClasses     = 500
	maxClassFields = 200
	maxDataName    = 128  // characters of the name of a class or field
	MostAtOnce     = 1000 // records of one create or update
)

var (
	errDataFull   = AsList(503, "The sandbox is full: it has as much custom data as it may")
	errRecordSize = AsBase(422, "a record must have at most 256 KiB")
)

// Data is the custom data of the application: records in classes
// (https://developers.connectycube.com/server/custom_objects). The Application's lock
// guards it. The service defines classes and the types of their fields in its
// dashboard. Here a class comes into being with its first record, and a field with its
// first value; both go with the last record.
type Data struct {
	classes  map[string]*class
	byID     map[string]*Record
	children map[string]map[*Record]struct{} // by the parent's ID
	bytes    int                             // of all records and classes
}

// class is a named list of records.
type class struct {
	name    string
	fields  map[string]fieldKind
	records *list.List // *Record, oldest first
}

// fieldKind is the little that the sandbox knows of a field's type: whether its first
// value was a number. Such a field stores the text 41 as a number, as a typed field would.
type fieldKind bool

const (
	anyKind fieldKind = false
	numeric fieldKind = true
)

// Record is one record of custom data. It is replaced and never changed, so answers may
// share its values.
type Record struct {
	ID      string
	Class   string
	Parent  string // the ID of another record; "": none
	Owner   int64
	Created time.Time
	Updated time.Time
	Fields  map[string]any // text, json.Number, boolean, or a list of these; without null

	Permissions Permissions

	place *list.Element // in class.records
}

func newData() Data {
	return Data{classes: map[string]*class{}, byID: map[string]*Record{}, children: map[string]map[*Record]struct{}{}}
}

// weight estimates the bytes that r keeps in memory.
func (r *Record) weight() int {
	n := 500 + weigh(r.Fields) + r.Permissions.weight()
	if r.Parent != "" {
		n += 200 + textBytes(r.Parent) // an entry in children, and perhaps its table
	}
	return n
}

func classWeight(fields map[string]fieldKind) int {
	n := 400 + tableBytes(len(fields), 24)
	for name := range fields {
		n += textBytes(name)
	}
	return n
}

// Find returns the record of a class with this ID; nil if there is none.
func (d *Data) Find(class, id string) *Record {
	if r := d.byID[id]; r != nil && r.Class == class {
		return r
	}
	return nil
}

// Count returns the number of all records.
func (d *Data) Count() int { return len(d.byID) }

// Records yields the records of a class, the oldest first. A class that does not exist
// has none.
func (d *Data) Records(class string) func(yield func(*Record) bool) {
	return func(yield func(*Record) bool) {
		c := d.classes[class]
		if c == nil {
			return
		}
		for e := c.records.Front(); e != nil; {
			next := e.Next() // the consumer may remove the record
			if !yield(e.Value.(*Record)) {
				return
			}
			e = next
		}
	}
}

// Fields returns the names of the fields of a class, ascending.
func (d *Data) Fields(class string) []string {
	c := d.classes[class]
	if c == nil {
		return nil
	}
	names := make([]string, 0, len(c.fields))
	for name := range c.fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// CheckDataName returns the error text for a name that no class or field can have.
func CheckDataName(name string) string {
	switch n := utf8.RuneCountInString(name); {
	case n == 0 || n > maxDataName:
		return "the name of a class or field must have 1 to 128 characters"
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || strings.ContainsRune("[].$,/", r) }):
		return "the name of a class or field must not contain control characters or []., $ and /"
	}
	return ""
}

// put stores drafts: all, or none if there is no room. Each is the new version of a
// record, or a new record.
func (d *Data) put(drafts []*draft) error {
	more, added := 0, 0
	for _, one := range drafts {
		size := one.next.weight()
		if size > maxRecordBytes {
			return errRecordSize
		}
		more += size
		if one.was == nil {
			added++
		} else {
			more -= one.was.weight()
		}
	}
	fields, size, err := d.grown(drafts)
	if err != nil {
		return err
	}
	more += size
	if len(d.byID)+added > maxRecords || more > 0 && d.bytes+more > maxDataBytes {
		return errDataFull
	}
	d.bytes += more
	for name, known := range fields {
		if d.classes[name] == nil {
			d.classes[name] = &class{name: name, records: list.New()}
		}
		d.classes[name].fields = known
	}
	for _, one := range drafts {
		d.set(one)
	}
	return nil
}

// grown returns the fields of the classes of drafts after these are stored, and the
// bytes that they add.
func (d *Data) grown(drafts []*draft) (fields map[string]map[string]fieldKind, more int, err error) {
	fields = map[string]map[string]fieldKind{}
	for _, one := range drafts {
		name := one.next.Class
		known := fields[name]
		if known == nil {
			known = d.fieldsOf(name)
			fields[name] = known
		}
		for field, value := range one.next.Fields {
			if _, has := known[field]; !has {
				known[field] = kindOf(value)
			}
		}
		if len(known) > maxClassFields {
			return nil, 0, AsBase(422, "a class must have at most 200 fields")
		}
	}
	classes := len(d.classes)
	for name, known := range fields {
		more += classWeight(known)
		if c := d.classes[name]; c != nil {
			more -= classWeight(c.fields)
		} else {
			classes++
		}
	}
	if classes > maxClasses {
		return nil, 0, errDataFull
	}
	return fields, more, nil
}

// fieldsOf returns a copy of the fields of a class, which may not exist.
func (d *Data) fieldsOf(name string) map[string]fieldKind {
	known := map[string]fieldKind{}
	if c := d.classes[name]; c != nil {
		for field, kind := range c.fields {
			known[field] = kind
		}
	}
	return known
}

// set replaces a record, or adds it.
func (d *Data) set(one *draft) {
	r := one.next
	if one.was == nil {
		r.place = d.classes[r.Class].records.PushBack(r)
	} else {
		d.orphan(one.was)
		r.place = one.was.place
		r.place.Value = r
	}
	d.byID[r.ID] = r
	if r.Parent != "" {
		if d.children[r.Parent] == nil {
			d.children[r.Parent] = map[*Record]struct{}{}
		}
		d.children[r.Parent][r] = struct{}{}
	}
}

// orphan removes the record from the children of its parent.
func (d *Data) orphan(r *Record) {
	delete(d.children[r.Parent], r)
	if len(d.children[r.Parent]) == 0 {
		delete(d.children, r.Parent)
	}
}

// Remove deletes records and their children, and theirs, in all classes.
func (d *Data) Remove(records ...*Record) {
	for len(records) > 0 {
		r := records[len(records)-1]
		records = records[:len(records)-1]
		if d.byID[r.ID] != r {
			continue // two records can be each other's parents
		}
		d.orphan(r)
		delete(d.byID, r.ID)
		c := d.classes[r.Class]
		c.records.Remove(r.place)
		d.bytes -= r.weight()
		if c.records.Len() == 0 {
			d.bytes -= classWeight(c.fields)
			delete(d.classes, c.name)
		}
		for child := range d.children[r.ID] {
			records = append(records, child)
		}
	}
}

// The acts that a Permission allows.
type DataAct int

const (
	ToRead DataAct = iota
	ToUpdate
	ToDelete
)

// Permissions hold a Permission for each DataAct.
type Permissions [3]Permission

// The levels of a Permission, by their names in the API.
const (
	Open          = "open"
	OwnerOnly     = "owner"
	OpenForGroups = "open_for_groups"
	OpenForUsers  = "open_for_users_ids"
)

// Permission tells which users may do an act with a record. Its owner always may
// (assumed).
type Permission struct {
	Access string
	Users  []string // IDs, with OpenForUsers
	Groups []string // tags of users, with OpenForGroups
}

// newPermissions returns the documented ones of a new record.
func newPermissions() Permissions {
	return Permissions{{Access: Open}, {Access: OwnerOnly}, {Access: OwnerOnly}}
}

func (p *Permissions) weight() (n int) {
	for _, one := range p {
		for _, text := range slices.Concat(one.Users, one.Groups) {
			n += 16 + textBytes(text)
		}
	}
	return n
}

// Allows reports whether the user may do the act with the record.
func (r *Record) Allows(u *User, act DataAct) bool {
	p := r.Permissions[act]
	switch {
	case u.ID == r.Owner, p.Access == Open:
		return true
	case p.Access == OpenForUsers:
		return slices.Contains(p.Users, userID(u))
	case p.Access == OpenForGroups:
		return slices.ContainsFunc(u.Tags, func(tag string) bool { return slices.Contains(p.Groups, tag) })
	}
	return false
}

// Value returns the value of a field, including those of every record; nil is null.
func (r *Record) Value(field string) any {
	switch field {
	case "_id":
		return r.ID
	case "_parent_id":
		if r.Parent == "" {
			return nil
		}
		return r.Parent
	case "user_id":
		return numberOf(r.Owner)
	case "created_at":
		return numberOf(r.Created.Unix())
	case "updated_at":
		return numberOf(r.Updated.Unix())
	}
	return r.Fields[field]
}
