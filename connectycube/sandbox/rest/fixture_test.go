package rest

import (
	"net/http"

	"cubegate/connectycube/sandbox/core"
)

// newTestAPI makes the API of an application that has no chat.
func newTestAPI(o core.Options, via *http.Client) *API {
	o.AppID, o.AuthKey = 1001, "sandbox-auth-key"
	return New(core.New(o), Options{HTTP: via, Notifier: noChat{}, Online: func() []int64 { return nil }})
}

// noChat takes everything and sends nothing.
type noChat struct{ Notifier }

func (noChat) Deliver(*core.Message) {}
