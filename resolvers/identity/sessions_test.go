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
		f.stored()
		in := f.loggedIn(t)
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
		f.stored()
		in := f.loggedIn(t)
		time.Sleep(time.Hour)
		if _, err := f.refresh(t.Context(), in.RefreshToken); outward(err).Code != apierror.Unauthenticated {
			t.Errorf("after an idle hour: %v", err)
		}
	})
}

// moved makes the flows see the client's app in another network.
func (f flows) moved(network string, do func()) {
	here := *f.client
	f.from(network)
	do()
	*f.client = here
}

func TestReplayEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlows(t)
		f.stored()
		in := f.loggedIn(t)
		lost := f.refreshed(t, in.RefreshToken)
		var again LoginResult
		f.moved("198.51.100.1", func() { again = f.refreshed(t, in.RefreshToken) }) // the response was lost
		if again.RefreshToken == lost.RefreshToken {
			t.Fatal("another network: want another successor")
		}
		again = f.refreshed(t, again.RefreshToken)
		time.Sleep(31 * time.Second)
		if _, err := f.refresh(t.Context(), lost.RefreshToken); outward(err).Code != apierror.Unauthenticated {
			t.Errorf("a sibling of the child that was used: %v", err)
		}
		if _, err := f.refresh(t.Context(), again.RefreshToken); outward(err).Code != apierror.Unauthenticated {
			t.Errorf("the owner, after that: %v; want the session over", err)
		}
		if _, err := f.refresh(t.Context(), "forged"); outward(err).Code != apierror.Unauthenticated {
			t.Errorf("a forged token: %v", err)
		}
		if e := f.events.List(); e[len(e)-1].Kind != "refresh" || e[len(e)-1].Outcome != store.OutcomeRefused || e[len(e)-1].Session != in.Session.ID {
			t.Errorf("recorded %+v", e[len(e)-1])
		}
		if f.users.User.DeviceGeneration != 1 {
			t.Error("a replay does not make the devices unknown")
		}
	})
}

// Two tabs of one app refresh with the same token, or one request is delivered twice.
func TestTheSameClientGetsTheSameAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlows(t)
		f.stored()
		f.client.UserAgent = "an app"
		in := f.loggedIn(t)
		first := f.refreshed(t, in.RefreshToken)
		for name, tt := range map[string]struct {
			client ClientInfo
			same   bool
		}{
			"the same app":           {*f.client, true},
			"another address in it":  {ClientInfo{IP: "192.0.2.99", Networks: f.client.Networks, UserAgent: "an app"}, true},
			"another network":        {ClientInfo{IP: f.client.IP, Networks: []string{"192.0.2.0/24", "198.51.100.1"}, UserAgent: "an app"}, false},
			"another app":            {ClientInfo{IP: f.client.IP, Networks: f.client.Networks, UserAgent: "another app"}, false},
			"an app without a name":  {ClientInfo{IP: f.client.IP, Networks: f.client.Networks}, false},
			"the outer network only": {ClientInfo{IP: f.client.IP, Networks: []string{"192.0.2.1", "198.51.100.1"}, UserAgent: "an app"}, false},
		} {
			c := f.stranger(store.AuditRefresh, CostToken)
			c.Client = tt.client
			got, err := f.Sessions.Refresh(t.Context(), c, in.RefreshToken)
			if err != nil || (got.RefreshToken == first.RefreshToken) != tt.same {
				t.Errorf("%s: same %t, %v; want %t", name, got.RefreshToken == first.RefreshToken, err, tt.same)
			}
		}
		time.Sleep(31 * time.Second)
		if late, err := f.refresh(t.Context(), in.RefreshToken); err != nil || late.RefreshToken == first.RefreshToken {
			t.Errorf("after the window: %v; want another successor", err)
		}
	})
}

