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
	user := f.registered(t, "ada@x.org")
	if _, err := f.OpenCubeSession(t.Context(), user, f.login(t, user, "s"), LoginMethod{Password: password}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.Sessions().Update(t.Context(), store.Session{ID: "s"}, func(s *store.Session) error { s.Expires = time.Now(); return nil }); err != nil {
		t.Fatal(err)
	}
	restore := f.takeDown()
	for _, what := range []string{"expiring", "trying"} {
		if err := f.RevokeNext(t.Context()); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	restore()
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
	f := newFixture(t)
	user := f.registered(t, "ada@x.org")
	if _, err := f.OpenCubeSession(t.Context(), user, f.login(t, user, "s"), LoginMethod{Password: password}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.Sessions().End(t.Context(), "s", "logout"); err != nil {
		t.Fatal(err)
	}
	slow := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	f.away.Store(&slow)
	f.settings.UpstreamTimeout = 100 * time.Millisecond
	if err := f.RevokeNext(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestPruneNextEndsWhatIsNotListed(t *testing.T) {
	u := newUnit(t)
	u.queue.user = newUser()
	u.accounts.user = newUser() // lists s1
	u.records.list = []store.Session{{ID: "s1"}, {ID: "s2"}}
	if err := u.PruneNext(t.Context()); err != nil || !slices.Equal(u.records.ended, []string{"s2"}) || u.records.sweeps != 1 {
		t.Errorf("%v, ended %v, completed %d; want s2 and 1", err, u.records.ended, u.records.sweeps)
	}
}

// An eviction is no other end. It is forgotten once its record tells of it.
func TestPruneNextTellsEvictionsFromOtherEnds(t *testing.T) {
	u := newUnit(t)
	u.queue.user = newUser()
	u.accounts.user = newUser(func(user *store.User) { user.Evicted, user.EndGeneration = []string{"s2", "gone"}, 3 })
	u.records.list = []store.Session{{ID: "s1"}, {ID: "s2"}, {ID: "s3"}}
	u.records.evicted = []store.Session{
		{ID: "s4", Revocation: store.Revocation{Generation: 2}},
		{ID: "s5", Revocation: store.Revocation{Generation: 3}},
		{ID: "s6", Revocation: store.Revocation{Generation: 1}},
	}
	if err := u.PruneNext(t.Context()); err != nil || u.records.sweeps != 1 {
		t.Errorf("%v, completed %d", err, u.records.sweeps)
	}
	if got, want := u.records.ended, []string{"s3"}; !slices.Equal(got, want) {
		t.Errorf("ended %v, want %v", got, want)
	}
	if got := u.records.evicted; len(got) != 3 || got[0].ID != "s5" || got[1].ID != "s2" || got[1].Generation != 3 || got[2].ID != "gone" {
		t.Errorf("evicted %+v, want s5, s2 and gone in generation 3: all login sessions of the others' time have ended", got)
	}
	if got, want := u.records.forgotten, []string{"s2", "gone"}; !slices.Equal(got, want) {
		t.Errorf("forgotten %v, want %v", got, want)
	}
}

// The revocation of an evicted login session waits for the end of its session at ConnectyCube,
// unless a push subscription may have to go before.
func TestPruneNextSparesRevocations(t *testing.T) {
	expires := time.Now().Add(time.Hour)
	evicted := store.Session{ID: "s2", SealedSession: store.SealedSession{CubeToken: "sealed", CubeExpires: expires}}
	for name, tt := range map[string]struct {
		edit  func(evicted *store.Session)
		other store.Session
		waits bool
	}{
		"an unknown device, another login": {func(*store.Session) {}, store.Session{ID: "s1"}, true},
		"another login that is not listed": {func(*store.Session) {}, store.Session{ID: "s9"}, false},
		"a known device":                   {func(s *store.Session) { s.DeviceID = "phone" }, store.Session{ID: "s1"}, false},
		"no session at ConnectyCube":       {func(s *store.Session) { s.SealedSession = store.SealedSession{} }, store.Session{ID: "s1"}, false},
		"one that has ended":               {func(s *store.Session) { s.CubeExpires = time.Now().Add(-time.Hour) }, store.Session{ID: "s1"}, false},
		"without a record":                 {func(s *store.Session) { s.ID = "s3" }, store.Session{ID: "s1"}, false},
	} {
		u := newUnit(t)
		u.queue.user = newUser()
		u.accounts.user = newUser(func(user *store.User) { user.Evicted = []string{"s2"} })
		own := evicted
		tt.edit(&own)
		u.records.list = []store.Session{own, tt.other}
		if err := u.PruneNext(t.Context()); err != nil || len(u.records.evictedDue) != 1 {
			t.Fatalf("%s: %v, evicted %v", name, err, u.records.evicted)
		}
		if due := u.records.evictedDue[0]; due.Equal(expires) != tt.waits || !tt.waits && due.After(time.Now()) {
			t.Errorf("%s: due %v; waits for %v: want %t", name, due, expires, tt.waits)
		}
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

		"evicted, its device":                       {evicted("phone", now), []store.Session{{ID: "s1", DeviceID: "tablet"}}, []int64{1}},
		"evicted, an unknown device, another login": {evicted("", now), []store.Session{{ID: "s1"}}, nil},
		"evicted, another login that has ended":     {evicted("", now), []store.Session{{ID: "s9"}}, []int64{1, 2}},
		"evicted, no other login":                   {evicted("", now), nil, []int64{1, 2}},
		"evicted, an older login on the device":     {evicted("phone", now), []store.Session{{ID: "s1", DeviceID: "phone"}}, nil},
		"evicted, a younger login on the device":    {evicted("phone", time.Time{}), []store.Session{{ID: "s1", DeviceID: "phone", Created: now}}, nil},
		"expired, its device":                       {expired("phone"), []store.Session{{ID: "s1"}}, []int64{1}},
		"expired, an unknown device, another login": {expired(""), []store.Session{{ID: "s1"}}, nil},
		"expired, no other login":                   {expired(""), nil, []int64{1, 2}},
	} {
		u := newUnit(t)
		u.userAPI.subscriptions = []connectycube.Subscription{{ID: 1, DeviceID: "phone"}, {ID: 2, DeviceID: "tablet"}}
		u.records.list, u.accounts.user = tt.others, newUser()
		r := u.begin(newUser(), LoginMethod{})
		r.session = connectycube.Session{Token: "token", UserID: 7}
		if err := (revocation{r, tt.ended}).deleteSubscriptions(t.Context()); err != nil || !slices.Equal(u.userAPI.unsubscribed, tt.deleted) {
			t.Errorf("%s: %v, deleted %v; want %v", name, err, u.userAPI.unsubscribed, tt.deleted)
		}
	}
}

func evicted(device string, created time.Time) store.Session {
	return store.Session{DeviceID: device, Created: created, Revocation: store.Revocation{EndReason: store.Evicted}}
}

func expired(device string) store.Session {
	return store.Session{DeviceID: device, Revocation: store.Revocation{EndReason: store.Expired}}
}
