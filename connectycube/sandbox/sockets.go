package sandbox

import (
	"cubegate/connectycube/sandbox/core"
)

// Drop cuts the chat sockets of a user at once, without a closing handshake, or all
// sockets if user is 0. It returns their number.
func (s *Sandbox) Drop(user int64) int { return s.chat.Drop(user) }

// HalfOpen makes the chat sockets of a user silent without closing them, or all sockets
// if user is 0. It returns their number. They stay silent for ten minutes, or until
// Drop.
func (s *Sandbox) HalfOpen(user int64) int { return s.chat.HalfOpen(user) }

// sockets returns the connections of the chat, by user.
func (s *Sandbox) sockets() []core.SocketState {
	var all []core.SocketState
	for _, c := range s.chat.Sockets() {
		all = append(all, core.SocketState(c))
	}
	return all
}
