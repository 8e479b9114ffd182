package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// store is custom data with the means to fill it.
type store struct {
	*testing.T
	Data
	author Author
	newID  func(time.Time) string
}

func newStore(t *testing.T) *store {
	return &store{T: t, Data: newData(), author: Author{User: &User{ID: 7}, Now: time.Unix(1_800_000_000, 0)}, newID: newOIDs()}
}

func (s *store) create(class string, list ...Params) error {
	_, err := s.CreateRecords(class, s.author, s.newID, list...)
	return err
}

// want fails unless err is a refusal with this status.
func (s *store) want(status int, err error) {
	s.Helper()
	var refused *Refusal
	if !errors.As(err, &refused) || refused.Status != status {
		s.Errorf("error %v, want a refusal with %d", err, status)
	}
}

// sum counts the bytes of all that d holds.
func (d *Data) sum() (n int) {
	for _, r := range d.byID {
		n += r.weight()
	}
	for _, c := range d.classes {
		n += classWeight(c.fields)
	}
	return n
}

func TestCustomDataIsBounded(t *testing.T) {
	s := newStore(t)
	big := Params{"text": strings.Repeat("x", 200<<10)}
	full := 0
	for s.create("big", big) == nil {
		full++
	}
	if s.bytes > maxDataBytes || s.bytes < maxDataBytes*9/10 || s.bytes != s.sum() {
		t.Errorf("%d records take %d bytes, counted as %d", full, s.sum(), s.bytes)
	}
	s.want(503, s.create("big", big))
	s.want(503, s.create("other", Params{"n": "1"}, big))
	if s.classes["other"] != nil || s.Count() != full {
		t.Error("a refused request left something behind")
	}
	var one *Record
	for one = range s.Records("big") {
		break
	}
	changed, err := s.Update(s.author, Edit{one, Params{"text": "short"}})
	if err != nil {
		t.Fatalf("a full store refuses less: %v", err)
	}
	_, err = s.Update(s.author, Edit{changed[0], Params{"text": strings.Repeat("x", 256<<10)}})
	s.want(422, err) // too large for one record
	if err := s.create("small", Params{"n": "1"}); err != nil {
		t.Errorf("there is room again: %v", err)
	}
	for r := range s.Records("big") {
		s.Remove(r)
	}
	if s.bytes != s.sum() || len(s.classes) != 1 || s.Count() != 1 {
		t.Errorf("%d bytes counted, %d held, %d classes", s.bytes, s.sum(), len(s.classes))
	}
}

func TestClassesAndFieldsAreBounded(t *testing.T) {
	s := newStore(t)
	wide := Params{}
	for i := range maxClassFields {
		wide[fmt.Sprint("field ", i)] = "x"
	}
	if err := s.create("wide", wide); err != nil {
		t.Fatal(err)
	}
	s.want(422, s.create("wide", Params{"one more": "x"}))
	s.want(422, s.create("wide too", wide, Params{"one more": "x"}))
	for i := range maxClasses - 1 {
		if err := s.create(fmt.Sprint("class ", i), Params{}); err != nil {
			t.Fatal(err)
		}
	}
	s.want(503, s.create("one more", Params{}))
	for _, name := range []string{"", "a/b", "a.b", "a,b", "a[0]", "$a", "a\nb", strings.Repeat("x", 129)} {
		s.want(422, s.create(name, Params{}))
		s.want(422, s.create("wide", Params{name: "x"}))
	}
	for r := range s.Records("class 1") {
		s.Remove(r)
	}
	if err := s.create("one more", Params{}); err != nil {
		t.Errorf("a class without records takes a place: %v", err)
	}
	if s.bytes != s.sum() {
		t.Errorf("%d bytes counted, %d held", s.bytes, s.sum())
	}
}

func TestNumberOfRecordsIsBounded(t *testing.T) {
	s := newStore(t)
	batch := make([]Params, 1000)
	for range maxRecords / len(batch) {
		if err := s.create("many", batch...); err != nil {
			t.Fatal(err)
		}
	}
	s.want(503, s.create("many", Params{}))
}

func TestAParentAndItsChildAreRemovedAtOnce(t *testing.T) {
	s := newStore(t)
	if err := s.create("list", Params{"n": "1"}, Params{"n": "2"}, Params{"n": "3"}); err != nil {
		t.Fatal(err)
	}
	var all []*Record
	for r := range s.Records("list") {
		all = append(all, r)
	}
	changed, err := s.Update(s.author, Edit{all[1], Params{"_parent_id": all[0].ID}}, Edit{all[0], Params{"_parent_id": all[1].ID}})
	if err != nil {
		t.Fatal(err)
	}
	s.Remove(changed[1], changed[0], changed[1])
	if s.Count() != 1 || s.bytes != s.sum() || len(s.children) != 0 {
		t.Errorf("%d records, %d bytes counted, %d held, %d parents", s.Count(), s.bytes, s.sum(), len(s.children))
	}
}

// A data file can be edited or damaged.
func TestRestoredCustomDataIsChecked(t *testing.T) {
	whole := `[{"name":"notes","fields":{"n":true},"records":[{"id":"5c0d4f95ca8bf4291e8d3c2d","owner":7,"created_at":"2026-01-01T00:00:00Z",` +
		`"updated_at":"2026-01-01T00:00:00Z","fields":{"n":1,"t":["a"]},"permissions":[{"access":"open"},{"access":"owner"},{"access":"owner"}]}]}]`
	for name, edit := range map[string][2]string{
		"whole":         {"", ""},
		"class twice":   {whole[1 : len(whole)-1], whole[1:len(whole)-1] + "," + whole[1:len(whole)-1]},
		"class unnamed": {`"notes"`, `""`},
		"ID":            {"5c0d", "nnnn"},
		"parent":        {`"owner":7`, `"owner":7,"parent":"x"`},
		"object":        {`["a"]`, `{"a":1}`},
		"null":          {`["a"]`, `null`},
		"nested":        {`["a"]`, `[["a"]]`},
		"field":         {`"t"`, `"$t"`},
		"permission":    {`{"access":"open"},`, ``},
		"too large":     {`["a"]`, `"` + strings.Repeat("x", 300<<10) + `"`},
	} {
		var saved savedState
		dec := json.NewDecoder(strings.NewReader(strings.Replace(whole, edit[0], edit[1], 1)))
		dec.UseNumber()
		if err := dec.Decode(&saved.Classes); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		d := newData()
		err := d.restore(&saved)
		if name == "whole" {
			if err != nil || d.Count() != 1 || d.bytes != d.sum() {
				t.Errorf("restored %d, %d bytes of %d: %v", d.Count(), d.bytes, d.sum(), err)
			}
		} else if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
