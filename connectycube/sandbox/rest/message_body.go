package rest

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"cubegate/connectycube/sandbox/core"
)

// messageBody returns the message as a user sees it. Custom parameters are fields of
// the message.
func messageBody(m *core.Message, user int64) map[string]any {
	out := maps.Clone(m.Custom)
	if out == nil {
		out = map[string]any{}
	}
	maps.Copy(out, map[string]any{
		"_id":            m.ID,
		"chat_dialog_id": m.Dialog.ID,
		"message":        core.OrNull(m.Body),
		"sender_id":      m.Sender,
		"recipient_id":   m.Recipient,
		"date_sent":      m.Created.Unix(),
		"created_at":     m.Created.UTC().Format(seconds),
		"updated_at":     m.Updated.UTC().Format(seconds),
		"attachments":    append([]core.Attachment{}, m.Attachments...),
		"read_ids":       m.Read.List(),
		"delivered_ids":  m.Delivered.List(),
		"read":           readFlagOf(m),
		"views_count":    viewsOf(m),
		"reactions":      reactionsFor(m, user),
	})
	return out
}

// readFlagOf returns 1 if the recipient has read the message. Groups have no
// recipient, and the documented samples show 0.
func readFlagOf(m *core.Message) int {
	if m.Recipient != 0 && m.Read.Has(m.Recipient) {
		return 1
	}
	return 0
}

// viewsOf counts readers in public dialogs and broadcasts only
// (https://developers.connectycube.com/server/chat).
func viewsOf(m *core.Message) int {
	if m.Dialog.Counts() {
		return 0
	}
	return m.Readers()
}

// reactionsFor returns null, or the number of each reaction and the user's own ones.
func reactionsFor(m *core.Message, user int64) any {
	if len(m.Reactions) == 0 {
		return nil
	}
	mine, total := []string{}, map[string]int{}
	for _, kind := range slices.Sorted(maps.Keys(m.Reactions)) {
		total[kind] = len(m.Reactions[kind])
		if m.Reactions[kind].Has(user) {
			mine = append(mine, kind)
		}
	}
	return map[string]any{"own": mine, "total": total}
}

// readAttachments reads a list, or an object whose keys are numbers.
func readAttachments(v any) []core.Attachment {
	var given []any
	switch v := v.(type) {
	case []any:
		given = v
	case map[string]any:
		for _, key := range slices.SortedFunc(maps.Keys(v), numerically) {
			given = append(given, v[key])
		}
	}
	var all []core.Attachment
	for _, one := range given {
		fields, _ := one.(map[string]any)
		a := core.Attachment{}
		for key, value := range fields {
			if text, ok := core.Scalar(value); ok {
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

// customOf returns the parameters that are not the service's own.
func customOf(p core.Params) map[string]any {
	custom := map[string]any{}
	for key, value := range p {
		if !core.ReservedFields[key] {
			custom[key] = value
		}
	}
	return custom
}
