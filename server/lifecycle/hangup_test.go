package lifecycle

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"cubegate/connectycube/sandbox"
	"cubegate/resolvers/identity"
	"cubegate/server/servertest"
	"cubegate/tokens"

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

// heldPasswords holds each comparison of a password until release is closed.
type heldPasswords struct {
	identity.PasswordHasher
	held    chan<- struct{}
	release <-chan struct{}
}

func (h heldPasswords) Compare(ctx context.Context, turn tokens.Turn, password, hash string) (bool, error) {
	h.held <- struct{}{}
	<-h.release
	return h.PasswordHasher.Compare(ctx, turn, password, hash)
}

// A shutdown tells sockets at once to hang up, while a login has time to finish.
func TestSocketsHangUpWhileALoginFinishes(t *testing.T) {
	t.Parallel()
	r, stop := servertest.StartUntil(t, servertest.Configure(t, map[string]string{"SHUTDOWN_TIMEOUT": "1m"}))
	t.Cleanup(stop)
	held, ended := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(ended) })
	t.Cleanup(release) // a login that waits would hold the end of a failed test
	r.Flows.Passwords.Hasher = heldPasswords{r.Flows.Passwords.Hasher, held, ended}
	r.Register(t, "ada@example.org")
	conn := openSocket(t, r.SandboxURL)
	login := r.StartRequest(http.MethodPost, "/api", servertest.RequestBody(t, servertest.ByTokenDocument, servertest.Credentials("ada@example.org")))
	<-held
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	text, end := readAll(t, conn)
	if !strings.Contains(text, "system-shutdown") || websocket.CloseStatus(end) != websocket.StatusNormalClosure {
		t.Errorf("the socket got %q and ended with %v, want system-shutdown and a close frame", text, end)
	}
	release()
	<-stopped
	if got := <-login; got.Err != nil || !strings.Contains(got.Body, `"chatStatus":"READY"`) {
		t.Errorf("the login: %s, %v", got.Body, got.Err)
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
