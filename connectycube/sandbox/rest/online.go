package rest

import (
	"net/http"

	"cubegate/connectycube/sandbox/core"
)

// onlineUsers returns the users in the chat. The form of the answer is that of the
// SDK's types.
func onlineUsers(s *API, q *request, _ *core.Session) (reply, error) {
	online := s.online()
	if q.params.Flag("count") {
		return reply{status: http.StatusOK, body: map[string]any{"count": len(online)}}, nil
	}
	skip, limit, err := paging(q.params, "offset", maxPage)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: map[string]any{"users": s.userPage(online, skip, limit)}}, nil
}
