package connectycube

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// id reads a number or a numeric string; null is zero.
type id int64

func (i *id) UnmarshalJSON(raw []byte) error {
	var t text
	if err := t.UnmarshalJSON(raw); err != nil {
		return err
	}
	if t == "" {
		*i = 0
		return nil
	}
	n, err := strconv.ParseInt(string(t), 10, 64)
	if err != nil {
		return fmt.Errorf("%d bytes are no ID", len(raw))
	}
	*i = id(n)
	return nil
}

// text reads a string or a number; null is empty.
type text string

func (t *text) UnmarshalJSON(raw []byte) error {
	switch first := raw[0]; {
	case string(raw) == "null":
		*t = ""
		return nil
	case first == '"':
		return json.Unmarshal(raw, (*string)(t))
	case first == '-' || '0' <= first && first <= '9': // the decoder has checked that it is a number
		*t = text(raw)
		return nil
	}
	return fmt.Errorf("%d bytes are neither a string nor a number", len(raw))
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