// A request that a network delivers late ends nothing.
func TestAStaleTokenEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlows(t)
		f.stored()
		in := f.loggedIn(t)
		first := f.refreshed(t, in.RefreshToken)
		second := f.refreshed(t, first.RefreshToken)
		events := len(f.recorded(t))
		for range 3 {
			_, err := f.refresh(t.Context(), in.RefreshToken)
			if e := outward(err); e.Code != apierror.StaleRefreshToken || e.Code.Status() != 401 || e.RetryAfter <= 0 || e.RetryAfter > 31*time.Second {
				t.Errorf("a token that was just retired: %v, retry after %v", err, e.RetryAfter)
			}
			time.Sleep(10 * time.Second)
		}
		if len(f.recorded(t)) != events || f.users.User.DeviceGeneration != 0 {
			t.Error("a stale token leaves a trace")
		}
		if _, err := f.refresh(t.Context(), second.RefreshToken); err != nil {
			t.Errorf("the newest token, after that: %v", err)
		}
		time.Sleep(time.Second)
		if _, err := f.refresh(t.Context(), in.RefreshToken); outward(err).Code != apierror.Unauthenticated || slices.Contains(f.users.User.Sessions, in.Session.ID) {
			t.Errorf("after the window: %v; want the session over", err)
		}
	})
}

// A client that asks once more after Retry-After learns that the session is over.
func TestRetryAfterOfAStaleToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlows(t)
		f.stored()
		in := f.loggedIn(t)
		next := f.refreshed(t, in.RefreshToken)
		f.refreshed(t, next.RefreshToken)
		time.Sleep(7 * time.Second)
		_, err := f.refresh(t.Context(), in.RefreshToken)
		time.Sleep(outward(err).RetryAfter)
		if _, err := f.refresh(t.Context(), in.RefreshToken); outward(err).Code != apierror.Unauthenticated {
			t.Errorf("once more: %v", err)
		}
	})
}

// A stale token of a session that has ended otherwise is no reason to wait.
func TestAStaleTokenOfAnEndedSession(t *testing.T) {
	f := newFlows(t)
	f.stored()
	in := f.loggedIn(t)
	next := f.refreshed(t, in.RefreshToken)
	f.refreshed(t, next.RefreshToken)
	f.users.User.Sessions = nil
	if _, err := f.refresh(t.Context(), in.RefreshToken); outward(err).Code != apierror.Unauthenticated {
		t.Errorf("%v, want %s", err, apierror.Unauthenticated)
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
		f.stored()
		in := f.loggedIn(t)
		out(f)
		if _, err := f.refresh(t.Context(), in.RefreshToken); outward(err).Code != apierror.Unauthenticated {
			t.Errorf("%s: %v, want %s", name, err, apierror.Unauthenticated)
		}
	}
}

func TestLogoutEverywhereEndsAllSessions(t *testing.T) {
	f := newFlows(t)
	f.stored()
	if err := f.Sessions.LogoutEverywhere(t.Context(), f.ada(store.AuditLogoutAll)); err != nil || len(f.users.User.Sessions) != 0 || f.accounts.Woken != 1 {
		t.Errorf("%v, left %q", err, f.users.User.Sessions)
	}
	f.expectEvent(t, store.Event{Kind: store.AuditLogoutAll, Outcome: store.OutcomeOK, UserID: adaID})
}

func TestRevokeOfAnUnknownSession(t *testing.T) {
	f := newFlows(t)
	f.stored()
	if err := f.Sessions.Revoke(t.Context(), f.ada(store.AuditRevoke), "unknown"); outward(err).Code != apierror.NotFound || len(f.users.User.Sessions) != 2 {
		t.Errorf("%v, left %q", err, f.users.User.Sessions)
	}
}

func TestListReturnsTheRecordsOfTheCallersSessions(t *testing.T) {
	f := newFlows(t)
	f.stored()
	list, err := f.Sessions.List(t.Context(), f.ada(""))
	if err != nil || len(list) != 1 || list[0].ID != "s1" {
		t.Errorf("%+v, %v", list, err)
	}
}
