package core

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
)

// operator computes the new value of a field.
type operator func(have field, operand any) (any, error)

// field is a field of a draft that an operator changes.
type field struct {
	*draft
	name  string
	value any
}

// operators are the documented ones, and two names for their variants that the types of
// the JavaScript SDK contain.
var operators = map[string]operator{
	"inc":              increase,
	"pull":             pull,
	"pull_with_filter": pull,
	"pull_all":         pullAll,
	"pop":              pop,
	"push":             push,
	"add_to_set":       addToSet,
	"update_by_index":  setElements,
}

// operate applies an operator to one field.
func (d *draft) operate(operate operator, name string, operand any) error {
	if text := CheckDataName(name); text != "" {
		return AsBase(422, text)
	}
	value, err := operate(field{d, name, d.next.Fields[name]}, operand)
	if err != nil {
		return err
	}
	d.store(name, value)
	return nil
}

// list returns the elements of the field; null is an empty list.
func (f field) list() ([]any, error) {
	if f.value == nil {
		return nil, nil
	}
	list, ok := f.value.([]any)
	if !ok {
		return nil, AsBase(422, f.name+" is not an array")
	}
	return list, nil
}

// elements reads the operand of an operator on lists: one value or several.
func (f field) elements(operand any) ([]any, error) {
	many, ok := operand.([]any)
	if !ok {
		many = []any{operand}
	}
	if n := len(many); n == 0 || n > MostOperands {
		return nil, AsBase(422, f.name+" needs 1 to 300 values")
	}
	clean, err := f.clean(f.name, many)
	if err != nil {
		return nil, err
	}
	return clean.([]any), nil
}

// increase adds a number to a number; null counts as 0.
func increase(f field, operand any) (any, error) {
	text, _ := Scalar(operand)
	by, ok := Number(text)
	if !ok {
		return nil, AsBase(422, "inc of "+f.name+" needs a number")
	}
	if f.value == nil {
		return formatNumber(text, by), nil
	}
	own, _ := Scalar(f.value)
	have, ok := Number(own)
	if !ok {
		return nil, AsBase(422, f.name+" is not a number")
	}
	a, isWhole := Whole(own)
	b, areWhole := Whole(text)
	if sum := a + b; isWhole && areWhole && (sum > a) == (b > 0) {
		return numberOf(sum), nil
	}
	sum := have + by
	if math.IsInf(sum, 0) {
		return nil, AsBase(422, f.name+" would be out of range")
	}
	return json.Number(strconv.FormatFloat(sum, 'g', -1, 64)), nil
}

// pull removes the elements that equal a value, or that fulfill the conditions
// {operator: value}.
func pull(f field, operand any) (any, error) {
	list, err := f.list()
	if err != nil {
		return nil, err
	}
	filter, ok := operand.(map[string]any)
	if !ok {
		filter = map[string]any{"eq": operand}
	}
	var conditions []Condition
	for _, op := range slices.Sorted(maps.Keys(filter)) {
		c, err := NewCondition(op, filter[op])
		if err != nil {
			return nil, err
		}
		conditions = append(conditions, c)
	}
	return without(list, func(v any) bool {
		return len(conditions) > 0 && !slices.ContainsFunc(conditions, func(c Condition) bool { return !c.Holds(v) })
	}), nil
}

func pullAll(f field, operand any) (any, error) {
	list, err := f.list()
	if err != nil {
		return nil, err
	}
	c, err := NewCondition("in", operand)
	if err != nil {
		return nil, err
	}
	return without(list, c.Holds), nil
}

// without returns a list without some elements. An empty list stays a list.
func without(list []any, unwanted func(any) bool) any {
	if list == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(list), unwanted)
}

// pop removes the last element, or with -1 the first.
func pop(f field, operand any) (any, error) {
	list, err := f.list()
	text, _ := Scalar(operand)
	end, ok := Whole(text)
	switch {
	case err != nil:
		return nil, err
	case !ok || end != 1 && end != -1:
		return nil, AsBase(422, "pop of "+f.name+" must be 1 or -1")
	case list == nil:
		return nil, nil
	case len(list) == 0:
		return list, nil
	case end < 0:
		return slices.Clone(list[1:]), nil
	}
	return slices.Clone(list[:len(list)-1]), nil
}

func push(f field, operand any) (any, error) {
	list, err := f.list()
	if err != nil {
		return nil, err
	}
	more, err := f.elements(operand)
	return slices.Concat(list, more), err
}

func addToSet(f field, operand any) (any, error) {
	list, err := f.list()
	if err != nil {
		return nil, err
	}
	more, err := f.elements(operand)
	if err != nil {
		return nil, err
	}
	set := slices.Clone(list)
	for _, v := range more {
		if !slices.Contains(set, v) {
			set = append(set, v)
		}
	}
	return set, nil
}

// setElements replaces elements by their index, from 0.
func setElements(f field, operand any) (any, error) {
	elements, ok := operand.(map[string]any)
	list, err := f.list()
	switch {
	case err != nil:
		return nil, err
	case !ok || len(elements) == 0:
		return nil, AsBase(422, f.name+" needs an index and a value")
	}
	changed := slices.Clone(list)
	for _, key := range slices.Sorted(maps.Keys(elements)) {
		i, err := strconv.Atoi(key)
		if err != nil || i < 0 || i >= len(changed) {
			return nil, AsBase(422, f.name+" has no element "+ValidText(key[:min(len(key), 20)]))
		}
		clean, err := f.clean(f.name, elements[key])
		if _, nested := clean.([]any); err != nil || nested || clean == nil {
			return nil, AsBase(422, f.name+" must be a list of texts, numbers or booleans")
		}
		changed[i] = clean
	}
	return changed, nil
}
