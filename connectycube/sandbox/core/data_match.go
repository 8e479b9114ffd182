package core

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// MostOperands bounds the values of one query or operator; our own. They are compared
// with every record.
const MostOperands = 300

// Condition compares the value of a field of custom data
// (https://developers.connectycube.com/server/custom_objects, Search criterias).
type Condition struct {
	op       string
	operands []scalar
}

// NewCondition returns the condition f[op]=value, or f=value for the operator eq.
func NewCondition(op string, value any) (Condition, error) {
	values := []any{value}
	switch op {
	case "eq":
		if many, ok := value.([]any); ok {
			op, values = "in", many
		}
	case "ne", "gt", "gte", "lt", "lte", "ctn":
	case "in", "nin", "all", "or":
		values = listed(value)
	case "near", "calc":
		return Condition{}, NotImitated(op)
	default:
		return Condition{}, AsBase(422, "Invalid query: unknown operator")
	}
	if n := len(values); n == 0 || n > MostOperands {
		return Condition{}, AsBase(422, "Invalid query: "+op+" must have 1 to 300 values")
	}
	c := Condition{op: op}
	for _, v := range values {
		switch v.(type) {
		case map[string]any, []any:
			return Condition{}, AsBase(422, "Invalid query: "+op+" takes texts, numbers and booleans")
		}
		c.operands = append(c.operands, scalarOf(v))
	}
	return c, nil
}

// NotImitated returns the refusal of a part of custom data that the sandbox does not
// have.
func NotImitated(part string) error {
	return AsBase(422, "The sandbox does not imitate "+part+" of custom data")
}

// listed reads a list: a,b or [a,b].
func listed(value any) []any {
	if many, ok := value.([]any); ok {
		return many
	}
	text, ok := value.(string)
	if !ok {
		return []any{value}
	}
	var all []any
	for _, item := range (Params{"": text}).List("") {
		all = append(all, item)
	}
	return all
}

// Size returns the number of the condition's values.
func (c Condition) Size() int { return len(c.operands) }

// With returns the condition with each value's text replaced by edit.
func (c Condition) With(edit func(text string) string) Condition {
	operands := make([]scalar, len(c.operands))
	for i, operand := range c.operands {
		operands[i] = operand
		if operand.kind != ofNull {
			operands[i] = scalarOf(edit(operand.text))
		}
	}
	c.operands = operands
	return c
}

// Holds reports whether the value of a field fulfills the condition. A list does if one
// of its elements does; for ne and nin, none may have the value.
func (c Condition) Holds(v any) bool {
	values, isList := v.([]any)
	if !isList {
		values = []any{v}
	}
	switch c.op {
	case "ne", "nin":
		return !slices.ContainsFunc(values, c.isOperand)
	case "eq", "in", "or":
		return slices.ContainsFunc(values, c.isOperand)
	case "all":
		return c.areContained(values)
	}
	return slices.ContainsFunc(values, c.holdsOne)
}

func (c Condition) isOperand(v any) bool {
	return slices.ContainsFunc(c.operands, scalarOf(v).is)
}

func (c Condition) areContained(values []any) bool {
	have := make([]scalar, len(values))
	for i, v := range values {
		have[i] = scalarOf(v)
	}
	return !slices.ContainsFunc(c.operands, func(operand scalar) bool {
		return !slices.ContainsFunc(have, func(v scalar) bool { return v.is(operand) })
	})
}

// holdsOne is Holds for the operators that compare with one operand. Null is neither
// greater nor less than a value.
func (c Condition) holdsOne(v any) bool {
	have, want := scalarOf(v), c.operands[0]
	if have.kind == ofNull || want.kind == ofNull {
		return false
	}
	if c.op == "ctn" {
		return strings.Contains(have.text, want.text)
	}
	order := strings.Compare(have.text, want.text)
	if have.isNumber && want.isNumber {
		order = have.compare(want)
	}
	switch c.op {
	case "gt":
		return order > 0
	case "gte":
		return order >= 0
	case "lt":
		return order < 0
	}
	return order <= 0
}

// scalarKind is the type of a scalar, in the order in which lists sort them.
type scalarKind int

const (
	ofNull scalarKind = iota
	ofNumber
	ofText
	ofBoolean
	ofList // no scalar; only a SortKey has it
)

// scalar is a value with the number that its text may be: operands of a query are texts.
type scalar struct {
	kind     scalarKind
	text     string
	isNumber bool
	isWhole  bool
	whole    int64 // exact: IDs have more digits than a float64
	value    float64
}

func scalarOf(v any) scalar {
	text, ok := Scalar(v)
	if !ok {
		return scalar{}
	}
	s := scalar{kind: ofText, text: text}
	switch v.(type) {
	case json.Number:
		s.kind = ofNumber
	case bool:
		s.kind = ofBoolean
	}
	if s.whole, s.isWhole = Whole(text); s.isWhole {
		s.value, s.isNumber = float64(s.whole), true
	} else {
		s.value, s.isNumber = Number(text)
	}
	return s
}

// is compares a stored value with an operand: 1 is 1.0 for numbers and true for booleans,
// and null is null.
func (s scalar) is(operand scalar) bool {
	switch s.kind {
	case ofNull:
		return operand.kind == ofNull || operand.text == "null"
	case ofNumber:
		return operand.isNumber && s.compare(operand) == 0
	case ofBoolean:
		return operand.text == s.text || operand.text == "1" && s.text == "true" || operand.text == "0" && s.text == "false"
	}
	return operand.kind != ofNull && operand.text == s.text
}

// compare compares two numbers.
func (s scalar) compare(other scalar) int {
	if s.isWhole && other.isWhole {
		return cmp.Compare(s.whole, other.whole)
	}
	return cmp.Compare(s.value, other.value)
}

// SortKey orders values of a field: null first, then numbers, texts, booleans and lists.
type SortKey struct{ scalar }

// KeyOf returns the key of a value.
func KeyOf(v any) SortKey {
	if _, isList := v.([]any); isList {
		return SortKey{scalar{kind: ofList}}
	}
	return SortKey{scalarOf(v)}
}

// Compare returns the order of k and other.
func (k SortKey) Compare(other SortKey) int {
	switch {
	case k.kind != other.kind:
		return cmp.Compare(k.kind, other.kind)
	case k.kind == ofNumber:
		return k.compare(other.scalar)
	}
	return strings.Compare(k.text, other.text) // false comes before true
}

func numberOf(n int64) json.Number { return json.Number(strconv.FormatInt(n, 10)) }

func userID(u *User) string { return strconv.FormatInt(u.ID, 10) }

func kindOf(v any) fieldKind {
	_, isNumber := v.(json.Number)
	return fieldKind(isNumber)
}
