package crashes

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cubegate/server/servertest"
)

// A registration has two halves, here and at ConnectyCube, and a process can
// die between any two steps of it. Whichever they were, the same person must
// get in afterwards, and each side must know one user who is the other's.
// ConnectyCube outlives the program in these tests, as it does in life.
func TestKilledRegistrationKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	for _, cidp := range []bool{false, true} {
		t.Run(fmt.Sprintf("before the account is made, cidp %t", cidp), func(t *testing.T) {
			u := servertest.NewUpstream(t)
			u.Override("POST", "/users", func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() })
			killedOnce(t, u, cidp, func() bool { return len(u.Received("POST", "/users")) == 1 })
		})
		t.Run(fmt.Sprintf("when the account is made, cidp %t", cidp), func(t *testing.T) {
			u := servertest.NewUpstream(t)
			u.Override("POST", "/users", func(_ http.ResponseWriter, r *http.Request, honest http.Handler) {
				honest.ServeHTTP(httptest.NewRecorder(), r) // the answer stays here
				<-r.Context().Done()
			})
			killedOnce(t, u, cidp, func() bool { return len(u.State().Users) == 1 })
		})
		t.Run(fmt.Sprintf("when the answer has come, cidp %t", cidp), func(t *testing.T) {
			killedBeforeTheLastWrite(t, cidp)
		})
	}
}

