package server

import (
	"net/http"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

// While the service stops, a login that is going on waits for ConnectyCube,
// which calls back: that must get in, or the login could only fail.
func TestStoppingLetsTheCallBackIn(t *testing.T) {
	r, stop := startUntil(t, configure(t, nil))
	t.Cleanup(stop)
	r.register(t, "ada@example.org")
	r.fault(t, `{"method":"POST","path":"/session","kind":"slow","delay_ms":1000,"times":1}`)
	answered := make(chan answer, 1)
	go func() { answered <- r.graphql(t, byTokenDocument, credentials("ada@example.org")) }()
	r.faultTaken(t)
	stop()
	if got := <-answered; got.code() != "" || got.Data.Answer.ChatStatus != "READY" {
		t.Errorf("the login that was going on: %s", got.text)
	}
}

// ConnectyCube's question about a password comes in the middle of a
// registration that claims an account. Our yes to it once ended the
// registration, so that its later failure left a user whom nobody could register
// again.
func TestARegistrationThatFailsAfterTheCallBackLeavesNothing(t *testing.T) {
	t.Parallel()
	r := start(t, allOrNothing)
	const address = "orphan@example.org"
	orphan := `{"user":{"email":"` + address + `","password":"another horse"}}`
	if got := r.request(t, http.MethodPost, r.box+"/users", orphan, "CB-AuthKey", sandbox.DefaultAuthKey); got.status != http.StatusCreated {
		t.Fatalf("making the orphan: %d %s", got.status, got.body)
	}
	// The look-ups before the claim open sessions of their own; only the one after
	// the second is the claim's.
	r.fault(t, `{"method":"GET","path":"/users/v2","kind":"slow","delay_ms":1000,"times":1}`)
	answered := make(chan answer, 1)
	go func() { answered <- r.graphql(t, registerDocument, ada(address)) }()
	r.faultTaken(t)
	r.fault(t, `{"method":"POST","path":"/session","kind":"lost-answer","times":2}`)
	if got := <-answered; got.code() != "UPSTREAM_UNAVAILABLE" {
		t.Fatalf("with a lost answer: %s", got.text)
	}
	r.healed(t)
	if got := r.graphql(t, loginDocument, credentials(address)); got.code() != "UNAUTHENTICATED" {
		t.Errorf("the user is there: %s", got.text)
	}
	second := ada(address)
	second["password"] = "a third horse"
	if got := r.graphql(t, registerDocument, second); got.code() != "" {
		t.Errorf("trying again: %s", got.text)
	}
}

// faultTaken waits until somebody has met the slow fault.
func (r *running) faultTaken(t *testing.T) {
	t.Helper()
	eventually(t, "the slow fault is met", func() bool {
		got := r.request(t, http.MethodGet, r.box+"/_sandbox/faults", "")
		return !strings.Contains(got.body, "slow")
	})
}
