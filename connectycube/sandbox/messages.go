package sandbox

import (
	"net/http"
	"slices"
	"time"
)

// messageFields are the documented fields to filter by, and created_at and
// chat_dialog_id, which the Admin API has.
var messageFields = map[string]field[*message]{
	"_id":            {text: func(m *message) string { return m.id }},
	"chat_dialog_id": {text: func(m *message) string { return m.dialog.id }},
	"message":        {text: func(m *message) string { return m.body }},
	"sender_id":      numberOf(func(m *message) int64 { return m.sender }),
	"recipient_id":   numberOf(func(m *message) int64 { return m.recipient }),
	"date_sent":      dateOf(func(m *message) time.Time { return m.created }),
	"created_at":     dateOf(func(m *message) time.Time { return m.created }),
	"updated_at":     dateOf(func(m *message) time.Time { return m.updated }),
	"attachments.type": {texts: func(m *message) []string {
		var types []string
		for _, a := range m.attachments {
			if a["type"] != "" {
				types = append(types, a["type"])
			}
		}
		return types
	}},
}

// customField finds messages by a custom parameter (assumed; the service's
// ancestor could).
func customField(name string) field[*message] {
	return field[*message]{text: func(m *message) string {
		text, _ := scalar(m.custom[name])
		return text
	}}
}

// messageLists is the grammar of GET /chat/Message. The highest limit is taken
// from a documented sample.
var messageLists = grammar[*message]{
	fields:  messageFields,
	unknown: customField,
	alone:   []string{"chat_dialog_id", "mark_as_read", "preview", "count"},
	sorts:   pick(messageFields, "date_sent", "created_at", "updated_at", "_id"),
	usual:   "date_sent",
	limit:   100,
	most:    1000,
	tie:     byArrival,
}

const previewLength = 20 // messages (doc)

// createMessage stores a message, and sends it on when asked to.
func createMessage(s *API, q *request, live *session) (reply, error) {
	me := live.user.id
	d, err := s.target(q, me)
	if err != nil {
		return reply{}, err
	}
	if !d.may(me, toSend) {
		return reply{}, errForbidden
	}
	m := &message{
		dialog:      d,
		sender:      me,
		recipient:   d.opponent(me),
		body:        q.params.text("message"),
		attachments: readAttachments(q.params["attachments"]),
		custom:      customOf(q.params),
	}
	s.archive.post(m, q.now)
	if q.params.flag("send_to_chat") {
		s.alert(m)
		s.notifier.Deliver(m)
	}
	return reply{status: http.StatusCreated, body: m.public(me)}, nil
}

// target is the dialog a message goes to; without chat_dialog_id the private one
// with the recipient.
func (s *API) target(q *request, me int64) (*dialog, error) {
	if id := q.params.text("chat_dialog_id"); id != "" {
		return s.archive.find(id, me)
	}
	to, ok := q.params.integer("recipient_id")
	switch {
	case !ok:
		return nil, errNoTarget
	case to == me, s.registry.users[to] == nil:
		return nil, errNoOpponent
	}
	return s.archive.privateDialog(me, to, q.now), nil
}

// listMessages shows a dialog's messages and, unless told not to, marks those it
// shows as read.
func listMessages(s *API, q *request, live *session) (reply, error) {
	me := live.user.id
	id := q.params.text("chat_dialog_id")
	if id == "" {
		return reply{}, errNoDialogID
	}
	query, err := messageLists.parse(q.params)
	if err != nil {
		return reply{}, err
	}
	d, err := s.archive.find(id, me)
	if err == errForbidden && q.params.flag("preview") {
		return s.previewMessages(id, me)
	}
	if err != nil {
		return reply{}, err
	}
	page, total := query.run(func(yield func(*message) bool) {
		for _, m := range d.messages {
			if !m.deletedFor.has(me) && !yield(m) {
				return
			}
		}
	})
	if q.params.flag("count") {
		return countReply(total), nil
	}
	if mark := q.params.text("mark_as_read"); mark != "0" && mark != "false" {
		moved := false
		for _, m := range page {
			moved = s.archive.mark(m, me, true, q.now) || moved
		}
		if moved {
			s.changed() // as no other GET does
		}
	}
	answer := messagesReply(page, me, query.skip, query.limit)
	s.archive.shrink()
	return answer, nil
}

