package identity

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/provisioning"
	"cubegate/resolvers/transport"
	"cubegate/store"
)

func TestRefreshRenewsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlows(t)
		f.there()
		in, err := f.login(t.Context(), login, false)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Minute)
		out, err := f.refreshSession(t.Context(), in.refresh)
		if err != nil || out.refresh == in.refresh || out.access == "" || out.ticket == "" || out.status != chatReady || out.session.ID != in.session.ID {
			t.Fatalf("%+v, %v", out, err)
		}
		if got, want := out.session.Expires, time.Now().Add(time.Hour); !got.Equal(want) {
			t.Errorf("expires at %v, want %v", got, want)
		}
		if m := f.accounts.means; m[len(m)-1] != (provisioning.LoginMethod{}) {
			t.Error("a refresh has no password")
		}
		time.Sleep(50 * time.Minute)
		if out, err = f.refreshSession(t.Context(), out.refresh); err != nil || !out.session.Expires.Equal(in.session.AbsoluteExpiry) {
			t.Errorf("expires at %v, %v; want the session's own end, %v", out.session.Expires, err, in.session.AbsoluteExpiry)
		}
		time.Sleep(20 * time.Minute)
		if _, err := f.refreshSession(t.Context(), out.refresh); outward(err).Code != apierror.Unauthenticated {
			t.Errorf("after the absolute end: %v", err)
		}
	})
}

func TestIdleSessionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlows(t)
		f.there()
		in, err := f.login(t.Context(), login, false)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if _, err := f.refreshSession(t.Context(), in.refresh); outward(err).Code != apierror.Unauthenticated {
			t.Errorf("after an hour of nothing: %v", err)
		}
	})
}

func TestReplayEndsTheSession(t *testing.T) {
	f := newFlows(t)
	f.there()
	in, err := f.login(t.Context(), login, false)
	if err != nil {
		t.Fatal(err)
	}
	lost, err := f.refreshSession(t.Context(), in.refresh)
	if err != nil {
		t.Fatal(err)
	}
	again, err := f.refreshSession(t.Context(), in.refresh) // the answer was lost
	if err != nil {
		t.Fatal(err)
	}
	if again, err = f.refreshSession(t.Context(), again.refresh); err != nil {
		t.Fatal(err)
	}
	if _, err := f.refreshSession(t.Context(), lost.refresh); outward(err).Code != apierror.Unauthenticated {
		t.Errorf("a sibling of the child that was used: %v", err)
	}
	if _, err := f.refreshSession(t.Context(), again.refresh); outward(err).Code != apierror.Unauthenticated {
		t.Errorf("the honest one, after that: %v; want the session over", err)
	}
	if _, err := f.refreshSession(t.Context(), "forged"); outward(err).Code != apierror.Unauthenticated {
		t.Errorf("what was never issued: %v", err)
	}
	if e := f.events.all[len(f.events.all)-1]; e.Kind != "refresh" || e.Outcome != store.OutcomeRefused || e.Session != in.session.ID {
		t.Errorf("recorded %+v", e)
	}
}

func TestRefreshOfWhoIsOut(t *testing.T) {
	for name, out := range map[string]func(flows){
		"logged out": func(f flows) { f.users.user.Sessions = nil },
		"disabled":   func(f flows) { f.users.user.Disabled = true },
		"leaving":    func(f flows) { f.users.user.Deleting = true },
		"gone":       func(f flows) { f.users.user = nil },
	} {
		f := newFlows(t)
		f.there()
		in, err := f.login(t.Context(), login, false)
		if err != nil {
			t.Fatal(err)
		}
		out(f)
		if _, err := f.refreshSession(t.Context(), in.refresh); outward(err).Code != apierror.Unauthenticated {
			t.Errorf("%s: %v, want %s", name, err, apierror.Unauthenticated)
		}
	}
}

// asked is a context as the middleware makes it of these headers.
func asked(t *testing.T, headers ...string) context.Context {
	t.Helper()
	r := httptest.NewRequest("POST", "/", nil)
	for _, h := range headers {
		r.Header.Add("Authorization", h)
	}
	var ctx context.Context
	transport.Bearer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() })).ServeHTTP(httptest.NewRecorder(), r)
	return ctx
}

func TestCaller(t *testing.T) {
	for name, tt := range map[string]struct {
		headers []string
		out     func(*store.User)
		code    apierror.Code
	}{
		"good":               {[]string{"Bearer good " + adaID}, nil, ""},
		"any case":           {[]string{"bearer good " + adaID}, nil, ""},
		"none":               {nil, nil, apierror.Unauthenticated},
		"empty":              {[]string{"Bearer "}, nil, apierror.Unauthenticated},
		"another scheme":     {[]string{"Basic good " + adaID}, nil, apierror.Unauthenticated},
		"the token alone":    {[]string{"good"}, nil, apierror.Unauthenticated},
		"two":                {[]string{"Bearer good " + adaID, "Bearer good " + adaID}, nil, apierror.Unauthenticated},
		"expired":            {[]string{"Bearer old"}, nil, apierror.Unauthenticated},
		"forged":             {[]string{"Bearer bad"}, nil, apierror.Unauthenticated},
		"a ticket":           {[]string{"Bearer ticket " + adaID}, nil, apierror.Unauthenticated},
		"the server's own":   {[]string{"Bearer service " + adaID}, nil, apierror.Unauthenticated},
		"an ended session's": {[]string{"Bearer ended " + adaID}, nil, apierror.Unauthenticated},
		"disabled":           {[]string{"Bearer good " + adaID}, func(u *store.User) { u.Disabled = true }, apierror.Unauthenticated},
		"leaving":            {[]string{"Bearer good " + adaID}, func(u *store.User) { u.Deleting = true }, apierror.Unauthenticated},
	} {
		f := newFlows(t)
		f.there()
		if tt.out != nil {
			tt.out(f.users.user)
		}
		user, claims, err := f.caller(asked(t, tt.headers...))
		if tt.code == "" && (err != nil || user.ID != adaID || claims.SessionID != "s1") {
			t.Errorf("%s: %+v, %v", name, user, err)
		}
		if tt.code != "" && outward(err).Code != tt.code {
			t.Errorf("%s: %v, want %s", name, err, tt.code)
		}
	}
}

// The database decides, whatever a token says that was signed before.
func TestRequireAsksTheDatabase(t *testing.T) {
	f := newFlows(t)
	f.there()
	ctx := asked(t, "Bearer good "+adaID)
	if _, _, err := f.require(ctx, roleAdmin); outward(err).Code != apierror.Forbidden {
		t.Errorf("without the role: %v, want %s", err, apierror.Forbidden)
	}
	f.users.user.Roles = []string{"editor", roleAdmin}
	if _, _, err := f.require(ctx, roleAdmin); err != nil {
		t.Errorf("with the role: %v", err)
	}
	if _, _, err := f.require(context.Background(), roleAdmin); outward(err).Code != apierror.Unauthenticated {
		t.Errorf("nobody: %v, want %s", err, apierror.Unauthenticated)
	}
}
