package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// refusedLogins sends wrong passwords.
func (r *running) refusedLogins(t *testing.T, email string, n int) {
	t.Helper()
	for range n {
		got := r.request(t, http.MethodPost, "/auth/login", fmt.Sprintf(`{"email":%q,"password":"wrong password"}`, email))
		if got.status != http.StatusUnauthorized {
			t.Fatalf("a wrong password: %d %s", got.status, got.body)
		}
	}
}

// An administrator sees the refusals of this moment, counted. An unknown email
// is nowhere among them.
func TestAuditCountsRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	c := newCast(t, r, 0)
	r.refusedLogins(t, c.ada.User.Email, 5)
	r.refusedLogins(t, "nobody@example.org", 3)
	got := r.as(t, c.root.Token, `{ audit { items { kind outcome userId count detail } } }`, nil).body
	if want := `{"kind":"login","outcome":"refused","userId":"` + c.ada.User.ID + `","count":5,"detail":"UNAUTHENTICATED"}`; !strings.Contains(got, want) {
		t.Errorf("the audit lacks %s: %s", want, got)
	}
	if strings.Count(got, `"outcome":"refused"`) != 1 || strings.Contains(got, "nobody") {
		t.Errorf("the audit has other refusals: %s", got)
	}
	if !strings.Contains(got, `"kind":"register","outcome":"ok","userId":"`+c.ada.User.ID+`","count":null`) {
		t.Errorf("the audit counts what is no refusal: %s", got)
	}
}

// A shutdown loses no refusal that was answered.
func TestShutdownRecordsRefusals(t *testing.T) {
	t.Parallel()
	settings := map[string]string{"DATA_DIR": t.TempDir()}
	r, stop := startUntil(t, configure(t, settings))
	c := newCast(t, r, 0)
	r.refusedLogins(t, c.ada.User.Email, 2)
	stop()
	r = start(t, settings)
	got := r.as(t, c.root.Token, `{ audit { items { outcome userId count } } }`, nil).body
	if !strings.Contains(got, `{"outcome":"refused","userId":"`+c.ada.User.ID+`","count":2}`) {
		t.Errorf("after the restart the audit has %s", got)
	}
}
