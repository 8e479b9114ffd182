package chat

import (
	"errors"
	"time"

	"cubegate/connectycube/xmpp"
)

// What an Archive refuses. Anything else it returns becomes an internal error to
// the client, whose text is not shown.
var (
	ErrNoUser      = errors.New("chat: no such user")
	ErrNoDialog    = errors.New("chat: no such dialog")
	ErrNoMessage   = errors.New("chat: no such message") // it was never stored, or is gone
	ErrNotOccupant = errors.New("chat: not an occupant of the dialog")
	ErrForbidden   = errors.New("chat: not allowed")
)

// Accounts tells who may come in. Its methods are called without any lock held.
type Accounts interface {
	// Login reports whether secret is the user's password or one of its live
	// session tokens.
	Login(userID int64, secret string) bool
	Exists(userID int64) bool
	// LastActivity is when the user last used REST, on the clock of time.Now;
	// zero: never.
	LastActivity(userID int64) time.Time
}

// Archive is the history that REST and chat share. Its methods are called
// without any lock held, from many goroutines.
type Archive interface {
	// Post takes a message of m.From: it checks the rights, finds or makes the
	// private dialog when m.To is set, and stores the message when m.Save is.
	// A message that is stored already, by its id, sender and dialog, is what it
	// was: nothing is stored, and Posted is the earlier one with Again set.
	// It may return ErrNoUser, ErrNoDialog, ErrNotOccupant and ErrForbidden.
	Post(m Message) (Posted, error)

	// Mark notes that by has got or seen a message. What it returns is not shown
	// to anyone: markers of messages that were not stored are usual.
	Mark(by int64, m Mark) error

	// Change edits or deletes a message for everyone. After ErrNoMessage the
	// change is passed on all the same, as the message may not have been stored.
	Change(by int64, c Change) (Posted, error)

	// Occupants lists who is in a dialog, when by is one of them; else it
	// returns ErrNoDialog or ErrNotOccupant.
	Occupants(by int64, dialogID string) ([]int64, error)
}

// Message is content on its way, by chat or by REST.
type Message struct {
	ID       string // as the client chose it; the Archive takes another when this is not 24 hex digits or is that of another message
	From     int64
	To       int64  // the recipient of a message that was not sent to a room; else 0
	DialogID string // of the room; without a room what the client claims, possibly nothing
	Body     string
	Save     bool // save_to_history is 1

	// Params are the children of extraParams, attachments among them, without
	// save_to_history, dialog_id, message_id and date_sent, which are above and
	// in Posted.
	Params []xmpp.Element

	// Rest are further children of the stanza, as the sender wrote them, such as
	// a destroy of urn:xmpp:message-destroy-after:0.
	Rest []xmpp.Element
}

// Posted is what became of a message.
type Posted struct {
	DialogID   string
	MessageID  string
	Sent       time.Time // becomes date_sent
	Recipients []int64   // all occupants, the sender among them
	Private    bool      // a dialog of two: delivered as 1:1, not through a room
	Again      bool      // stored before: its sender did not know what became of it, and sent it again
}

// MarkKind is what a Mark says about a message.
type MarkKind int

// The kinds of a Mark.
const (
	Delivered MarkKind = iota + 1 // received
	Read                          // displayed
)

// Mark is a receipt for one message.
type Mark struct {
	Kind      MarkKind
	MessageID string
	DialogID  string // as the client claims, possibly empty
}

// Change is an edit, or a deletion for everyone.
type Change struct {
	MessageID string
	DialogID  string // of the room; without a room what the client claims, possibly empty
	To        int64  // the recipient of a change that was not sent to a room; else 0
	Remove    bool
	Body      string // the new text, when it is no removal
	Last      bool   // the client says that it is the dialog's last message
}

// Socket describes a stream and its connection, for people.
type Socket struct {
	UserID    int64
	Resource  string
	Peer      string // IP and port
	Since     time.Time
	Available bool // initial presence was sent
	Inactive  bool // the app says that it is in the background
	Managed   bool // stream management is on
	Waiting   bool // lost, but may still be resumed
	Queued    int  // stanzas not written yet
	Unacked   int  // stanzas written and not acknowledged
}
