package crashes

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cubegate/server/servertest"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// After a reset of the sandbox, which is ConnectyCube's loss of all accounts, a login
// gives its user an account with all that the first one had.
func TestAccountsAreCompleteAfterAReset(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"shared", "derived"} {
		for name, document := range map[string]string{"login": servertest.LoginDocument, "login_By_token": servertest.ByTokenDocument} {
			t.Run(password+", "+name, func(t *testing.T) {
				r := servertest.Start(t, map[string]string{"CONNECTYCUBE_PASSWORD": password})
				ada, bob := r.Register(t, "ada@example.org"), r.Register(t, "bob@example.org")
				for range 2 {
					if got := r.Request(t, http.MethodPost, r.SandboxURL+"/_sandbox/reset", ""); got.Status/100 != 2 {
						t.Fatalf("reset: %d %s", got.Status, got.Body)
					}
					in := r.Login(t, document, "ada@example.org")
					other := r.Login(t, document, "bob@example.org")
					if in.ChatStatus != "READY" || in.CcUserID == nil || other.ChatStatus != "READY" || other.CcUserID == nil {
						t.Fatalf("after the reset: %+v, %+v", in, other)
					}
					want := []servertest.CubeUser{
						{ID: *in.CcUserID, Email: "ada@example.org", ExternalID: ada.ID, FullName: "Ada Lovelace"},
						{ID: *other.CcUserID, Email: "bob@example.org", ExternalID: bob.ID, FullName: "Ada Lovelace"},
					}
					if all := r.AllCubeUsers(t); len(all) != 2 || all[0] != want[0] || all[1] != want[1] {
						t.Errorf("ConnectyCube has %+v, want %+v", all, want)
					}
					requireFound(t, r, other.ConnectySession, want[0])
				}
			})
		}
	}
}

// requireFound checks that the user of a ConnectyCube session finds another by email.
func requireFound(t *testing.T, r *servertest.Server, session string, want servertest.CubeUser) {
	t.Helper()
	got := r.Request(t, http.MethodGet, r.SandboxURL+"/users/v2?email="+url.QueryEscape(want.Email), "", "CB-Token", session)
	var found struct{ Items []servertest.CubeUser }
	if err := json.Unmarshal([]byte(got.Body), &found); err != nil || len(found.Items) != 1 || found.Items[0].ID != want.ID {
		t.Errorf("the search finds %d %s, %v; want %+v", got.Status, got.Body, err, want)
	}
}

// The first login after ConnectyCube has lost all accounts dies at each of its steps in
// turn, before the step and after it. The next login finds one account, complete.
func TestKilledCompletionIsFinished(t *testing.T) {
	t.Parallel()
	const steps = 24 // more than a completion has
	var deaths atomic.Int32
	var all sync.WaitGroup
	for step := 1; step <= steps; step++ {
		for password, late := range map[string]bool{"shared": step%2 == 0, "derived": step%2 != 0} {
			slots() <- struct{}{}
			all.Go(func() {
				defer func() { <-slots() }()
				t.Run(fmt.Sprintf("step %d, %s, late %t", step, password, late), func(t *testing.T) {
					s := newScenario(t, rand.New(rand.NewPCG(uint64(step), 1)), false)
					s.cidp, s.settings["CONNECTYCUBE_PASSWORD"] = true, password
					s.settings["CONNECTYCUBE_REGISTER_WHILE_AWAY"] = "true"
					s.settings["CONNECTYCUBE_TIMEOUT"] = "10s" // a busy machine needs more than the second of the other scenarios
					s.start(newKiller(0, false))
					defer func() { s.stop() }()
					s.register()
					if s.dieAfterReset(step, late) {
						deaths.Add(1)
					}
				})
			})
		}
	}
	all.Wait()
	if t.Logf("the server died %d times", deaths.Load()); deaths.Load() < 20 {
		t.Error("too few deaths to prove anything")
	}
}

// dieAfterReset logs in after a reset and kills the server at the step. Then it checks
// that a login gives the user a complete account. It reports whether the server died.
func (s *scenario) dieAfterReset(step int, late bool) (died bool) {
	s.t.Helper()
	defer func() {
		if s.t.Failed() {
			s.t.Logf("died at step %d: %t, %s\n%s", step, died, strings.Join(s.log, " → "), s.sides()+tail(s.Log.String()))
		}
	}()
	s.stop()
	s.upstream.Reset()
	s.start(newKiller(step, late))
	s.login()
	died = s.killer.disarm() // a worker may still be at the step
	if died {
		s.stop()
		s.update(s.users, bson.D{{Key: "account.lease", Value: bson.D{{Key: "$exists", Value: true}}}}, "account.due", time.Now())
		s.start(newKiller(0, false))
	}
	servertest.Eventually(s.t, "a login completes the account", func() bool {
		s.login()
		s.waitIdle()
		users, accounts := s.allUsers(), s.upstream.State().Users
		return len(users) == 1 && len(accounts) == 1 && users[0].CubeID == accounts[0].ID && accounts[0].Email != nil
	})
	s.requireOneUser()
	return died
}
