package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A registration has two halves, here and at ConnectyCube, and a process can
// die between any two steps of it. Whichever they were, the same person must
// get in afterwards, and each side must know one user who is the other's.
// ConnectyCube outlives the program in these tests, as it does in life.
func TestKilledRegistrationKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	for _, cidp := range []bool{false, true} {
		t.Run(fmt.Sprintf("before the account is made, cidp %t", cidp), func(t *testing.T) {
			u := newUpstream(t)
			u.lies("POST", "/users", func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() })
			killedOnce(t, u, cidp, func() bool { return len(u.asked("POST", "/users")) == 1 })
		})
		t.Run(fmt.Sprintf("when the account is made, cidp %t", cidp), func(t *testing.T) {
			u := newUpstream(t)
			u.lies("POST", "/users", func(_ http.ResponseWriter, r *http.Request, honest http.Handler) {
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
func killedOnce(t *testing.T, u *upstream, cidp bool, now func() bool) {
	t.Helper()
	settings := with(u.settings(), map[string]string{"DATA_DIR": t.TempDir()})
	p := spawnFor(t, u, cidp, settings)
	unfinished := p.later(http.MethodPost, "/api", asked(t, registerDocument, ada("ada@example.org")))
	eventually(t, "the moment has come", now)
	p.kill(t)
	if got := <-unfinished; got.err == nil {
		t.Fatalf("the killed program answered %s", got.body)
	}
	u.honest()

	p = spawnFor(t, u, cidp, settings)
	p.finished(t, "ada@example.org")
	u.asks(t, p.url)
	user := p.oneIdentity(t, "ada@example.org").User
	p.signal(t, syscall.SIGTERM)
	if code := p.exit(t); code != 0 {
		t.Errorf("exit %d: %s", code, p.log)
	}
	if all := u.State().Users; !cidp && len(all) != 1 { // with it on, an orphan cannot be claimed by password
		t.Errorf("ConnectyCube has %+v", all)
	}
	if all := exported(t, settings); len(all) != 1 || !strings.Contains(all[0], user.ID) {
		t.Errorf("the database has %v, want the user %s alone", all, user.ID)
	}
}

// spawnFor starts the program against a ConnectyCube.
func spawnFor(t *testing.T, u *upstream, cidp bool, settings map[string]string) *process {
	t.Helper()
	p := spawn(t, settings).ready(t)
	p.box = u.url
	if cidp {
		u.asks(t, p.url)
	}
	return p
}

// exported are the users in the embedded database, which no program may have
// open.
func exported(t *testing.T, settings map[string]string) []string {
	t.Helper()
	p := spawn(t, settings, "export")
	if code := p.exit(t); code != 0 {
		t.Fatalf("export: exit %d: %s", code, p.log)
	}
	return strings.Split(strings.TrimSpace(p.out.String()), "\n")
}

// killedBeforeTheLastWrite kills the program when all that is missing is the
// account's id in the database, which is one of its own here. What is half-made
// may belong to another program there, so it is kept for a while: the person
// can log in to it at once.
func killedBeforeTheLastWrite(t *testing.T, cidp bool) {
	t.Helper()
	u := newUpstream(t)
	between := newRelay(t, startDatabase(t).Addr())
	settings := with(u.settings(), map[string]string{"MONGO_URI": between.uri()})
	p := spawnFor(t, u, cidp, with(settings, map[string]string{"CONNECTYCUBE_TIMEOUT": "1s"})) // and so a short lease
	u.lies("POST", "/users", func(w http.ResponseWriter, r *http.Request, honest http.Handler) {
		between.set(mute)
		honest.ServeHTTP(w, r)
	})
	unfinished := p.later(http.MethodPost, "/api", asked(t, registerDocument, ada("ada@example.org")))
	eventually(t, "the account's id is on its way to the database", func() bool { return between.swallows("connectyCubeId") })
	p.kill(t)
	if got := <-unfinished; got.err == nil {
		t.Fatalf("the killed program answered %s", got.body)
	}
	u.honest()
	between.set(relaying)

	p = spawnFor(t, u, cidp, settings)
	p.finished(t, "ada@example.org")
	u.asks(t, p.url)
	p.oneIdentity(t, "ada@example.org")
	if got := p.graphql(t, registerDocument, ada("ada@example.org")); got.code() != "CONFLICT" {
		t.Errorf("registering again: %s", got.text)
	}
	if all := p.allCubeUsers(t); len(all) != 1 {
		t.Errorf("ConnectyCube has %+v", all)
	}
}

// What was acknowledged before a kill -9 is there after it, and who was not
// answered is not kept out by what may have been done.
func TestAcknowledgedRegistrationsSurviveKills(t *testing.T) {
	t.Parallel()
	const rounds, people = 6, 8
	u := newUpstream(t)
	settings := with(u.settings(), map[string]string{"DATA_DIR": t.TempDir()})
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
					got, err := try(http.MethodPost, p.at("/api"), asked(t, registerDocument, ada(address)))
					good = err == nil && strings.Contains(got.body, "user register successfully")
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
			t.Fatalf("registrations fail before the kill: %s", p.log)
		}
		p.kill(t)
		<-idle

		p = spawnFor(t, u, true, settings)
		for address, good := range tried {
			if !good {
				if got := p.graphql(t, registerDocument, ada(address)); got.code() != "" && got.code() != "CONFLICT" {
					t.Errorf("registering %s again: %s", address, got.code())
				}
			}
			p.finished(t, address)
		}
		p.kill(t)
	}
}

// A registration that ConnectyCube keeps waiting ends with the shutdown's
// bound. It was not acknowledged, and it is not in the way afterwards.
func TestShutdownDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	settings := with(u.settings(), map[string]string{"DATA_DIR": t.TempDir(), "SHUTDOWN_TIMEOUT": "300ms"})
	p := spawnFor(t, u, true, settings)
	u.lies("POST", "/users", func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() })
	unfinished := p.later(http.MethodPost, "/api", asked(t, registerDocument, ada("ada@example.org")))
	eventually(t, "the registration is under way", func() bool { return len(u.asked("POST", "/users")) == 1 })
	p.signal(t, syscall.SIGTERM)
	if code := p.exit(t); code != 0 || !strings.Contains(p.log.String(), "requests cut off") {
		t.Errorf("exit %d: %s", code, p.log)
	}
	if got := <-unfinished; got.err == nil {
		t.Errorf("answered %s", got.body)
	}
	u.honest()
	p = spawnFor(t, u, true, settings)
	p.finished(t, "ada@example.org")
	p.oneIdentity(t, "ada@example.org")
}
