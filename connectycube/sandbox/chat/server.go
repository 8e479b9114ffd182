// Package chat is the sandbox's chat server.
package chat

import (
	"context"
	"net/http"
	"time"

	"cubegate/connectycube/xmpp"
)

// DefaultDomain is the domain of the JIDs unless Options say otherwise: the
// production domain, so that addresses look as they will.
const DefaultDomain = "chat.connectycube.com"

// Direction says where a stanza that is shown to a Tap went.
type Direction int

// The directions of a stanza.
const (
	FromClient Direction = iota + 1
	ToClient
)

// Fault is something that goes wrong with one stanza of a client on purpose.
// The zero value is no fault.
type Fault struct {
	Delay      time.Duration // before the stanza is handled, and with it all that come after it; at most a minute
	Refuse     bool          // answered with an error, not handled
	Drop       bool          // the socket is cut; the stanza is not handled
	LostAnswer bool          // the stanza is handled, then the socket is cut
	HalfOpen   bool          // the socket stays open and says nothing more
	Duplicate  bool          // what it delivers is delivered twice
}

// Options configure a Server. AppID, Accounts and Archive have no default.
type Options struct {
	AppID    int64
	Domain   string // of the JIDs; default DefaultDomain
	Accounts Accounts
	Archive  Archive

	// Tap sees each stanza that was read or is about to be written, before the
	// user is known with user 0. It is called from the sockets' goroutines, in
	// order for each direction of a socket, with no lock held. The text is as on
	// the wire: auth has the password in it.
	Tap func(d Direction, user int64, xml string)

	// Fault says what goes wrong with a stanza of a user who has logged in. It
	// is called like Tap.
	Fault func(user int64, stanza *xmpp.Element) Fault

	ResumeWindow time.Duration // how long a lost stream can be resumed; default 5 minutes, at most an hour
}

// Server is the chat of one application. It is an http.Handler for the
// WebSocket's address. It is safe for concurrent use. No method but ServeHTTP
// and Shutdown waits for anything, or calls Accounts or Archive.
type Server struct {
	o Options
}

// New makes a server without users online.
func New(o Options) *Server { return &Server{o: o} }

// ServeHTTP upgrades to a WebSocket and serves it until it ends.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {}

// Shutdown tells everyone goodbye and waits until they are gone or ctx ends.
func (s *Server) Shutdown(ctx context.Context) error { return nil }

// Deliver sends on a message that REST took, as if m.From had sent it by chat.
func (s *Server) Deliver(m Message, p Posted) {}

// NotifyReaction tells the recipients of a reaction.
func (s *Server) NotifyReaction(r Reaction) {}

// NotifyEdit tells the recipients that a message has a new text.
func (s *Server) NotifyEdit(n Notice) {}

// NotifyRemoval tells the recipients that a message was deleted for everyone.
func (s *Server) NotifyRemoval(n Notice) {}

// NotifySystem sends a system message (headline) and returns its id.
func (s *Server) NotifySystem(from, to int64, params []xmpp.Element) (id string) { return "" }

// Online lists the users who have sent presence, ascending.
func (s *Server) Online() []int64 { return nil }

// Sockets describes all connections, by user.
func (s *Server) Sockets() []Socket { return nil }

// Kick ends all connections of a user, who was deleted, for good: nothing can be
// resumed, and what waited for the user is forgotten.
func (s *Server) Kick(user int64) {}

// Drop cuts the user's sockets without a word, or everybody's when user is 0,
// and returns how many.
func (s *Server) Drop(user int64) int { return 0 }

// HalfOpen makes the user's sockets, or everybody's when user is 0, fall silent:
// they stay open, but nothing is read or written any more. It returns how many.
func (s *Server) HalfOpen(user int64) int { return 0 }

// Duplicate delivers the next n stanzas with content twice.
func (s *Server) Duplicate(n int) {}

// DelayStanzas holds every stanza to clients back for d from now on; 0 ends it.
func (s *Server) DelayStanzas(d time.Duration) {}
