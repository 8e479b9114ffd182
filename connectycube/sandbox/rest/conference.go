package rest

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// ConferencePath is the path of the media server. The JavaScript SDK adds it to the
// conference.server of its configuration if that begins with http.
const ConferencePath = "/janus"

const (
	maxJanus     = 64 << 10 // bytes of a request
	janusTimeout = 10 * time.Second
	janusUnknown = 490 // JANUS_ERROR_UNKNOWN: https://janus.conf.meetecho.com/docs/apierror_8h.html
)

const noConference = "The sandbox has no media server: it cannot connect conferences. Peer-to-peer calls work. " +
	"For conferences, run a Janus server and set conference.server of the SDK to it"

// janusError is an error of Janus's API: https://janus.conf.meetecho.com/docs/rest.html.
type janusError struct {
	Janus       string `json:"janus"`
	Transaction string `json:"transaction"`
	Error       struct {
		Code   int    `json:"code"`
		Reason string `json:"reason"`
	} `json:"error"`
}

func newJanusError(transaction string) janusError {
	e := janusError{Janus: "error", Transaction: transaction}
	e.Error.Code, e.Error.Reason = janusUnknown, noConference
	return e
}

// ServeConference refuses to join a conference, in the words of the media server's
// protocol, which the SDK passes on: over WebSocket.
func ServeConference(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{"janus-protocol"},
		InsecureSkipVerify: true, // the API is for pages of any origin
	})
	if err != nil {
		return // Accept has answered
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxJanus)
	ctx, cancel := context.WithTimeout(r.Context(), janusTimeout)
	defer cancel()
	var asked struct {
		Transaction string `json:"transaction"`
	}
	if wsjson.Read(ctx, conn, &asked) == nil && wsjson.Write(ctx, conn, newJanusError(asked.Transaction)) == nil {
		_ = conn.Close(websocket.StatusNormalClosure, "")
	}
}

// joinConference is ServeConference over HTTP.
func joinConference(_ *API, q *request) (reply, error) {
	return reply{status: http.StatusOK, body: newJanusError(q.params.Text("transaction"))}, nil
}

// IsConference reports whether a request opens a WebSocket to the media server.
func IsConference(r *http.Request) bool {
	return r.URL.Path == ConferencePath && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}
