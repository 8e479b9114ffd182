package provisioning

import (
	"errors"
	"fmt"
	"testing"

	"cubegate/connectycube"
)

func TestChatStatusOf(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want ChatStatus
	}{
		{nil, ChatReady},
		{pending(connectycube.ErrTaken), ChatPending}, // a failure that will pass, whatever its cause
		{&OverBudgetError{}, ChatPending},
		{ErrPasswordRequired, ChatPasswordNeeded},
		{ErrForeignAccount, ChatRefused},
		{fmt.Errorf("opening a session: %w", connectycube.ErrBadCredentials), ChatRefused},
		{connectycube.ErrNotFound, ChatRefused},
		{connectycube.ErrTaken, ChatRefused},
		{connectycube.ErrRefused, ChatRefused},
		{connectycube.ErrUnavailable, ChatUnavailable},
		{ErrLoginSessionEnded, ChatUnavailable},
		{errors.New("any other"), ChatUnavailable},
	} {
		if got := ChatStatusOf(tt.err); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.err, got, tt.want)
		}
	}
}
