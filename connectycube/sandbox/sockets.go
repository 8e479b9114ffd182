package sandbox

import (
	"cubegate/connectycube/sandbox/chat"
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

// blockLists gives the chat's block lists to the data file, and takes them back.
type blockLists struct{ chat *chat.Server }

// BlockLists implements core.BlockLists.
func (b blockLists) BlockLists() []core.BlockList {
	var all []core.BlockList
	for _, l := range b.chat.BlockLists() {
		all = append(all, core.BlockList(l))
	}
	return all
}

// RestoreBlockLists implements core.BlockLists.
func (b blockLists) RestoreBlockLists(saved []core.BlockList) error {
	var all []chat.BlockList
	for _, l := range saved {
		all = append(all, chat.BlockList(l))
	}
	return b.chat.RestoreBlockLists(all)
}
