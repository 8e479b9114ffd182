package rest

import (
	"net/http"
	"slices"
	"strings"

	"cubegate/connectycube/sandbox/core"
)

const maxCallID = 255 // bytes of a sessionID; our own

var callPlatforms = []string{"ios", "android", "web"} // documented as iOS, Android and Web; the SDK writes web

// rejectCall rejects a call for a user whose app has no chat connection: the caller gets
// the signal by chat (https://developers.connectycube.com/server/videochat). Calls need
// nothing else of the service: their signals are messages of the chat. The texts of the
// refusals are assumed.
func rejectCall(s *API, q *request, live *core.Session) (reply, error) {
	to, ok := q.params.Integer("recipientId")
	if !ok || s.Registry.Users[to] == nil {
		return reply{}, errNoRecipient
	}
	var wrong []string
	call, platform := q.params.Text("sessionID"), q.params.Text("platform")
	if call == "" || len(call) > maxCallID {
		wrong = append(wrong, "sessionID is required, of at most 255 bytes")
	}
	if platform != "" && !slices.Contains(callPlatforms, strings.ToLower(platform)) {
		wrong = append(wrong, "platform must be iOS, Android or Web")
	}
	if info := q.params["userInfo"]; info != nil && q.params.Object("userInfo") == nil {
		wrong = append(wrong, "userInfo must be an object")
	}
	if len(wrong) > 0 {
		return reply{}, core.AsBase(422, wrong...)
	}
	signal := core.Params{"signalType": "reject", "sessionID": call}
	if platform != "" {
		signal["platform"] = platform
	}
	if info := q.params.Object("userInfo"); len(info) > 0 {
		signal["userInfo"] = map[string]any(info)
	}
	s.notifier.Signal(Headline{live.User.ID, to, callModule, signal})
	return reply{status: http.StatusOK, body: struct{}{}}, nil
}
