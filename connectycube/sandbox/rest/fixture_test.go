package rest

import (
	"net/http"

	"cubegate/connectycube/sandbox/core"
)

// newTestAPI returns the API of an application without a chat.
func newTestAPI(o core.Options, via *http.Client) *API {
	o.AppID, o.AuthKey = 1001, "sandbox-auth-key"
	return New(core.New(o), Options{HTTP: via, Notifier: noChat{}, Online: func() []int64 { return nil }})
}

// noChat sends nothing.
type noChat struct{ Notifier }

func (noChat) Deliver(*core.Message) {}
