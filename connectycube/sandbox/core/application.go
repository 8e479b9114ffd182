// Package core is the state of the sandbox: users, sessions, dialogs, messages,
// devices, contacts and files, the clock, faults, the journal and the outbox, and
// the file that keeps them between runs. It says who may do what. It knows no
// HTTP and no chat: what a change means for connections goes through Connections.
//
// One lock guards users, sessions, dialogs, messages, contacts and settings.
// Methods of Application take it themselves, unless their comments say that it is
// held. Registry, Archive and AddressBooks never take it: their callers do.
// Outbox, subscriptions, bucket and journal have locks of their own, which are
// taken last.
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

	// MostEntries is the upper bound of every number of entries; each takes about
	// 1 KiB.
	MostEntries = 1_000_000
)

// Options configure an Application. The fields mean what they mean in the Options
// of package sandbox, which sets the first four.
type Options struct {
	AppID      int64
	AuthKey    string
	AdminKey   string
	ChatDomain string

	CIdP      CIdP     // must be valid
	Dashboard Settings // to begin with
	Log       *slog.Logger

	MaxUsers, MaxSessions                      int
	MaxDialogs, MaxMessages, MaxDialogMessages int
	MaxBlobBytes                               int64
}

// Connections are what the chat holds, as far as a change of the state ends or
// asks about them. No method may call back: some are called under the lock.
type Connections interface {
	Kick(user int64)                             // for good: the user was deleted
	Expel(dialogID string, user int64, by int64) // out of a dialog
	Forgive()                                    // forgets what it holds against clients
	Awake(user int64) bool                       // an app of the user is in the foreground
}

// Application is the state of one ConnectyCube application, and the one lock
// that guards it. It is safe for concurrent use, except for the parts that say
// that the lock is held.
type Application struct {
	AppID      int64
	AuthKey    string
	AdminKey   string
	ChatDomain string
	log        *slog.Logger

	Chat    Connections // never nil
	sockets func() []SocketState

	fresh   func() contents
	ahead   atomic.Int64 // of the clock, as a time.Duration
	journal journal
	file    atomic.Pointer[stateFile] // nil: in memory only

	Passwords     *Passwords
	outgoing      *outbox // has its own lock, as the next two have
	Subscriptions *Subscriptions
	Bucket        *Bucket

	mu        sync.Mutex // guards what follows; never held during a call-back or a write
	Dashboard Settings   // in force
	contents
}

// New returns an application without users.
func New(o Options) *Application {
	o.CIdP = o.CIdP.Clone() // what a reset goes back to must not change
	s := &Application{
		AppID:         o.AppID,
		AuthKey:       o.AuthKey,
		AdminKey:      o.AdminKey,
		ChatDomain:    o.ChatDomain,
		log:           cmp.Or(o.Log, slog.New(slog.DiscardHandler)),
		Chat:          noConnections{},
		sockets:       func() []SocketState { return nil },
		Passwords:     newPasswords(),
		outgoing:      &outbox{},
		Subscriptions: newSubscriptions(),
		Bucket:        newBucket(o.MaxBlobBytes),
		Dashboard:     o.Dashboard.Clone(),
	}
	s.fresh = func() contents { return s.newContents(o) }
	s.contents = s.fresh()
	return s
}

// Connect tells the application about the chat. It is called before anything
// else is, or never.
func (s *Application) Connect(c Connections, sockets func() []SocketState) {
	s.Chat, s.sockets = c, sockets
}

// noConnections stand for a chat that nobody is in.
type noConnections struct{}

func (noConnections) Kick(int64)                 {}
func (noConnections) Expel(string, int64, int64) {}
func (noConnections) Forgive()                   {}
func (noConnections) Awake(int64) bool           { return false }

// Lock takes the lock that guards users, sessions, dialogs and messages.
func (s *Application) Lock() { s.mu.Lock() }

// Unlock releases it.
func (s *Application) Unlock() { s.mu.Unlock() }

// contents are all that a reset empties.
type contents struct {
	cidp         CIdP
	faults       []*armedFault
	Registry     Registry
	Archive      Archive
	AddressBooks AddressBooks
}

// newContents is what a sandbox with these options begins with. What is removed
// from it leaves the chat, too.
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
