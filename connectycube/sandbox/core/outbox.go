package core

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of the outbox. They are our own: nothing is known about the service's.
const (
	maxOutbox      = 500     // items; the newest are kept
	maxOutboxText  = 4 << 10 // bytes of one text; the rest is cut off
	maxOutboxUsers = 1000    // of one push; Recipients counts them all
)

// The kinds of an Outgoing.
const (
	OutgoingMail = "mail"
	OutgoingPush = "push"
)

// Outgoing is something that the service would have sent to somebody's mailbox
// or devices. Nothing ever leaves the sandbox.
type Outgoing struct {
	ID   int64     `json:"id"` // counts up, whatever was dropped or emptied
	Kind string    `json:"kind"`
	At   time.Time `json:"at"`
	Text string    `json:"text"` // of a push the payload, decoded

	Email   string `json:"email,omitempty"` // of a mail
	Subject string `json:"subject,omitempty"`

	From        int64   `json:"from,omitempty"`        // who made the event; 0: the service itself, for a chat message
	Users       []int64 `json:"users,omitempty"`       // the first 1000 it was for, ascending
	Recipients  int     `json:"recipients,omitempty"`  // how many it was for
	Devices     int     `json:"devices"`               // subscriptions it would have gone to
	Environment string  `json:"environment,omitempty"` // of an event
	Channel     string  `json:"channel,omitempty"`     // of an event that names one
}

// outbox keeps the newest items. Its lock is taken last: whoever holds it calls
// nobody.
type outbox struct {
	mu    sync.Mutex
	last  int64 // id
	items []Outgoing
}

// put stores an item and returns its id.
func (o *outbox) put(item Outgoing) int64 {
	item.Text = cutTo(maxOutboxText, item.Text)
	item.Recipients = len(item.Users)
	item.Users = slices.Clone(item.Users[:min(len(item.Users), maxOutboxUsers)])
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last++
	item.ID = o.last
	if len(o.items) == maxOutbox {
		o.items = slices.Delete(o.items, 0, 1)
	}
	o.items = append(o.items, item)
	return item.ID
}

func (o *outbox) clear() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.items = nil
}

// cutTo keeps at most n bytes, and no torn character. It is a copy, or it would
// keep the rest alive.
func cutTo(n int, text string) string {
	return strings.Clone(strings.ToValidUTF8(text[:min(len(text), n)], ""))
}

// Outbox lists what would have left the sandbox, oldest first: the mails of
// password resets, the pushes of events, and those for messages to people who
// were not in the chat. It holds the newest 500.
func (s *Application) Outbox() []Outgoing {
	s.outgoing.mu.Lock()
	defer s.outgoing.mu.Unlock()
	items := make([]Outgoing, len(s.outgoing.items))
	for i, item := range s.outgoing.items {
		item.Users = slices.Clone(item.Users)
		items[i] = item
	}
	return items
}

// EmptyOutbox forgets what would have left the sandbox.
func (s *Application) EmptyOutbox() { s.outgoing.clear() }

// wouldPush notes the push that the service makes by itself when somebody is not
// in the chat (doc server/push_notifications); the message is what the phone
// would show. It may be called with or without the Application's lock.
func (s *Application) wouldPush(users []int64, message string) {
	if len(users) == 0 {
		return
	}
	users = slices.Compact(slices.Sorted(slices.Values(users)))
	s.Send(Outgoing{
		Kind:    OutgoingPush,
		At:      s.Now(),
		Text:    message,
		Users:   users,
		Devices: s.Subscriptions.Reach(users, func(*Subscription) bool { return true }),
	})
}

// Send stores an item in the outbox and returns its id.
func (s *Application) Send(item Outgoing) int64 { return s.outgoing.put(item) }

// Alert notes the pushes for a message that goes by chat: to whoever is not
// there, wants notifications in this dialog, and is not asked to be left alone
// by the sender (doc: silent). Broadcasts make none, our own: everybody would be
// in the outbox for each.
func (s *Application) Alert(m *Message) {
	d := m.Dialog
	if silent, _ := Scalar(m.Custom["silent"]); silent == "1" || d.Kind == KindBroadcast {
		return
	}
	away := slices.DeleteFunc(d.Occupants.List(), func(user int64) bool {
		return user == m.Sender || d.Silent.Has(user) || s.Chat.Awake(user)
	})
	s.wouldPush(away, m.Body)
}
