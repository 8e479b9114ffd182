package identity

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/provisioning"
	"cubegate/store"
)

func TestRefreshRenewsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlows(t)
		f.there()
		in, err := f.login(t.Context(), adaLogin)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Minute)
		out, err := f.refresh(t.Context(), in.RefreshToken)
		if err != nil || out.RefreshToken == in.RefreshToken || out.AccessToken == "" || out.ChatTicket == "" || out.ChatStatus != provisioning.ChatReady || out.Session.ID != in.Session.ID {
			t.Fatalf("%+v, %v", out, err)
		}
		if got, want := out.Session.Expires, time.Now().Add(time.Hour); !got.Equal(want) {
			t.Errorf("expires at %v, want %v", got, want)
		}
		if m := f.accounts.Methods; m[len(m)-1] != (provisioning.LoginMethod{}) {
			t.Error("a refresh has another method than none")
		}
		time.Sleep(50 * time.Minute)
		if out, err = f.refresh(t.Context(), out.RefreshToken); err != nil || !out.Session.Expires.Equal(in.Session.AbsoluteExpiry) {
			t.Errorf("expires at %v, %v; want the session's own end, %v", out.Session.Expires, err, in.Session.AbsoluteExpiry)
		}
		time.Sleep(20 * time.Minute)
		if _, err := f.refresh(t.Context(), out.RefreshToken); outward(err).Code != apierror.Unauthenticated {
			t.Errorf("after the absolute end: %v", err)
		}
	})
}

func TestIdleSessionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlows(t)
		f.there()
		in, err := f.login(t.Context(), adaLogin)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if _, err := f.refresh(t.Context(), in.RefreshToken); outward(err).Code != apierror.Unauthenticated {
			t.Errorf("after an idle hour: %v", err)
		}
	})
}

func TestReplayEndsTheSession(t *testing.T) {
	f := newFlows(t)
	f.there()
	in, err := f.login(t.Context(), adaLogin)
	if err != nil {
		t.Fatal(err)
	}
	lost, err := f.refresh(t.Context(), in.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	again, err := f.refresh(t.Context(), in.RefreshToken) // the response was lost
	if err != nil {
		t.Fatal(err)
	}
	if again, err = f.refresh(t.Context(), again.RefreshToken); err != nil {
		t.Fatal(err)
	}
	if _, err := f.refresh(t.Context(), lost.RefreshToken); outward(err).Code != apierror.Unauthenticated {
		t.Errorf("a sibling of the child that was used: %v", err)
	}
	if _, err := f.refresh(t.Context(), again.RefreshToken); outward(err).Code != apierror.Unauthenticated {
		t.Errorf("the owner, after that: %v; want the session over", err)
	}
	if _, err := f.refresh(t.Context(), "forged"); outward(err).Code != apierror.Unauthenticated {
		t.Errorf("a forged token: %v", err)
	}
	if e := f.events.All[len(f.events.All)-1]; e.Kind != "refresh" || e.Outcome != store.OutcomeRefused || e.Session != in.Session.ID {
		t.Errorf("recorded %+v", e)
	}
}

func TestRefreshOfAnEndedSession(t *testing.T) {
	for name, out := range map[string]func(flows){
		"logged out": func(f flows) { f.users.User.Sessions = nil },
		"disabled":   func(f flows) { f.users.User.Disabled = true },
		"deleting":   func(f flows) { f.users.User.Deleting = true },
		"deleted":    func(f flows) { f.users.User = nil },
	} {
		f := newFlows(t)
		f.there()
		in, err := f.login(t.Context(), adaLogin)
		if err != nil {
			t.Fatal(err)
		}
		out(f)
		if _, err := f.refresh(t.Context(), in.RefreshToken); outward(err).Code != apierror.Unauthenticated {
			t.Errorf("%s: %v, want %s", name, err, apierror.Unauthenticated)
		}
	}
}

func TestLogoutEndsTheCallersSession(t *testing.T) {
	f := newFlows(t)
	f.there()
	if err := f.Sessions.Logout(t.Context(), f.ada(store.AuditLogout)); err != nil || !slices.Equal(f.users.User.Sessions, []string{"s3"}) || f.accounts.Woken != 1 {
		t.Errorf("%v, left %q", err, f.users.User.Sessions)
	}
	f.expectEvent(t, store.Event{Kind: store.AuditLogout, Outcome: store.OutcomeOK, UserID: adaID, Session: "s1"})
}

// A second logout with the same token finds nothing to end, and records nothing.
func TestLogoutOfAnEndedSession(t *testing.T) {
	f := newFlows(t)
	f.there()
	c := f.ada(store.AuditLogout)
	f.users.User.Sessions = nil
	if err := f.Sessions.Logout(t.Context(), c); err != nil || f.accounts.Woken != 0 || len(f.recorded(t)) != 0 {
		t.Errorf("%v, woken %d times", err, f.accounts.Woken)
	}
}

func TestLogoutEverywhereEndsAllSessions(t *testing.T) {
	f := newFlows(t)
	f.there()
	if err := f.Sessions.LogoutEverywhere(t.Context(), f.ada(store.AuditLogoutAll)); err != nil || len(f.users.User.Sessions) != 0 || f.accounts.Woken != 1 {
		t.Errorf("%v, left %q", err, f.users.User.Sessions)
	}
	f.expectEvent(t, store.Event{Kind: store.AuditLogoutAll, Outcome: store.OutcomeOK, UserID: adaID})
}

func TestRevokeOfAnUnknownSession(t *testing.T) {
	f := newFlows(t)
	f.there()
	if err := f.Sessions.Revoke(t.Context(), f.ada(store.AuditRevoke), "unknown"); outward(err).Code != apierror.NotFound || len(f.users.User.Sessions) != 2 {
		t.Errorf("%v, left %q", err, f.users.User.Sessions)
	}
}

func TestListReturnsTheRecordsOfTheCallersSessions(t *testing.T) {
	f := newFlows(t)
	f.there()
	list, err := f.Sessions.List(t.Context(), f.ada(""))
	if err != nil || len(list) != 1 || list[0].ID != "s1" {
		t.Errorf("%+v, %v", list, err)
	}
}
