// Package core is the state of the sandbox: users, sessions, dialogs, messages,
// devices, contacts, custom data, meetings and files, the clock, faults, the journal and the outbox, and
// the file that keeps them between runs. It decides who may do an act. It knows no
// HTTP and no chat: it tells connections about changes through Connections.
//
// One lock guards users, sessions, dialogs, messages, contacts, custom data, meetings and settings.
// Methods of Application take it, unless their comments say that the caller holds
// it. Registry, Archive, AddressBooks, Data and Meetings never take it: their callers do. Outbox,
// subscriptions, bucket, typing and journal have locks of their own, which are taken last.
//
// Start reading at Application, then registry.go and archive.go.
package core

import (
	"cmp"
	"log/slog"
	"sync"
	"sync/atomic"
)

const (
	defaultMaxUsers    = 100_000
	defaultMaxSessions = 100_000

	// MostEntries is the upper bound of every number of entries. Each entry takes
	// about 1 KiB.
	MostEntries = 1_000_000
)

// Options configure an Application. The fields are those of Options in package
// sandbox, which sets the first four.
type Options struct {
	AppID      int64
	AuthKey    string
	AdminKey   string
	ChatDomain string

	CIdP      CIdP     // must be valid
	Dashboard Settings // at the start
	Log       *slog.Logger

	MaxUsers, MaxSessions                      int
	MaxDialogs, MaxMessages, MaxDialogMessages int
	MaxBlobBytes                               int64
}

// Connections are the connections of the chat, for changes that end or query them.
// No method may call back: the application calls some of them under its lock.
type Connections interface {
	Kick(user int64)                             // ends them and prevents their resumption: the user was deleted
	Expel(dialogID string, user int64, by int64) // removes the user from a dialog's room
	Forgive()                                    // forgets failed logins
	Awake(user int64) bool                       // reports whether an app of the user is in the foreground
}

// Application is the state of one ConnectyCube application, and the one lock
// that guards it. It is safe for concurrent use, except for the parts whose
// comments say that the caller holds the lock.
type Application struct {
	AppID      int64
	AuthKey    string
	AdminKey   string
	ChatDomain string
	log        *slog.Logger

	Chat       Connections // never nil
	blockLists BlockLists  // never nil
	sockets    func() []SocketState

	fresh   func() contents
	ahead   atomic.Int64 // of the clock, as a time.Duration
	journal journal
	file    atomic.Pointer[stateFile] // nil: in memory only

	Passwords     *Passwords
	outgoing      *outbox // has its own lock, as do the next two
	Subscriptions *Subscriptions
	Bucket        *Bucket
	Typing        *Typing

	mu        sync.Mutex // guards the fields below; never held during a callback or a write
	Dashboard Settings   // in force
	lastFault int64      // ID
	contents
}

// New returns an application without users.
func New(o Options) *Application {
	o.CIdP = o.CIdP.Clone() // a reset returns to it, so it must not change
	s := &Application{
		AppID:         o.AppID,
		AuthKey:       o.AuthKey,
		AdminKey:      o.AdminKey,
		ChatDomain:    o.ChatDomain,
		log:           cmp.Or(o.Log, slog.New(slog.DiscardHandler)),
		Chat:          noConnections{},
		blockLists:    noConnections{},
		sockets:       func() []SocketState { return nil },
		Passwords:     newPasswords(),
		outgoing:      &outbox{},
		Subscriptions: newSubscriptions(),
		Bucket:        newBucket(o.MaxBlobBytes),
		Typing:        &Typing{},
		Dashboard:     o.Dashboard.Clone(),
	}
	s.fresh = func() contents { return s.newContents(o) }
	s.contents = s.fresh()
	return s
}

// Connect tells the application about the chat. It must be called before any other
// method, or not at all.
func (s *Application) Connect(c Connections, b BlockLists, sockets func() []SocketState) {
	s.Chat, s.blockLists, s.sockets = c, b, sockets
}

// noConnections stand for a chat without connections.
type noConnections struct{}

func (noConnections) Kick(int64)                 {}
func (noConnections) Expel(string, int64, int64) {}
func (noConnections) Forgive()                   {}
func (noConnections) Awake(int64) bool           { return false }

func (noConnections) BlockLists() []BlockList             { return nil }
func (noConnections) RestoreBlockLists([]BlockList) error { return nil }

// Lock takes the lock that guards users, sessions, dialogs and messages.
func (s *Application) Lock() { s.mu.Lock() }

// Unlock releases the lock.
func (s *Application) Unlock() { s.mu.Unlock() }

// contents are the parts that a reset empties.
type contents struct {
	cidp         CIdP
	callback     *Callback // the last one; nil: none yet
	faults       []*armedFault
	spent        []*armedFault // the latest that have happened as often as they should
	Registry     Registry
	Archive      Archive
	AddressBooks AddressBooks
	Data         Data
	Meetings     Meetings
}

// newContents returns the contents of a new sandbox. A user who is removed from
// them leaves the chat, too.
func (s *Application) newContents(o Options) contents {
	c := contents{
		cidp:     o.CIdP.Clone(),
		Registry: NewRegistry(bound(o.MaxUsers, defaultMaxUsers), bound(o.MaxSessions, defaultMaxSessions)),
		Archive: NewArchive(ArchiveLimits{
			Dialogs:        bound(o.MaxDialogs, defaultMaxDialogs),
			Messages:       bound(o.MaxMessages, defaultMaxMessages),
			DialogMessages: bound(o.MaxDialogMessages, defaultMaxLength),
		}),
		AddressBooks: newAddressBooks(),
		Data:         newData(),
		Meetings:     newMeetings(),
	}
	c.Registry.removed = func(u *User) {
		s.Chat.Kick(u.ID)
		s.Subscriptions.forget(u.ID)
		s.AddressBooks.Forget(u.ID)
	}
	c.Archive.left = func(dialogID string, user int64) { s.Chat.Expel(dialogID, user, user) }
	return c
}

func bound(n, otherwise int) int {
	if n <= 0 {
		return otherwise
	}
	return min(n, MostEntries)
}