// previewMessages shows somebody who is no occupant the end of a dialog that
// allows it. Filters and paging do not apply, and nothing is marked (doc; the
// latter assumed).
func (s *API) previewMessages(id string, me int64) (reply, error) {
	d := s.archive.dialogs[id]
	if !d.permissions["allow_preview"] {
		return reply{}, errForbidden
	}
	from := max(0, len(d.messages)-previewLength)
	return messagesReply(d.messages[from:], me, 0, previewLength), nil
}

func messagesReply(page []*message, user int64, skip, limit int) reply {
	items := make([]map[string]any, len(page))
	for i, m := range page {
		items[i] = m.public(user)
	}
	return reply{status: http.StatusOK, body: map[string]any{"skip": skip, "limit": limit, "items": items}}
}

// unreadCount counts in all dialogs, or in those that are named and the
// caller's; total is their sum (by the documented sample).
func unreadCount(s *API, q *request, live *session) (reply, error) {
	me := live.user.id
	named := q.params.list("chat_dialog_ids")
	counts, total := map[string]int{}, 0
	for d := range s.archive.dialogsOf(me) {
		if !d.counts() || named != nil && !slices.Contains(named, d.id) {
			continue
		}
		total += d.unread[me]
		if named != nil {
			counts[d.id] = d.unread[me]
		}
	}
	counts["total"] = total
	return reply{status: http.StatusOK, body: counts}, nil
}

// updateMessages marks messages, or changes the text of the caller's own.
// Without ids it marks all of a dialog.
func updateMessages(s *API, q *request, live *session) (reply, error) {
	me := live.user.id
	messages, err := s.named(q, me)
	if err != nil {
		return reply{}, err
	}
	edit := q.params.has("message") && q.arg != ""
	for _, m := range messages {
		if edit && m.sender != me {
			return reply{}, errForbidden
		}
	}
	read, delivered := q.params.flag("read"), q.params.flag("delivered")
	for _, m := range messages {
		if edit {
			s.archive.edit(m, q.params.text("message"), q.now)
		}
		if read || delivered {
			s.archive.mark(m, me, read, q.now)
		}
	}
	s.archive.shrink()
	return reply{status: http.StatusOK}, nil
}

// named are the messages a PUT is about. Of several ids the unknown ones are
// passed over; when none is known that is an error.
func (s *API) named(q *request, me int64) ([]*message, error) {
	dialogID := q.params.text("chat_dialog_id")
	wanted := (params{"ids": q.arg}).list("ids")
	if len(wanted) == 0 {
		if dialogID == "" {
			return nil, errNoDialogID
		}
		d, err := s.archive.find(dialogID, me)
		if err != nil {
			return nil, err
		}
		return d.messages, nil
	}
	var found []*message
	for _, id := range wanted {
		m, err := s.archive.findMessage(id, me)
		switch {
		case err == errForbidden:
			return nil, err
		case err == nil && (dialogID == "" || dialogID == m.dialog.id):
			found = append(found, m)
		}
	}
	if len(found) == 0 {
		return nil, errNoResource
	}
	return found, nil
}

// deleteMessages deletes for the caller, or with force for everyone, who are
// told.
func deleteMessages(s *API, q *request, live *session) (reply, error) {
	me := live.user.id
	force := q.params.flag("force")
	return reply{status: http.StatusOK, body: deleteEach(q.arg, func(id string) error {
		m, err := s.archive.findMessage(id, me)
		switch {
		case err != nil:
			return err
		case force && !m.mayRemove(me), !force && !m.mayHide(me):
			return errForbidden
		case !force:
			s.archive.hide(m, me, q.now)
			s.archive.shrink()
			return nil
		}
		s.archive.remove(m)
		s.notifier.NotifyRemoval(me, m)
		return nil
	})}, nil
}
