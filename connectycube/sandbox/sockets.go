package sandbox

import (
	"cubegate/connectycube/sandbox/core"
)

// Drop cuts the chat sockets of a user, or everybody's when user is 0, at once
// and without a word. It returns how many.
func (s *Sandbox) Drop(user int64) int { return s.chat.Drop(user) }

// HalfOpen makes the chat sockets of a user, or everybody's when user is 0, fall
// silent at once without closing. It returns how many. They stay so for ten
// minutes, or until Drop.
func (s *Sandbox) HalfOpen(user int64) int { return s.chat.HalfOpen(user) }

// sockets describes the connections of the chat, by user.
func (s *Sandbox) sockets() []core.SocketState {
	var all []core.SocketState
	for _, c := range s.chat.Sockets() {
		all = append(all, core.SocketState(c))
	}
	return all
}
