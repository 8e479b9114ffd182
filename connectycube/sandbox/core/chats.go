package core

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	maxShownText        = 4 << 10 // bytes of a message in a conversation
	maxShownField       = 512     // bytes of a field of an attachment
	maxShownAttachments = 10      // of one message
	maxTitleNames       = 3       // of the occupants in the title of a dialog without a name
)

// DialogRow is a dialog in a list of dialogs.
type DialogRow struct {
	ID        string    `json:"id"`
	Type      int       `json:"type"`
	Title     string    `json:"title"` // the name, or those of the occupants
	Count     int       `json:"occupants_count"`
	Messages  int       `json:"messages_count"`
	Updated   time.Time `json:"updated_at"`
	Last      string    `json:"last_message"` // shortened
	LastBy    string    `json:"last_sender"`
	IsTypedIn bool      `json:"typing"`
}

// DialogPage holds dialogs, the latest activity first.
type DialogPage struct {
	Dialogs []DialogRow `json:"dialogs"`
	Matched int         `json:"matched"`
	Total   int         `json:"total"`
}

// Named is a user in a conversation.
type Named struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// Said is a message in a conversation.
type Said struct {
	ID          string         `json:"id"`
	SenderID    int64          `json:"sender_id"`
	Sender      string         `json:"sender"`
	Text        string         `json:"message"`
	IsCut       bool           `json:"cut"` // the message is longer
	Edited      bool           `json:"edited"`
	Attachments []Attachment   `json:"attachments"` // the first ten, fields shortened
	Reactions   map[string]int `json:"reactions"`
	Status      string         `json:"status"` // sent, delivered or read
	Reached     int            `json:"delivered_to"`
	Read        int            `json:"read_by"`
	Sent        time.Time      `json:"sent_at"`
}

// Conversation is a part of a dialog.
type Conversation struct {
	Dialog    DialogRow `json:"dialog"`
	Occupants []Named   `json:"occupants"` // the first hundred
	Typing    []Named   `json:"typing"`
	Messages  []Said    `json:"messages"` // oldest first
	Earlier   bool      `json:"earlier"`  // there are messages before these
	Later     bool      `json:"later"`    // and after them
}

// Dialogs returns a page of the dialogs of all users.
func (s *Application) Dialogs(q PageQuery) DialogPage {
	search := strings.ToLower(q.Search)
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*Dialog
	for e := s.Archive.active.Back(); e != nil; e = e.Prev() {
		d := e.Value.(*Dialog)
		if search == "" || d.ID == search || strings.Contains(strings.ToLower(s.title(d)), search) {
			found = append(found, d)
		}
	}
	page := DialogPage{Dialogs: []DialogRow{}, Matched: len(found), Total: len(s.Archive.Dialogs)}
	for _, d := range part(found, q) {
		page.Dialogs = append(page.Dialogs, s.dialogRow(d))
	}
	return page
}

func (s *Application) dialogRow(d *Dialog) DialogRow {
	row := DialogRow{
		ID: d.ID, Type: int(d.Kind), Title: s.title(d), Count: len(d.Occupants), Messages: len(d.Messages),
		Updated: shown(d.Updated), IsTypedIn: len(s.Typing.in(d.ID)) > 0,
	}
	if n := len(d.Messages); n > 0 {
		last := d.Messages[n-1]
		row.Last, row.LastBy = ValidText(last.Body[:min(len(last.Body), maxExcerpt)]), s.Registry.nameOf(last.Sender)
	}
	return row
}

func (s *Application) title(d *Dialog) string {
	if d.Name != "" {
		return d.Name
	}
	var names []string
	for _, user := range d.Occupants[:min(len(d.Occupants), maxTitleNames)] {
		names = append(names, s.Registry.nameOf(user))
	}
	return strings.Join(names, ", ")
}

// errGone means that a page of a conversation cannot continue: the message is deleted.
var errGone = AsList(404, "The message does not exist in this dialog")

