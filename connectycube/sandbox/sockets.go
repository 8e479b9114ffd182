package sandbox

import (
	"net/http"
)

// Drop cuts the chat sockets of a user, or everybody's when user is 0, at once
// and without a word. It returns how many.
func (s *Sandbox) Drop(user int64) int { return s.chat.Drop(user) }

// HalfOpen makes the chat sockets of a user, or everybody's when user is 0, fall
// silent at once without closing. It returns how many. They stay so for ten
// minutes, or until Drop.
func (s *Sandbox) HalfOpen(user int64) int { return s.chat.HalfOpen(user) }

// postSockets runs act on the sockets of {"user":id}, or on all.
func postSockets(act func(user int64) int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			User int64 `json:"user"`
		}
		if !readControl(w, r, &asked) {
			return
		}
		if asked.User < 0 {
			controlError(w, http.StatusBadRequest, "user must be an id, or 0 for everybody")
			return
		}
		writeJSON(w, http.StatusOK, map[string]int{"sockets": act(asked.User)})
	}
}
