package sandbox_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube/sandbox"

	"github.com/coder/websocket"
)

// HangUp waits for a client to close its socket, but not past its context.
func TestHangUpEndsWithItsContext(t *testing.T) {
	for name, reads := range map[string]bool{"the client reads": true, "the client is frozen": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := sandbox.New(sandbox.Options{})
				conn, _, err := websocket.Dial(t.Context(), "ws://sandbox.invalid"+sandbox.ChatPath,
					&websocket.DialOptions{HTTPClient: s.Client(), Subprotocols: []string{"xmpp"}})
				if err != nil {
					t.Fatal(err)
				}
				defer conn.CloseNow()
				want := time.Second
				if reads {
					want = 0
					go func() {
						for err := error(nil); err == nil; _, _, err = conn.Read(t.Context()) {
						}
					}()
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				started := time.Now()
				s.HangUp(ctx)
				if took := time.Since(started); took != want {
					t.Errorf("HangUp took %v, want %v", took, want)
				}
				s.HangUp(t.Context()) // returns, because no socket is left
				if took := time.Since(started); took != want {
					t.Errorf("the second HangUp ended after %v, want %v", took, want)
				}
			})
		})
	}
}
