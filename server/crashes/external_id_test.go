package crashes

import (
	"fmt"
	"net/http"
	"testing"

	"cubegate/server/servertest"
)

// A user changes the external ID of the account at ConnectyCube, with an identity
// provider. Each later login opens the same account, and ConnectyCube creates no
// second one.
func TestChangedExternalIDKeepsTheAccount(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	r := u.Start(t, true, nil)
	r.Register(t, "ada@example.org")
	first := r.Login(t, servertest.ByTokenDocument, "ada@example.org")
	if first.ChatStatus != "READY" || first.CcUserID == nil {
		t.Fatalf("before the change: %+v", first)
	}
	session := first.ConnectySession
	for _, to := range []string{`"mine"`, `null`, `"` + first.User.ID + `x"`} {
		got := r.Request(t, http.MethodPut, fmt.Sprintf("%s/users/%.0f.json", u.URL, *first.CcUserID), `{"user":{"external_id":`+to+`}}`, "CB-Token", session)
		if got.Status != http.StatusOK {
			t.Fatalf("changing the external ID to %s: %d %s", to, got.Status, got.Body)
		}
		for _, document := range []string{servertest.ByTokenDocument, servertest.LoginDocument} {
			in := r.Login(t, document, "ada@example.org")
			if in.ChatStatus != "READY" || in.CcUserID == nil || *in.CcUserID != *first.CcUserID {
				t.Errorf("a login after the change to %s: %s, account %v, want %.0f", to, in.ChatStatus, in.CcUserID, *first.CcUserID)
			}
			session = in.ConnectySession
		}
		if all := r.AllCubeUsers(t); len(all) != 1 || all[0].ExternalID != first.User.ID {
			t.Errorf("after the change to %s, ConnectyCube has %+v", to, all)
		}
	}
}
