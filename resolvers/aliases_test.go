package resolvers

import (
	"strings"
	"sync/atomic"
	"testing"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/identity/identitytest"
	"cubegate/resolvers/transport"
	"cubegate/resolvers/transport/transporttest"
	"cubegate/tokens"
)

// countingVerifier counts the verified tokens: one for each look-up of a caller.
type countingVerifier struct {
	identitytest.Verifier
	verified atomic.Int32
}

func (v *countingVerifier) VerifyAccess(raw string) (tokens.Claims, error) {
	v.verified.Add(1)
	return v.Verifier.VerifyAccess(raw)
}

func TestQueriesOfOneRequestShareTheirCaller(t *testing.T) {
	counting := &countingVerifier{}
	f, h := newAPI(t, func(p *parts) { p.flows.Tokens.Verifier = counting })
	bearer := func(body string) transporttest.Result {
		return transporttest.Send(t, transport.Bearer(h), body, transporttest.Header("Authorization", "Bearer good "+adaID))
	}
	got := bearer(`{"query":"{` + transporttest.Aliases(19, "me{id}") + ` sessions{id}}"}`)
	if got.Code() != "" || counting.verified.Load() != 1 {
		t.Errorf("%d look-ups for 20 queries: %.300s", counting.verified.Load(), got.Text)
	}
	counting.verified.Store(0)
	if got := bearer(`{"query":"{` + transporttest.Aliases(21, "me{id}") + `}"}`); got.Code() != string(apierror.GraphQLValidationFailed) || counting.verified.Load() != 0 {
		t.Errorf("21 queries: %.300s", got.Text)
	}
	// A mutation sees that an earlier one of the same document has ended the login session.
	got = bearer(`{"query":"mutation{a:logout{message} b:changeEmail(email:\"eve@example.org\",password:\"correct horse\"){id}}"}`)
	if len(got.Errors) != 1 || got.Code() != string(apierror.Unauthenticated) || got.Errors[0].Path[0] != "b" || counting.verified.Load() != 1 { // a logout asks in another way
		t.Errorf("after a logout: %d look-ups, %.300s", counting.verified.Load(), got.Text)
	}
	if !strings.EqualFold(f.users.User.Email, credentials.Email) {
		t.Errorf("the email is %q", f.users.User.Email)
	}
}
