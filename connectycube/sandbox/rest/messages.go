package rest

import (
	"net/http"
	"slices"
	"time"

	"cubegate/connectycube/sandbox/core"
)

// messageFields are the documented filter fields, and created_at and chat_dialog_id,
// which the administration API has.
var messageFields = map[string]field[*core.Message]{
	"_id":            {text: func(m *core.Message) string { return m.ID }},
	"chat_dialog_id": {text: func(m *core.Message) string { return m.Dialog.ID }},
	"message":        {text: func(m *core.Message) string { return m.Body }},
	"sender_id":      numberOf(func(m *core.Message) int64 { return m.Sender }),
	"recipient_id":   numberOf(func(m *core.Message) int64 { return m.Recipient }),
	"date_sent":      dateOf(func(m *core.Message) time.Time { return m.Created }),
	"created_at":     dateOf(func(m *core.Message) time.Time { return m.Created }),
	"updated_at":     dateOf(func(m *core.Message) time.Time { return m.Updated }),
	"attachments.type": {texts: func(m *core.Message) []string {
		var types []string
		for _, a := range m.Attachments {
			if a["type"] != "" {
				types = append(types, a["type"])
			}
		}
		return types
	}},
}

// customField finds messages by a custom parameter. That is assumed: the service's
// ancestor could do so.
func customField(name string) field[*core.Message] {
	return field[*core.Message]{text: func(m *core.Message) string {
		text, _ := core.Scalar(m.Custom[name])
		return text
	}}
}

// messageLists is the grammar of GET /chat/Message. The highest limit comes from a
// documented sample.
var messageLists = grammar[*core.Message]{
	fields:  messageFields,
	unknown: customField,
	alone:   []string{"chat_dialog_id", "mark_as_read", "preview", "count"},
	sorts:   pick(messageFields, "date_sent", "created_at", "updated_at", "_id"),
	usual:   "date_sent",
	limit:   100,
	most:    1000,
	tie:     core.ByArrival,
}

const previewLength = 20 // messages (https://developers.connectycube.com/server/chat)

// createMessage stores a message, and on request delivers it by chat.
func createMessage(s *API, q *request, live *core.Session) (reply, error) {
	me := live.User.ID
	d, err := s.target(q, me)
	if err != nil {
		return reply{}, err
	}
	if !d.May(me, core.ToSend) {
		return reply{}, core.ErrForbidden
	}
	m := &core.Message{
		Dialog:      d,
		Sender:      me,
		Recipient:   d.Opponent(me),
		Body:        q.params.Text("message"),
		Attachments: readAttachments(q.params["attachments"]),
		Custom:      customOf(q.params),
	}
	s.Archive.Post(m, q.now)
	if q.params.Flag("send_to_chat") {
		s.Alert(m)
		s.notifier.Deliver(m)
	}
	return reply{status: http.StatusCreated, body: messageBody(m, me)}, nil
}

// target returns the dialog of a message: that of chat_dialog_id, or the private one
// with the recipient.
func (s *API) target(q *request, me int64) (*core.Dialog, error) {
	if id := q.params.Text("chat_dialog_id"); id != "" {
		return s.Archive.Find(id, me)
	}
	to, ok := q.params.Integer("recipient_id")
	switch {
	case !ok:
		return nil, errNoTarget
	case to == me, s.Registry.Users[to] == nil:
		return nil, errNoOpponent
	}
	return s.Archive.PrivateDialog(me, to, q.now), nil
}

// listMessages returns a page of a dialog's messages and marks them as read, unless
// the request forbids it.
func listMessages(s *API, q *request, live *core.Session) (reply, error) {
	me := live.User.ID
	id := q.params.Text("chat_dialog_id")
	if id == "" {
		return reply{}, errNoDialogID
	}
	query, err := messageLists.parse(q.params)
	if err != nil {
		return reply{}, err
	}
	d, err := s.Archive.Find(id, me)
	if err == core.ErrForbidden && q.params.Flag("preview") {
		return s.previewMessages(id, me)
	}
	if err != nil {
		return reply{}, err
	}
	page, total := query.run(func(yield func(*core.Message) bool) {
		for _, m := range d.Messages {
			if !m.DeletedFor.Has(me) && !yield(m) {
				return
			}
		}
	})
	if q.params.Flag("count") {
		return countReply(total), nil
	}
	// The answer shows the messages as they were: the official Angular sample sends a read
	// marker for each message that is unread in it.
	answer := messagesReply(page, me, query.skip, query.limit)
	if mark := q.params.Text("mark_as_read"); mark != "0" && mark != "false" {
		moved := false
		for _, m := range page {
			moved = s.Archive.Mark(m, me, true, q.now) || moved
		}
		if moved {
			s.Changed() // no other GET changes the state
		}
	}
	s.Archive.Shrink()
	return answer, nil
}

