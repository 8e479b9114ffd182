package provisioning

import (
	"errors"

	"cubegate/connectycube"
)

// ChatStatus says what became of the ConnectyCube session of a login or a refresh.
// Clients read these words.
type ChatStatus string

// The statuses. Each but ChatReady comes without a session.
const (
	ChatReady          ChatStatus = "READY"
	ChatPending        ChatStatus = "PENDING"         // the account does not exist yet; refresh later
	ChatPasswordNeeded ChatStatus = "PASSWORD_NEEDED" // log in with the password
	ChatRefused        ChatStatus = "REFUSED"         // a retry does not help
	ChatUnavailable    ChatStatus = "UNAVAILABLE"     // refresh later
)

// ChatStatusOf returns the status for an error of this package, or of ConnectyCube;
// nil is ChatReady. An error that it does not know is ChatUnavailable.
func ChatStatusOf(err error) ChatStatus {
	if err == nil {
		return ChatReady
	}
	for _, row := range []struct {
		is     error
		status ChatStatus
	}{
		{ErrPending, ChatPending},
		{ErrPasswordRequired, ChatPasswordNeeded},
		{ErrForeignAccount, ChatRefused},
		{connectycube.ErrBadCredentials, ChatRefused},
		{connectycube.ErrNotFound, ChatRefused},
		{connectycube.ErrTaken, ChatRefused},
		{connectycube.ErrRefused, ChatRefused},
	} {
		if errors.Is(err, row.is) {
			return row.status
		}
	}
	return ChatUnavailable
}
