package provisioning

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
)

// The ConnectyCube session of a login session that expires while ConnectyCube is away is
// revoked afterwards.
func TestRevokeNextRevokesExpired(t *testing.T) {
	f := newFixture(t)
	user := f.made(t, "ada@x.org")
	if _, err := f.OpenCubeSession(t.Context(), user, f.login(t, user, "s"), LoginMethod{Password: password}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.Sessions().Update(t.Context(), "s", func(s *store.Session) error { s.Expires = time.Now(); return nil }); err != nil {
		t.Fatal(err)
	}
	come := f.leave()
	for _, what := range []string{"expiring", "trying"} {
		if err := f.RevokeNext(t.Context()); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	come()
	if err := f.store.Revocations().ReleaseAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.RevokeNext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := f.read(t, user.ID).Sessions; len(got) != 0 {
		t.Errorf("the user still has %v", got)
	}
	if living := ofUsers(f.sandbox.State()); living != 0 {
		t.Errorf("%d sessions live at ConnectyCube", living)
	}
	if err := f.RevokeNext(t.Context()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("more to do: %v", err)
	}
}

// If ConnectyCube uses up the upstream timeout, there is still time to set when the next
// attempt is due.
func TestRevokeNextOutlastsSlowConnectyCube(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Settings.UpstreamTimeout = 100 * time.Millisecond })
	user := f.made(t, "ada@x.org")
	if _, err := f.OpenCubeSession(t.Context(), user, f.login(t, user, "s"), LoginMethod{Password: password}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.Sessions().End(t.Context(), "s", "logout"); err != nil {
		t.Fatal(err)
	}
	slow := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	f.away.Store(&slow)
	if err := f.RevokeNext(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestPruneNextEndsWhatIsNotListed(t *testing.T) {
	u := newUnit(t)
	u.queue.user = ada()
	u.accounts.user = ada() // lists s1
	u.records.list = []store.Session{{ID: "s1"}, {ID: "s2"}}
	if err := u.PruneNext(t.Context()); err != nil || !slices.Equal(u.records.ended, []string{"s2"}) || u.queue.completed != 1 {
		t.Errorf("%v, ended %v, completed %d; want s2 and 1", err, u.records.ended, u.queue.completed)
	}
}

func TestSubscriptionsOfAnEndedLoginSession(t *testing.T) {
	now := time.Now()
	for name, tt := range map[string]struct {
		ended   store.Session
		others  []store.Session
		deleted []int64
	}{
		"its device":                         {store.Session{DeviceID: "phone"}, nil, []int64{1}},
		"a device that is logged in again":   {store.Session{DeviceID: "phone"}, []store.Session{{ID: "s1", DeviceID: "phone", Created: now}}, nil},
		"an older login session there":       {store.Session{DeviceID: "phone", Created: now}, []store.Session{{ID: "s1", DeviceID: "phone"}}, []int64{1}},
		"one there that is no longer listed": {store.Session{DeviceID: "phone"}, []store.Session{{ID: "s9", DeviceID: "phone", Created: now}}, []int64{1}},
		"an unknown device":                  {store.Session{}, []store.Session{{ID: "s1", DeviceID: "phone"}}, []int64{2}},
	} {
		u := newUnit(t)
		u.userAPI.subscriptions = []connectycube.Subscription{{ID: 1, DeviceID: "phone"}, {ID: 2, DeviceID: "tablet"}}
		u.records.list = tt.others
		r := u.begin(ada(), LoginMethod{})
		r.session = connectycube.Session{Token: "token", UserID: 7}
		if err := (revocation{r, tt.ended}).deleteSubscriptions(t.Context()); err != nil || !slices.Equal(u.userAPI.unsubscribed, tt.deleted) {
			t.Errorf("%s: %v, deleted %v; want %v", name, err, u.userAPI.unsubscribed, tt.deleted)
		}
	}
}
