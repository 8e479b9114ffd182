package core

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Author is the user who changes custom data, and the time and form of the request.
type Author struct {
	User *User
	Now  time.Time
	Form bool // the request is a form, in which the text null means null
}

// draft is a version of a record that is not yet stored.
type draft struct {
	was  *Record // nil for a new record
	next *Record
	kind map[string]fieldKind // of the fields of its class
}

// CreateRecords stores new records of a class: all, or none. newID makes their IDs.
func (d *Data) CreateRecords(class string, a Author, newID func(time.Time) string, list ...Params) ([]*Record, error) {
	if text := CheckDataName(class); text != "" {
		return nil, AsBase(422, text)
	}
	kinds := d.fieldsOf(class)
	var drafts []*draft
	for _, fields := range list {
		one := &draft{kind: kinds, next: &Record{
			ID: newID(a.Now), Class: class, Owner: a.User.ID,
			Created: a.Now, Updated: a.Now, Fields: map[string]any{}, Permissions: newPermissions(),
		}}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if err := one.setField(name, fields[name], a); err != nil {
				return nil, err
			}
		}
		for name, value := range one.next.Fields {
			if _, known := kinds[name]; !known {
				kinds[name] = kindOf(value)
			}
		}
		drafts = append(drafts, one)
	}
	return stored(drafts), d.put(drafts)
}

// Edit is a change of one record.
type Edit struct {
	Record *Record
	Fields Params // new values, and operators
}

// Update changes records: all, or none. The caller has checked the right to update
// them. A record that occurs twice gets both changes, in their order.
func (d *Data) Update(a Author, edits ...Edit) ([]*Record, error) {
	byRecord := map[*Record]*draft{}
	var drafts []*draft
	for _, edit := range edits {
		one := byRecord[edit.Record]
		if one == nil {
			next := *edit.Record
			next.Fields = maps.Clone(next.Fields)
			next.Updated = a.Now
			one = &draft{was: edit.Record, next: &next, kind: d.classes[next.Class].fields}
			byRecord[edit.Record] = one
			drafts = append(drafts, one)
		}
		if err := one.change(edit.Fields, a); err != nil {
			return nil, err
		}
	}
	return stored(drafts), d.put(drafts)
}

func stored(drafts []*draft) []*Record {
	records := make([]*Record, len(drafts))
	for i, one := range drafts {
		records[i] = one.next
	}
	return records
}

// change applies the fields of an update, and then its operators.
func (d *draft) change(fields Params, a Author) error {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if _, isOperator := operators[name]; isOperator && fields.Object(name) != nil {
			continue
		}
		if err := d.setField(name, fields[name], a); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		operate, known := operators[name]
		if !known {
			continue
		}
		operands := fields.Object(name)
		for _, field := range slices.Sorted(maps.Keys(operands)) {
			if err := d.operate(operate, field, operands[field]); err != nil {
				return err
			}
		}
	}
	return nil
}

// setField sets one field of a request.
func (d *draft) setField(name string, value any, a Author) error {
	if a.Form && value == "null" {
		value = nil
	}
	switch name {
	case "_id", "id", "user_id", "created_at", "updated_at", "search_criteria":
		return nil // the service's own; an example of the documentation sends user_id
	case "_parent_id":
		return d.setParent(value)
	case "permissions":
		return d.setPermissions(value, a.User)
	}
	if text := CheckDataName(name); text != "" {
		return AsBase(422, text)
	}
	if elements, isIndexed := value.(map[string]any); isIndexed && d.was != nil {
		return d.operate(setElements, name, elements)
	}
	clean, err := d.clean(name, value)
	if err != nil {
		return err
	}
	d.store(name, clean)
	return nil
}

// store sets a clean value; nil clears the field.
func (d *draft) store(name string, clean any) {
	if clean == nil {
		delete(d.next.Fields, name)
		return
	}
	d.next.Fields[name] = clean
}

// clean checks a value, and converts a text to a number if the field has numbers.
func (d *draft) clean(name string, value any) (any, error) {
	switch v := value.(type) {
	case nil, bool:
		return v, nil
	case json.Number:
		if _, ok := Number(string(v)); !ok {
			return nil, AsBase(422, name+" has a number that is out of range")
		}
		return v, nil
	case string:
		if n, ok := Number(v); ok && d.kind[name] == numeric {
			return formatNumber(v, n), nil
		}
		return v, nil
	case []any:
		list := make([]any, len(v))
		for i, element := range v {
			one, err := d.clean(name, element)
			if _, nested := one.([]any); err != nil || nested || one == nil {
				return nil, AsBase(422, name+" must be a list of texts, numbers or booleans")
			}
			list[i] = one
		}
		return list, nil
	}
	return nil, AsBase(422, name+" is an object; a field has a text, a number, a boolean, or a list of them")
}

// formatNumber writes a number as JSON.
func formatNumber(text string, n float64) json.Number {
	if whole, ok := Whole(text); ok {
		return numberOf(whole)
	}
	return json.Number(strconv.FormatFloat(n, 'g', -1, 64))
}

func (d *draft) setParent(value any) error {
	id, _ := value.(string)
	if value != nil && id != "" && !IsOID(id) {
		return AsBase(422, "_parent_id must be the _id of a record")
	}
	if id == d.next.ID {
		return AsBase(422, "_parent_id must be the _id of another record")
	}
	d.next.Parent = id
	return nil
}

// setPermissions sets the actions that the request names. Only the owner may (assumed).
func (d *draft) setPermissions(value any, by *User) error {
	asked, ok := value.(map[string]any)
	switch {
	case !ok:
		return AsBase(422, "permissions must be an object with read, update and delete")
	case by.ID != d.next.Owner:
		return ErrForbidden
	}
	for _, action := range slices.Sorted(maps.Keys(asked)) {
		act := slices.Index(DataActs, action)
		if act < 0 {
			return AsBase(422, "permissions must name read, update or delete")
		}
		p, err := permissionOf(Params(asked).Object(action))
		if err != nil {
			return err
		}
		d.next.Permissions[act] = p
	}
	return nil
}

// DataActs are the names of the acts, by DataAct.
var DataActs = []string{"read", "update", "delete"}

// permissionOf reads a permission. The names of the lists are those of requests, of
// answers, and of the types of the JavaScript SDK.
func permissionOf(asked Params) (Permission, error) {
	p := Permission{Access: asked.Text("access")}
	users := listOfAny(asked, "ids", "users_ids", "user_ids")
	groups := listOfAny(asked, "groups", "users_groups", "user_groups")
	switch p.Access {
	case Open, OwnerOnly:
	case OpenForUsers:
		for _, text := range users {
			id, ok := Whole(text)
			if !ok {
				return Permission{}, AsBase(422, "ids of a permission must be user ids")
			}
			p.Users = append(p.Users, strconv.FormatInt(id, 10))
		}
		if p.Users == nil {
			return Permission{}, AsBase(422, OpenForUsers+" needs ids")
		}
	case OpenForGroups:
		if p.Groups = groups; p.Groups == nil {
			return Permission{}, AsBase(422, OpenForGroups+" needs groups")
		}
	case "not_allowed":
		return Permission{}, AsBase(422, "not_allowed is a permission of classes, and not of records")
	default:
		return Permission{}, AsBase(422, "access of a permission must be "+strings.Join([]string{Open, OwnerOnly, OpenForUsers, OpenForGroups}, ", "))
	}
	return p, nil
}

func listOfAny(p Params, keys ...string) []string {
	for _, key := range keys {
		if items := p.List(key); len(items) > 0 {
			return items
		}
	}
	return nil
}
