package lifecycle

import (
	"context"
	"strings"
	"testing"
	"time"

	"cubegate/connectycube/sandbox"
	"cubegate/server/servertest"

	"github.com/coder/websocket"
)

// openSocket opens a socket of the sandbox's chat and says hello.
func openSocket(t *testing.T, sandboxURL string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(sandboxURL, "http", "ws", 1)+sandbox.ChatPath,
		&websocket.DialOptions{Subprotocols: []string{"xmpp"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	const hello = `<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="chat.connectycube.com" version="1.0"/>`
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(hello)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// readAll returns the text of all frames until the socket is closed, and how it was closed.
func readAll(t *testing.T, conn *websocket.Conn) (text string, end error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		_, frame, err := conn.Read(ctx)
		if err != nil {
			return text, err
		}
		text += string(frame)
	}
}

// A shutdown tells sockets at once to hang up, while a login has time to finish.
func TestSocketsHangUpWhileALoginFinishes(t *testing.T) {
	t.Parallel()
	r, stop := servertest.StartUntil(t, servertest.Configure(t, map[string]string{"CONNECTYCUBE_TIMEOUT": "20s", "SHUTDOWN_TIMEOUT": "20s"}))
	t.Cleanup(stop)
	r.Register(t, "ada@example.org")
	conn := openSocket(t, r.SandboxURL)
	r.InjectFault(t, `{"method":"POST","path":"/session","kind":"slow","delay_ms":8000,"times":1}`)
	login := make(chan servertest.GraphQLReply, 1)
	go func() {
		login <- r.GraphQL(t, servertest.ByTokenDocument, servertest.Credentials("ada@example.org"))
	}()
	servertest.WaitFaultsSpent(t, r)
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	text, end := readAll(t, conn)
	if !strings.Contains(text, "system-shutdown") || websocket.CloseStatus(end) != websocket.StatusNormalClosure {
		t.Errorf("the socket got %q and ended with %v, want system-shutdown and a close frame", text, end)
	}
	select {
	case got := <-login:
		t.Errorf("the login had ended when the socket hung up: %s", got.Body)
	default:
	}
	<-stopped
	if got := <-login; got.Code() != "" || got.Data.Answer.ChatStatus != "READY" {
		t.Errorf("the login: %s", got.Body)
	}
}

func TestSandboxAloneTellsSocketsToHangUp(t *testing.T) {
	banner, stop := startSandbox(t, nil)
	conn := openSocket(t, inBanner(t, banner, `REST API +(http:\S+)`))
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	if text, end := readAll(t, conn); !strings.Contains(text, "system-shutdown") || websocket.CloseStatus(end) != websocket.StatusNormalClosure {
		t.Errorf("the socket got %q and ended with %v, want system-shutdown and a close frame", text, end)
	}
	<-stopped
}
