package chat

import (
	"errors"
	"time"

	"cubegate/connectycube/xmpp"
)

// The errors of an Archive. Any other error becomes an internal error for the client,
// without its text.
var (
	ErrNoUser      = errors.New("chat: no such user")
	ErrNoDialog    = errors.New("chat: no such dialog")
	ErrNoMessage   = errors.New("chat: no such message") // never stored, or deleted
	ErrNotOccupant = errors.New("chat: not an occupant of the dialog")
	ErrForbidden   = errors.New("chat: not allowed")
)

// Accounts checks logins. Its methods are called without any lock held.
type Accounts interface {
	// Login reports whether secret is the user's password or one of its live
	// session tokens.
	Login(userID int64, secret string) bool
	Exists(userID int64) bool
	// LastActivity returns when the user last used REST, on the clock of time.Now;
	// zero: never.
	LastActivity(userID int64) time.Time
}

// Archive is the history that REST and chat share. Its methods are called
// without any lock held, from many goroutines.
type Archive interface {
	// Post takes a message of m.From: it checks the rights, finds or creates the
	// private dialog if m.To is set, and stores the message if m.Save is set. If
	// the message is already stored, with the same ID, sender and dialog, Post
	// stores nothing, and Posted is the earlier one with Again set. The error may
	// wrap ErrNoUser, ErrNoDialog, ErrNotOccupant or ErrForbidden.
	Post(m Message) (Posted, error)

	// Mark records that by has received or read a message. No client sees the
	// error: receipts of messages that were not stored are usual.
	Mark(by int64, m Mark) error

	// Change edits a message, or deletes it for all users. After ErrNoMessage the
	// server still passes the change on, because the message may not be stored.
	Change(by int64, c Change) (Posted, error)

	// Occupants returns the users in a dialog, if by is one of them; else
	// ErrNoDialog or ErrNotOccupant.
	Occupants(by int64, dialogID string) ([]int64, error)
}

// Message is a message with content, by chat or by REST.
type Message struct {
	ID       string // of the client; the Archive stores another one unless it has 24 hex digits and is new
	From     int64
	To       int64  // the recipient of a message that was not sent to a room; else 0
	DialogID string // of the room; without a room the client's claim, possibly empty
	Body     string
	Save     bool // save_to_history is 1

	// Params are the children of extraParams, including attachments, without
	// save_to_history, dialog_id, message_id and date_sent, which are fields above
	// and in Posted.
	Params []xmpp.Element

	// Rest are further children of the stanza, as the sender wrote them, such as
	// a destroy of urn:xmpp:message-destroy-after:0.
	Rest []xmpp.Element
}

// Posted is the result of a Post.
type Posted struct {
	DialogID   string
	MessageID  string    // in the archive
	StanzaID   string    // the client's, if it cannot be MessageID because of its form; else ""
	Sent       time.Time // becomes date_sent
	Recipients []int64   // all occupants, including the sender
	Private    bool      // a dialog of two: delivered as 1:1, not through a room
	Again      bool      // stored before: its sender repeated it after a lost connection
}

// MarkKind is the kind of a receipt.
type MarkKind int

// The kinds of a Mark.
const (
	Delivered MarkKind = iota + 1 // received
	Read                          // displayed
)

// Mark is a receipt for one message.
type Mark struct {
	Kind      MarkKind
	MessageID string // or the StanzaID of a Posted
	DialogID  string // the client's claim, possibly empty
	To        int64  // the recipient of a receipt that was not sent to a room; else 0
}

// Change is an edit, or a deletion for all users.
type Change struct {
	MessageID string // or the StanzaID of a Posted
	DialogID  string // of the room; without a room the client's claim, possibly empty
	To        int64  // the recipient of a change that was not sent to a room; else 0
	Remove    bool
	Body      string // the new text of an edit
	Last      bool   // the client claims that it is the dialog's last message
}

// Typist is a user who is typing, or has stopped.
type Typist struct {
	User      int64
	DialogID  string // of the room, or the client's claim, possibly empty
	To        int64  // the other user of a dialog of two; else 0
	Composing bool   // is typing; else has stopped
}

// Socket describes a stream and its connection.
type Socket struct {
	UserID    int64
	Resource  string
	Peer      string // IP and port
	Since     time.Time
	Available bool // the client has sent presence
	Inactive  bool // the app is in the background
	Managed   bool // stream management is on
	Waiting   bool // lost, but the client may still resume it
	Queued    int  // stanzas not yet written
	Unacked   int  // stanzas written and not acknowledged
}
