package core

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of the outbox. They are our own: those of the service are unknown.
const (
	maxOutbox      = 500     // items; new ones replace the oldest
	maxOutboxText  = 4 << 10 // bytes of one text
	maxOutboxUsers = 1000    // of one push; Recipients counts all
)

// The kinds of an Outgoing.
const (
	OutgoingMail = "mail"
	OutgoingPush = "push"
)

// Outgoing is a mail or push that the service would send. Nothing leaves the
// sandbox.
type Outgoing struct {
	ID   int64     `json:"id"` // ascending; continues after the outbox is emptied
	Kind string    `json:"kind"`
	At   time.Time `json:"at"`
	Text string    `json:"text"` // of a push: the decoded payload

	Email   string `json:"email,omitempty"` // recipient of a mail
	Subject string `json:"subject,omitempty"`

	From        int64   `json:"from,omitempty"`        // the user who created the event; 0: the service, for a chat message
	Users       []int64 `json:"users,omitempty"`       // the first 1000 recipients, ascending
	Recipients  int     `json:"recipients,omitempty"`  // number of all recipients
	Devices     int     `json:"devices"`               // number of their subscriptions
	Environment string  `json:"environment,omitempty"` // of an event
	Channel     string  `json:"channel,omitempty"`     // of an event, if it names one
}

// outbox keeps the newest items. Its lock is taken last: a method that holds it
// takes no other lock.
type outbox struct {
	mu    sync.Mutex
	last  int64 // ID
	items []Outgoing
}

// put stores an item and returns its ID.
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

// cutTo returns at most n bytes of text, without an incomplete character. The copy
// lets the garbage collector free the rest.
func cutTo(n int, text string) string {
	return strings.Clone(strings.ToValidUTF8(text[:min(len(text), n)], ""))
}

// Outbox returns the mails and pushes that would have left the sandbox, oldest
// first: mails for password resets, pushes of events, and pushes for messages to
// users who were not in the chat. It holds the newest 500.
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

// EmptyOutbox removes all mails and pushes.
func (s *Application) EmptyOutbox() { s.outgoing.clear() }

// wouldPush records the push that the service sends when a user is not in the chat
// (docs/connectycube.md, Push). The message is the text that a phone shows. The
// caller may hold the Application's lock.
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

// Send stores an item in the outbox and returns its ID.
func (s *Application) Send(item Outgoing) int64 { return s.outgoing.put(item) }

// Alert records the pushes for a message that goes by chat. They go to occupants
// who are absent and have notifications on, unless the message is silent
// (docs/connectycube.md, Push). A broadcast makes none, which is our own rule: it
// would put all users into the outbox.
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