// Conversation returns the messages of a dialog before the message with the ID before,
// or the last ones if before is "". limit is as in PageQuery.
func (s *Application) Conversation(dialogID, before string, limit int) (Conversation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.Archive.Dialogs[dialogID]
	if d == nil {
		return Conversation{}, ErrNoResource
	}
	end := len(d.Messages)
	if before != "" {
		m := s.Archive.Messages[before]
		if m == nil || m.Dialog != d {
			return Conversation{}, errGone
		}
		end, _ = slices.BinarySearchFunc(d.Messages, m, ByArrival)
	}
	start := max(0, end-PageQuery{Limit: limit}.limit())
	c := Conversation{
		Dialog: s.dialogRow(d), Messages: []Said{}, Earlier: start > 0, Later: end < len(d.Messages),
		Occupants: s.named(d.Occupants[:min(len(d.Occupants), maxOccupants)]),
		Typing:    s.named(s.Typing.in(d.ID)),
	}
	for _, m := range d.Messages[start:end] {
		c.Messages = append(c.Messages, s.said(m))
	}
	return c, nil
}

func (s *Application) named(users []int64) []Named {
	named := []Named{}
	for _, id := range users {
		named = append(named, Named{id, s.Registry.nameOf(id)})
	}
	return named
}

func (s *Application) said(m *Message) Said {
	out := Said{
		ID: m.ID, SenderID: m.Sender, Sender: s.Registry.nameOf(m.Sender), Status: m.Status(), Sent: shown(m.Created),
		Text: cutTo(maxShownText, m.Body), IsCut: len(m.Body) > maxShownText, Edited: !m.Edited.IsZero(),
		Reached: max(0, len(m.Delivered)-1), Read: m.Readers(),
		Attachments: []Attachment{}, Reactions: map[string]int{},
	}
	for _, a := range m.Attachments[:min(len(m.Attachments), maxShownAttachments)] {
		shortened := Attachment{}
		for _, field := range []string{"type", "name", "url", "id", "size", "content-type"} {
			if value := a[field]; value != "" {
				shortened[field] = cutTo(maxShownField, value)
			}
		}
		out.Attachments = append(out.Attachments, shortened)
	}
	for _, kind := range slices.Sorted(maps.Keys(m.Reactions))[:min(len(m.Reactions), maxShownAttachments)] {
		out.Reactions[cutTo(maxShownField, kind)] = len(m.Reactions[kind])
	}
	return out
}

// Utterance is a message to write in a user's name.
type Utterance struct {
	From        int64        `json:"from"`
	Text        string       `json:"message"`
	Attachments []Attachment `json:"attachments"`
}

// The bounds of an Utterance, in bytes and numbers.
const (
	maxUtterance       = 64 << 10 // as of a stanza
	maxUtteranceFields = 20       // of an attachment
)

func (u Utterance) validate() error {
	switch {
	case u.Text == "" && len(u.Attachments) == 0:
		return errors.New("message: a message needs a text or an attachment")
	case len(u.Text) > maxUtterance:
		return errors.New("message: the text is longer than 64 KiB")
	case len(u.Attachments) > maxShownAttachments:
		return errors.New("message: at most 10 attachments")
	}
	for _, a := range u.Attachments {
		if len(a) > maxUtteranceFields || slices.ContainsFunc(slices.Collect(maps.Values(a)), func(v string) bool { return len(v) > 2048 }) {
			return errors.New("message: an attachment has at most 20 fields of at most 2048 bytes")
		}
	}
	return nil
}

// Utter stores a message in a user's name, records the pushes and passes it to deliver,
// under the lock. The user must have the right to write in the dialog.
func (s *Application) Utter(dialogID string, u Utterance, deliver func(*Message)) (Said, error) {
	if err := u.validate(); err != nil {
		return Said{}, err
	}
	defer s.Changed()
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.writable(dialogID, u.From)
	if err != nil {
		return Said{}, err
	}
	m := &Message{Dialog: d, Sender: u.From, Recipient: d.Opponent(u.From), Body: u.Text, Attachments: u.Attachments}
	s.Archive.Post(m, s.Now())
	s.Typing.Set(dialogID, u.From, false)
	s.Alert(m)
	deliver(m)
	return s.said(m), nil
}

// Type records that a user is typing, or has stopped, and passes that to tell with the
// recipients, under the lock.
func (s *Application) Type(dialogID string, user int64, composing bool, tell func(d *Dialog)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.writable(dialogID, user)
	if err != nil {
		return err
	}
	s.Typing.Set(dialogID, user, composing)
	tell(d)
	return nil
}

// writable returns a dialog in which the user exists and may write. The caller holds
// the lock.
func (s *Application) writable(dialogID string, user int64) (*Dialog, error) {
	if s.Registry.Users[user] == nil {
		return nil, ErrUserNotFound
	}
	d, err := s.Archive.Find(dialogID, user)
	if err == nil && !d.May(user, ToSend) {
		err = ErrForbidden
	}
	return d, err
}