// previewMessages returns the last messages of a dialog that allows a preview to a
// user who is no occupant. It ignores filters and paging
// (https://developers.connectycube.com/server/chat), and marks nothing (assumed).
func (s *API) previewMessages(id string, me int64) (reply, error) {
	d := s.Archive.Dialogs[id]
	if !d.Permissions["allow_preview"] {
		return reply{}, core.ErrForbidden
	}
	from := max(0, len(d.Messages)-previewLength)
	return messagesReply(d.Messages[from:], me, 0, previewLength), nil
}

func messagesReply(page []*core.Message, user int64, skip, limit int) reply {
	items := make([]map[string]any, len(page))
	for i, m := range page {
		items[i] = messageBody(m, user)
	}
	return reply{status: http.StatusOK, body: map[string]any{"skip": skip, "limit": limit, "items": items}}
}

// unreadCount counts unread messages in all dialogs of the caller, or in the named
// ones. As in the documented sample, total is their sum.
func unreadCount(s *API, q *request, live *core.Session) (reply, error) {
	me := live.User.ID
	named := q.params.List("chat_dialog_ids")
	counts, total := map[string]int{}, 0
	for d := range s.Archive.DialogsOf(me) {
		if !d.Counts() || named != nil && !slices.Contains(named, d.ID) {
			continue
		}
		total += d.Unread[me]
		if named != nil {
			counts[d.ID] = d.Unread[me]
		}
	}
	counts["total"] = total
	return reply{status: http.StatusOK, body: counts}, nil
}

// updateMessages marks messages, or changes the text of the caller's own. Without IDs
// it marks all messages of a dialog.
func updateMessages(s *API, q *request, live *core.Session) (reply, error) {
	me := live.User.ID
	messages, err := s.named(q, me)
	if err != nil {
		return reply{}, err
	}
	edit := q.params.Has("message") && q.arg != ""
	for _, m := range messages {
		if edit && m.Sender != me {
			return reply{}, core.ErrForbidden
		}
	}
	read, delivered := q.params.Flag("read"), q.params.Flag("delivered")
	for _, m := range messages {
		if edit {
			s.Archive.Edit(m, q.params.Text("message"), q.now)
		}
		if read || delivered {
			s.Archive.Mark(m, me, read, q.now)
		}
	}
	s.Archive.Shrink()
	return reply{status: http.StatusOK}, nil
}

// named returns the messages of a PUT. It ignores unknown IDs, unless all are unknown.
func (s *API) named(q *request, me int64) ([]*core.Message, error) {
	dialogID := q.params.Text("chat_dialog_id")
	wanted := (core.Params{"ids": q.arg}).List("ids")
	if len(wanted) == 0 {
		if dialogID == "" {
			return nil, errNoDialogID
		}
		d, err := s.Archive.Find(dialogID, me)
		if err != nil {
			return nil, err
		}
		return d.Messages, nil
	}
	var found []*core.Message
	for _, id := range wanted {
		m, err := s.Archive.FindMessage(id, me)
		switch {
		case err == core.ErrForbidden:
			return nil, err
		case err == nil && (dialogID == "" || dialogID == m.Dialog.ID):
			found = append(found, m)
		}
	}
	if len(found) == 0 {
		return nil, core.ErrNoResource
	}
	return found, nil
}

// deleteMessages deletes messages for the caller, or with force for all users. With
// force, it notifies the users.
func deleteMessages(s *API, q *request, live *core.Session) (reply, error) {
	me := live.User.ID
	force := q.params.Flag("force")
	return reply{status: http.StatusOK, body: deleteEach(q.arg, func(id string) error {
		m, err := s.Archive.FindMessage(id, me)
		switch {
		case err != nil:
			return err
		case force && !m.MayRemove(me), !force && !m.MayHide(me):
			return core.ErrForbidden
		case !force:
			s.Archive.Hide(m, me, q.now)
			s.Archive.Shrink()
			return nil
		}
		s.Archive.Remove(m)
		s.notifier.NotifyRemoval(me, m)
		return nil
	})}, nil
}
