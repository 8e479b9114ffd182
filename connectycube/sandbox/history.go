package sandbox

import (
	"time"

	"cubegate/connectycube/sandbox/chat"
	"cubegate/connectycube/xmpp"
)

// history shows the archive to the chat. A message that came by this door is in
// the lists of REST, and the other way round.
type history struct{ s *Sandbox }

// Post takes a message of the chat. The private dialog is made also for a
// message that is not stored. Who sends a message again, with its id, does not know
// whether it arrived: it did, and nobody needs to see it, or be woken for it, twice.
func (h history) Post(m chat.Message) (chat.Posted, error) {
	s := h.s
	defer s.changed()
	s.Lock()
	defer s.Unlock()
	now := s.Now()
	d, err := s.dialogOf(m, now)
	if err != nil {
		return chat.Posted{}, err
	}
	if !d.may(m.From, toSend) {
		return chat.Posted{}, chat.ErrForbidden
	}
	if earlier := s.archive.messages[m.ID]; earlier != nil && earlier.sender == m.From && earlier.dialog == d {
		p := s.posted(earlier)
		p.Again = true
		return p, nil
	}
	attachments, custom := paramsOf(m.Params)
	stored := &message{
		id:          m.ID,
		dialog:      d,
		sender:      m.From,
		recipient:   d.opponent(m.From),
		body:        m.Body,
		attachments: attachments,
		custom:      custom,
		created:     now,
	}
	if m.Save {
		s.archive.post(stored, now)
	} else if !isOID(stored.id) {
		stored.id = s.archive.ids(now)
	}
	s.alert(stored)
	return s.posted(stored), nil
}

// dialogOf finds the dialog of a message, or makes the private one.
func (s *Sandbox) dialogOf(m chat.Message, now time.Time) (*dialog, error) {
	s.registry.sweep(now)
	if s.registry.users[m.From] == nil {
		return nil, chat.ErrNoUser
	}
	if m.To == 0 {
		return s.room(m.DialogID, m.From)
	}
	switch {
	case s.registry.users[m.To] == nil:
		return nil, chat.ErrNoUser
	case m.To == m.From:
		return nil, chat.ErrForbidden // nobody has a dialog with themselves
	}
	return s.archive.privateDialog(m.From, m.To, now), nil
}

func (s *Sandbox) room(id string, user int64) (*dialog, error) {
	d, err := s.archive.find(id, user)
	switch err {
	case nil:
		return d, nil
	case errForbidden:
		return nil, chat.ErrNotOccupant
	}
	return nil, chat.ErrNoDialog
}

// Mark takes a receipt.
func (h history) Mark(by int64, mark chat.Mark) error {
	s := h.s
	defer s.changed()
	s.Lock()
	defer s.Unlock()
	m, err := s.archive.findMessage(mark.MessageID, by)
	if err != nil {
		return noMessage(err)
	}
	s.archive.mark(m, by, mark.Kind == chat.Read, s.Now())
	s.archive.shrink()
	return nil
}

// Change takes an edit of one's own message, or a deletion for everyone.
func (h history) Change(by int64, c chat.Change) (chat.Posted, error) {
	s := h.s
	defer s.changed()
	s.Lock()
	defer s.Unlock()
	m, err := s.archive.findMessage(c.MessageID, by)
	switch {
	case err != nil:
		return chat.Posted{}, noMessage(err)
	case c.To == 0 && c.DialogID != m.dialog.id, c.To != 0 && c.To != m.dialog.opponent(by):
		return chat.Posted{}, chat.ErrNoMessage // it is in another dialog than this was sent to
	case c.Remove && !m.mayRemove(by), !c.Remove && m.sender != by:
		return chat.Posted{}, chat.ErrForbidden
	}
	p := s.posted(m)
	if c.Remove {
		s.archive.remove(m)
	} else {
		s.archive.edit(m, c.Body, s.Now())
		s.archive.shrink()
	}
	return p, nil
}

func noMessage(err error) error {
	if err == errForbidden {
		return chat.ErrNotOccupant
	}
	return chat.ErrNoMessage
}

// Occupants lists who is in a dialog, to those who are.
func (h history) Occupants(by int64, dialogID string) ([]int64, error) {
	s := h.s
	s.Lock()
	defer s.Unlock()
	d, err := s.room(dialogID, by)
	if err != nil {
		return nil, err
	}
	return s.listeners(d), nil
}

// paramsOf reads extraParams: attachments are attributes alone, what has
// children is an object, the rest is text. Of a name that comes twice the last
// one counts.
func paramsOf(extra []xmpp.Element) ([]attachment, map[string]any) {
	var attachments []attachment
	custom := map[string]any{}
	for _, e := range extra {
		if e.Name == "attachment" {
			a := attachment{}
			for _, attr := range e.Attrs {
				if attr.Space == "" {
					a[attr.Name] = attr.Value
				}
			}
			attachments = append(attachments, a)
			continue
		}
		if !own[e.Name] {
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
