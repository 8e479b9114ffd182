package lifecycle

import (
	"net/http"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
	"cubegate/server/servertest"
)

// While the service stops, a login that is going on waits for ConnectyCube,
// which calls back: that must get in, or the login could only fail.
func TestStoppingLetsTheCallBackIn(t *testing.T) {
	r, stop := servertest.StartUntil(t, servertest.Configure(t, nil))
	t.Cleanup(stop)
	r.Register(t, "ada@example.org")
	r.InjectFault(t, `{"method":"POST","path":"/session","kind":"slow","delay_ms":1000,"times":1}`)
	answered := make(chan servertest.GraphQLReply, 1)
	go func() {
		answered <- r.GraphQL(t, servertest.ByTokenDocument, servertest.Credentials("ada@example.org"))
	}()
	faultTaken(t, r)
	stop()
	if got := <-answered; got.Code() != "" || got.Data.Answer.ChatStatus != "READY" {
		t.Errorf("the login that was going on: %s", got.Body)
	}
}

// ConnectyCube's question about a password comes in the middle of a
// registration that claims an account. Our yes to it once ended the
// registration, so that its later failure left a user whom nobody could register
// again.
func TestARegistrationThatFailsAfterTheCallBackLeavesNothing(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, servertest.AllOrNothing)
	const address = "orphan@example.org"
	orphan := `{"user":{"email":"` + address + `","password":"another horse"}}`
	if got := r.Request(t, http.MethodPost, r.SandboxURL+"/users", orphan, "CB-AuthKey", sandbox.DefaultAuthKey); got.Status != http.StatusCreated {
		t.Fatalf("making the orphan: %d %s", got.Status, got.Body)
	}
	// The look-ups before the claim open sessions of their own; only the one after
	// the second is the claim's.
	r.InjectFault(t, `{"method":"GET","path":"/users/v2","kind":"slow","delay_ms":1000,"times":1}`)
	answered := make(chan servertest.GraphQLReply, 1)
	go func() { answered <- r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser(address)) }()
	faultTaken(t, r)
	r.InjectFault(t, `{"method":"POST","path":"/session","kind":"lost-answer","times":2}`)
	if got := <-answered; got.Code() != "UPSTREAM_UNAVAILABLE" {
		t.Fatalf("with a lost answer: %s", got.Body)
	}
	r.ClearFaults(t)
	if got := r.GraphQL(t, servertest.LoginDocument, servertest.Credentials(address)); got.Code() != "UNAUTHENTICATED" {
		t.Errorf("the user is there: %s", got.Body)
	}
	second := servertest.NewUser(address)
	second["password"] = "a third horse"
	if got := r.GraphQL(t, servertest.RegisterDocument, second); got.Code() != "" {
		t.Errorf("trying again: %s", got.Body)
	}
}

// faultTaken waits until somebody has met the slow fault.
func faultTaken(t *testing.T, r *servertest.Server) {
	t.Helper()
	servertest.Eventually(t, "the slow fault is met", func() bool {
		got := r.Request(t, http.MethodGet, r.SandboxURL+"/_sandbox/faults", "")
		return !strings.Contains(got.Body, "slow")
	})
}