// killedOnce kills the program in the middle of a registration, at the moment
// told, and starts it again on the same data.
func killedOnce(t *testing.T, u *servertest.Upstream, cidp bool, now func() bool) {
	t.Helper()
	settings := servertest.Merge(u.Settings(), map[string]string{"DATA_DIR": t.TempDir()})
	p := spawnFor(t, u, cidp, settings)
	unfinished := p.Later(http.MethodPost, "/api", servertest.RequestBody(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org")))
	servertest.Eventually(t, "the moment has come", now)
	p.Kill(t)
	if got := <-unfinished; got.Err == nil {
		t.Fatalf("the killed program answered %s", got.Body)
	}
	u.Restore()

	p = spawnFor(t, u, cidp, settings)
	p.WaitRegistered(t, "ada@example.org")
	u.SetCallback(t, p.URL)
	user := p.RequireOneIdentity(t, "ada@example.org").User
	p.Signal(t, syscall.SIGTERM)
	if code := p.ExitCode(t); code != 0 {
		t.Errorf("exit %d: %s", code, p.Log)
	}
	if all := u.State().Users; !cidp && len(all) != 1 { // with it on, an orphan cannot be claimed by password
		t.Errorf("ConnectyCube has %+v", all)
	}
	if all := exported(t, settings); len(all) != 1 || !strings.Contains(all[0], user.ID) {
		t.Errorf("the database has %v, want the user %s alone", all, user.ID)
	}
}

// spawnFor starts the program against a ConnectyCube.
func spawnFor(t *testing.T, u *servertest.Upstream, cidp bool, settings map[string]string) *servertest.Process {
	t.Helper()
	p := servertest.Spawn(t, settings).WaitReady(t)
	p.SandboxURL = u.URL
	if cidp {
		u.SetCallback(t, p.URL)
	}
	return p
}

// exported are the users in the embedded database, which no program may have
// open.
func exported(t *testing.T, settings map[string]string) []string {
	t.Helper()
	p := servertest.Spawn(t, settings, "export")
	if code := p.ExitCode(t); code != 0 {
		t.Fatalf("export: exit %d: %s", code, p.Log)
	}
	return strings.Split(strings.TrimSpace(p.Stdout.String()), "\n")
}

// killedBeforeTheLastWrite kills the program when all that is missing is the
// account's id in the database, which is one of its own here. What is half-made
// may belong to another program there, so it is kept for a while: the person
// can log in to it at once.
func killedBeforeTheLastWrite(t *testing.T, cidp bool) {
	t.Helper()
	u := servertest.NewUpstream(t)
	between := servertest.NewRelay(t, servertest.StartDatabase(t).Addr())
	settings := servertest.Merge(u.Settings(), map[string]string{"MONGO_URI": between.URI()})
	p := spawnFor(t, u, cidp, servertest.Merge(settings, map[string]string{"CONNECTYCUBE_TIMEOUT": "1s"})) // and so a short lease
	u.Override("POST", "/users", func(w http.ResponseWriter, r *http.Request, honest http.Handler) {
		between.Set(servertest.Mute)
		honest.ServeHTTP(w, r)
	})
	unfinished := p.Later(http.MethodPost, "/api", servertest.RequestBody(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org")))
	servertest.Eventually(t, "the account's id is on its way to the database", func() bool { return between.HasSwallowed("connectyCubeId") })
	p.Kill(t)
	if got := <-unfinished; got.Err == nil {
		t.Fatalf("the killed program answered %s", got.Body)
	}
	u.Restore()
	between.Set(servertest.Relaying)

	p = spawnFor(t, u, cidp, settings)
	p.WaitRegistered(t, "ada@example.org")
	u.SetCallback(t, p.URL)
	p.RequireOneIdentity(t, "ada@example.org")
	if got := p.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org")); got.Code() != "CONFLICT" {
		t.Errorf("registering again: %s", got.Body)
	}
	if all := p.AllCubeUsers(t); len(all) != 1 {
		t.Errorf("ConnectyCube has %+v", all)
	}
}

// What was acknowledged before a kill -9 is there after it, and who was not
// answered is not kept out by what may have been done.
func TestAcknowledgedRegistrationsSurviveKills(t *testing.T) {
	t.Parallel()
	const rounds, people = 6, 8
	u := servertest.NewUpstream(t)
	settings := servertest.Merge(u.Settings(), map[string]string{"DATA_DIR": t.TempDir()})
	for round := range rounds {
		p := spawnFor(t, u, true, settings)
		enough, idle := make(chan struct{}), make(chan struct{})
		var mu sync.Mutex
		tried, answered := map[string]bool{}, 0
		var busy sync.WaitGroup
		for person := range people {
			busy.Go(func() {
				for good, n := true, 0; good; n++ {
					address := fmt.Sprintf("ada%d.%d.%d@example.org", round, person, n)
					got, err := servertest.Try(http.MethodPost, p.At("/api"), servertest.RequestBody(t, servertest.RegisterDocument, servertest.NewUser(address)))
					good = err == nil && strings.Contains(got.Body, "user register successfully")
					mu.Lock()
					tried[address] = good
					if answered++; answered == 20+7*round {
						close(enough)
					}
					mu.Unlock()
				}
			})
		}
		go func() { busy.Wait(); close(idle) }()
		select {
		case <-enough:
		case <-idle:
			t.Fatalf("registrations fail before the kill: %s", p.Log)
		}
		p.Kill(t)
		<-idle

		p = spawnFor(t, u, true, settings)
		for address, good := range tried {
			if !good {
				if got := p.GraphQL(t, servertest.RegisterDocument, servertest.NewUser(address)); got.Code() != "" && got.Code() != "CONFLICT" {
					t.Errorf("registering %s again: %s", address, got.Code())
				}
			}
			p.WaitRegistered(t, address)
		}
		p.Kill(t)
	}
}

// A registration that ConnectyCube keeps waiting ends with the shutdown's
// bound. It was not acknowledged, and it is not in the way afterwards.
func TestShutdownDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	settings := servertest.Merge(u.Settings(), map[string]string{"DATA_DIR": t.TempDir(), "SHUTDOWN_TIMEOUT": "300ms"})
	p := spawnFor(t, u, true, settings)
	u.Override("POST", "/users", func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() })
	unfinished := p.Later(http.MethodPost, "/api", servertest.RequestBody(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org")))
	servertest.Eventually(t, "the registration is under way", func() bool { return len(u.Received("POST", "/users")) == 1 })
	p.Signal(t, syscall.SIGTERM)
	if code := p.ExitCode(t); code != 0 || !strings.Contains(p.Log.String(), "closing open requests") {
		t.Errorf("exit %d: %s", code, p.Log)
	}
	if got := <-unfinished; got.Err == nil {
		t.Errorf("answered %s", got.Body)
	}
	u.Restore()
	p = spawnFor(t, u, true, settings)
	p.WaitRegistered(t, "ada@example.org")
	p.RequireOneIdentity(t, "ada@example.org")
}
