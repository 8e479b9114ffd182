package sandbox

import "net/http"

// newTestAPI makes the API of an application that has no chat.
func newTestAPI(o ApplicationOptions, via *http.Client) *API {
	o.AppID, o.AuthKey = 1001, "sandbox-auth-key"
	return newAPI(newApplication(o), APIOptions{HTTP: via, Notifier: noChat{}, Online: func() []int64 { return nil }})
}

// noChat takes everything and sends nothing.
type noChat struct{ Notifier }

func (noChat) Deliver(*Message) {}
