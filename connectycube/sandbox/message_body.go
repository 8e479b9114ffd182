package sandbox

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
)

// public is the message as a user sees it: custom parameters stand beside the
// rest.
func (m *message) public(user int64) map[string]any {
	out := maps.Clone(m.custom)
	if out == nil {
		out = map[string]any{}
	}
	maps.Copy(out, map[string]any{
		"_id":            m.id,
		"chat_dialog_id": m.dialog.id,
		"message":        orNull(m.body),
		"sender_id":      m.sender,
		"recipient_id":   m.recipient,
		"date_sent":      m.created.Unix(),
		"created_at":     m.created.UTC().Format(seconds),
		"updated_at":     m.updated.UTC().Format(seconds),
		"attachments":    append([]attachment{}, m.attachments...),
		"read_ids":       m.read.list(),
		"delivered_ids":  m.delivered.list(),
		"read":           m.readFlag(),
		"views_count":    m.views(),
		"reactions":      m.reactionsFor(user),
	})
	return out
}

// readFlag is 1 when the recipient read it. In groups there is none, and the
// documented samples show 0.
func (m *message) readFlag() int {
	if m.recipient != 0 && m.read.has(m.recipient) {
		return 1
	}
	return 0
}

// views counts in public dialogs and broadcasts only (doc).
func (m *message) views() int {
	if m.dialog.counts() {
		return 0
	}
	return m.readers()
}

// reactionsFor is null, or who reacted in numbers and what is the user's own.
func (m *message) reactionsFor(user int64) any {
	if len(m.reactions) == 0 {
		return nil
	}
	mine, total := []string{}, map[string]int{}
	for _, kind := range slices.Sorted(maps.Keys(m.reactions)) {
		total[kind] = len(m.reactions[kind])
		if m.reactions[kind].has(user) {
			mine = append(mine, kind)
		}
	}
	return map[string]any{"own": mine, "total": total}
}

// readAttachments takes a list, or an object whose keys are numbers.
func readAttachments(v any) []attachment {
	var given []any
	switch v := v.(type) {
	case []any:
		given = v
	case map[string]any:
		for _, key := range slices.SortedFunc(maps.Keys(v), numerically) {
			given = append(given, v[key])
		}
	}
	var all []attachment
	for _, one := range given {
		fields, _ := one.(map[string]any)
		a := attachment{}
		for key, value := range fields {
			if text, ok := scalar(value); ok {
				a[key] = text
			}
		}
		if len(a) > 0 {
			all = append(all, a)
		}
	}
	return all
}

func numerically(a, b string) int {
	x, _ := strconv.Atoi(a)
	y, _ := strconv.Atoi(b)
	return cmp.Or(cmp.Compare(x, y), cmp.Compare(a, b))
}

// customOf is what is no parameter of the service's own.
func customOf(p params) map[string]any {
	custom := map[string]any{}
	for key, value := range p {
		if !own[key] {
			custom[key] = value
		}
	}
	return custom
}
