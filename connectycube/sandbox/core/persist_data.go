package core

import (
	"container/list"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Custom data in the data file.
type (
	savedClass struct {
		Name    string          `json:"name"`
		Numbers map[string]bool `json:"fields"` // whether a field has numbers
		Records []savedRecord   `json:"records"`
	}
	savedRecord struct {
		ID          string            `json:"id"`
		Parent      string            `json:"parent,omitempty"`
		Owner       int64             `json:"owner"`
		Created     time.Time         `json:"created_at"`
		Updated     time.Time         `json:"updated_at"`
		Fields      map[string]any    `json:"fields"`
		Permissions []savedPermission `json:"permissions"` // by DataAct
	}
	savedPermission struct {
		Access string   `json:"access"`
		Users  []string `json:"users,omitempty"`
		Groups []string `json:"groups,omitempty"`
	}
)

func (d *Data) save(out *savedState) {
	for _, name := range slices.Sorted(maps.Keys(d.classes)) {
		c := savedClass{Name: name, Numbers: map[string]bool{}}
		for field, kind := range d.classes[name].fields {
			c.Numbers[field] = kind == numeric
		}
		for r := range d.Records(name) {
			one := savedRecord{ID: r.ID, Parent: r.Parent, Owner: r.Owner, Created: r.Created, Updated: r.Updated, Fields: r.Fields}
			for _, p := range r.Permissions {
				one.Permissions = append(one.Permissions, savedPermission(p))
			}
			c.Records = append(c.Records, one)
		}
		out.Classes = append(out.Classes, c)
	}
}

// restore loads custom data. It applies the bounds, and checks values as a request does.
func (d *Data) restore(saved *savedState) error {
	for _, from := range saved.Classes {
		if d.classes[from.Name] != nil || CheckDataName(from.Name) != "" || len(from.Records) == 0 {
			return fmt.Errorf("class %q occurs twice, or is incomplete", from.Name)
		}
		c := &class{name: from.Name, fields: map[string]fieldKind{}, records: list.New()}
		for field, isNumber := range from.Numbers {
			c.fields[field] = fieldKind(isNumber)
		}
		d.classes[from.Name] = c
		d.bytes += classWeight(c.fields)
		drafts, err := d.restored(from)
		if err == nil {
			err = d.put(drafts)
		}
		var refused *Refusal
		if errors.As(err, &refused) {
			err = fmt.Errorf("class %q is too large, or has a value of no type", from.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Data) restored(c savedClass) ([]*draft, error) {
	var drafts []*draft
	seen := map[string]bool{}
	for _, from := range c.Records {
		r := &Record{
			ID: from.ID, Class: c.Name, Parent: from.Parent, Owner: from.Owner,
			Created: from.Created, Updated: from.Updated, Fields: map[string]any{},
		}
		isWhole := IsOID(r.ID) && (r.Parent == "" || IsOID(r.Parent)) && !seen[r.ID] && d.byID[r.ID] == nil && len(from.Permissions) == len(r.Permissions)
		if !isWhole {
			return nil, fmt.Errorf("record %q occurs twice, or is incomplete", from.ID)
		}
		seen[r.ID] = true
		for i, p := range from.Permissions {
			r.Permissions[i] = Permission(p)
		}
		one := &draft{next: r}
		for name, value := range from.Fields {
			clean, err := one.clean(name, value)
			if err != nil || clean == nil || CheckDataName(name) != "" {
				return nil, fmt.Errorf("record %s has a value of no type", from.ID)
			}
			r.Fields[name] = clean
		}
		drafts = append(drafts, one)
	}
	return drafts, nil
}
