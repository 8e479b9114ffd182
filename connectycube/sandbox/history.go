package sandbox

import (
	"time"

	"cubegate/connectycube/sandbox/chat"
	"cubegate/connectycube/sandbox/core"
	"cubegate/connectycube/xmpp"
)

// history gives the chat access to the archive. Messages of the chat are in the lists
// of REST, and the other way round.
type history struct{ s *Sandbox }

// Post stores a message of the chat. It creates the private dialog even for a message
// that is not stored. A client repeats a message, with its ID, if it does not know
// whether the message arrived. Post then stores nothing and alerts no device again.
func (h history) Post(m chat.Message) (chat.Posted, error) {
	s := h.s
	defer s.Changed()
	s.Lock()
	defer s.Unlock()
	now := s.Now()
	d, err := s.dialogOf(m, now)
	if err != nil {
		return chat.Posted{}, err
	}
	if !d.May(m.From, core.ToSend) {
		return chat.Posted{}, chat.ErrForbidden
	}
	if earlier := s.Archive.Messages[m.ID]; earlier != nil && earlier.Sender == m.From && earlier.Dialog == d {
		p := s.posted(earlier)
		p.Again = true
		return p, nil
	}
	attachments, custom := paramsOf(m.Params)
	stored := &core.Message{
		ID:          m.ID,
		StanzaID:    core.StanzaID(m.ID),
		Dialog:      d,
		Sender:      m.From,
		Recipient:   d.Opponent(m.From),
		Body:        m.Body,
		Attachments: attachments,
		Custom:      custom,
		Created:     now,
	}
	if m.Save {
		s.Archive.Post(stored, now)
	} else if !core.IsOID(stored.ID) {
		stored.ID = s.Archive.NewID(now)
	}
	s.Typing.Set(d.ID, m.From, false)
	s.Alert(stored)
	p := s.posted(stored)
	if !core.IsOID(m.ID) {
		p.StanzaID = m.ID // even if it is too long to be stored
	}
	return p, nil
}

// dialogOf finds the dialog of a message, or creates the private one.
func (s *Sandbox) dialogOf(m chat.Message, now time.Time) (*core.Dialog, error) {
	s.Registry.Sweep(now)
	if s.Registry.Users[m.From] == nil {
		return nil, chat.ErrNoUser
	}
	if m.To == 0 {
		return s.room(m.DialogID, m.From)
	}
	switch {
	case s.Registry.Users[m.To] == nil:
		return nil, chat.ErrNoUser
	case m.To == m.From:
		return nil, chat.ErrForbidden // a user cannot have a dialog with themselves
	}
	return s.Archive.PrivateDialog(m.From, m.To, now), nil
}

func (s *Sandbox) room(id string, user int64) (*core.Dialog, error) {
	d, err := s.Archive.Find(id, user)
	switch err {
	case nil:
		return d, nil
	case core.ErrForbidden:
		return nil, chat.ErrNotOccupant
	}
	return nil, chat.ErrNoDialog
}

// Mark stores a receipt.
func (h history) Mark(by int64, mark chat.Mark) error {
	s := h.s
	defer s.Changed()
	s.Lock()
	defer s.Unlock()
	m, err := s.message(by, mark.MessageID, place{mark.DialogID, mark.To, false})
	if err != nil {
		return noMessage(err)
	}
	s.Archive.Mark(m, by, mark.Kind == chat.Read, s.Now())
	s.Archive.Shrink()
	return nil
}

// Change edits a user's own message, or deletes a message for all users.
func (h history) Change(by int64, c chat.Change) (chat.Posted, error) {
	s := h.s
	defer s.Changed()
	s.Lock()
	defer s.Unlock()
	m, err := s.message(by, c.MessageID, place{c.DialogID, c.To, true})
	switch {
	case err != nil:
		return chat.Posted{}, noMessage(err)
	case c.To == 0 && c.DialogID != m.Dialog.ID, c.To != 0 && c.To != m.Dialog.Opponent(by):
		return chat.Posted{}, chat.ErrNoMessage // the message is in another dialog
	case c.Remove && !m.MayRemove(by), !c.Remove && m.Sender != by:
		return chat.Posted{}, chat.ErrForbidden
	}
	p := s.posted(m)
	if c.Remove {
		s.Archive.Remove(m)
	} else {
		s.Archive.Edit(m, c.Body, s.Now())
		s.Archive.Shrink()
	}
	return p, nil
}

// place is the dialog of a receipt or a change, as its client claims.
type place struct {
	dialogID string
	opponent int64 // of a private dialog; else 0
	own      bool  // changes are about messages of the user, receipts about those of others
}

// message finds the message that a stanza names: by its ID in the archive, or by the ID
// of its stanza, if that has another form, in the dialog.
func (s *Sandbox) message(by int64, id string, in place) (*core.Message, error) {
	if core.StanzaID(id) == "" {
		return s.Archive.FindMessage(id, by)
	}
	d := s.Archive.Private[core.PairOf(by, in.opponent)]
	if in.opponent == 0 {
		d = s.Archive.Dialogs[in.dialogID]
	}
	return d.FindStanza(id, by, in.own)
}

func noMessage(err error) error {
	if err == core.ErrForbidden {
		return chat.ErrNotOccupant
	}
	return chat.ErrNoMessage
}

// Occupants returns the users in a dialog, if by is one of them.
func (h history) Occupants(by int64, dialogID string) ([]int64, error) {
	s := h.s
	s.Lock()
	defer s.Unlock()
	d, err := s.room(dialogID, by)
	if err != nil {
		return nil, err
	}
	return s.Listeners(d), nil
}

// paramsOf reads extraParams: attachments consist of attributes only, an element with
// children is an object, any other is text. If a name is repeated, the last one counts.
func paramsOf(extra []xmpp.Element) ([]core.Attachment, map[string]any) {
	var attachments []core.Attachment
	custom := map[string]any{}
	for _, e := range extra {
		if e.Name == "attachment" {
			a := core.Attachment{}
			for _, attr := range e.Attrs {
				if attr.Space == "" {
					a[attr.Name] = attr.Value
				}
			}
			attachments = append(attachments, a)
			continue
		}
		if !core.ReservedFields[e.Name] {
			custom[e.Name] = valueOf(e)
		}
	}
	return attachments, custom
}

func valueOf(e xmpp.Element) any {
	if len(e.Children) == 0 {
		return e.Text
	}
	object := map[string]any{}
	for _, child := range e.Children {
		object[child.Name] = valueOf(child)
	}
	return object
}
