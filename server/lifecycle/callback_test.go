package lifecycle

import (
	"net/http"
	"sync"
	"testing"

	"cubegate/connectycube/sandbox"
	"cubegate/server/servertest"
)

// During shutdown, a running login waits for ConnectyCube, which sends the callback.
// The server must serve it, or the login fails.
func TestShutdownServesTheCallback(t *testing.T) {
	r, stop := servertest.StartUntil(t, servertest.Configure(t, nil))
	t.Cleanup(stop)
	r.Register(t, "ada@example.org")
	r.InjectFault(t, `{"method":"POST","path":"/session","kind":"slow","delay_ms":1000,"times":1}`)
	answered := make(chan servertest.GraphQLReply, 1)
	go func() {
		answered <- r.GraphQL(t, servertest.ByTokenDocument, servertest.Credentials("ada@example.org"))
	}()
	servertest.WaitFaultsSpent(t, r)
	stop()
	if got := <-answered; got.Code() != "" || got.Data.Answer.ChatStatus != "READY" {
		t.Errorf("the running login: %s", got.Body)
	}
}

// During a registration that adopts an existing account, the callback asks about the
// password. Confirming the password once completed the registration, so a later
// failure left a user whose email could not be registered again.
func TestRegistrationThatFailsAfterTheCallbackLeavesNothing(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	r := u.Start(t, true, servertest.AllOrNothing)
	const email = "orphan@example.org"
	servertest.SignUpAtUpstream(t, u, `{"user":{"email":"`+email+`","password":"another horse"}}`)
	// The two look-ups open sessions of their own. The session after the second one
	// adopts the account.
	first := sync.OnceFunc(func() {
		if err := u.AddFault(sandbox.Fault{Method: http.MethodPost, Path: "/session", Kind: sandbox.FaultLostAnswer, Times: 2}); err != nil {
			t.Error(err)
		}
	})
	u.Override(http.MethodGet, "/users/v2", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		first()
		next.ServeHTTP(w, r)
	})
	if got := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser(email)); got.Code() != "UPSTREAM_UNAVAILABLE" {
		t.Fatalf("with a lost reply: %s", got.Body)
	}
	r.ClearFaults(t)
	if got := r.GraphQL(t, servertest.LoginDocument, servertest.Credentials(email)); got.Code() != "UNAUTHENTICATED" {
		t.Errorf("a login after the failed registration: %s", got.Body)
	}
	second := servertest.NewUser(email)
	second["password"] = "a third horse"
	if got := r.GraphQL(t, servertest.RegisterDocument, second); got.Code() != "" {
		t.Errorf("registering again: %s", got.Body)
	}
}
