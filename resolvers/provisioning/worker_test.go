package provisioning

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
)

// While the client's breaker is open, the worker backs off as it does from ConnectyCube's
// own failures. It signs the account up when the breaker closes.
func TestWorkerBacksOffFromAnOpenBreaker(t *testing.T) {
	f := newFixture(t)
	cube, err := connectycube.New(connectycube.Options{
		BaseURL: f.url, AppID: 1, AuthKey: "key", Timeout: time.Minute,
		Breaker: connectycube.BreakerOptions{Failures: 2, OpenFor: 300 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cube.Close)
	f.Provisioner.cube, f.cubeUsers, f.userAPI = cube, cube, cube
	var asked, signUps atomic.Int32
	away := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if asked.Add(1); r.URL.Path == "/users.json" {
			signUps.Add(1)
		}
		rw.WriteHeader(http.StatusServiceUnavailable)
	})
	f.away.Store(&away)
	user, err := f.register(t, "ada@x.org", password)
	if !errors.Is(err, ErrPending) {
		t.Fatalf("registration: %v, want %v", err, ErrPending)
	}
	before := asked.Load()
	for attempt := 1; attempt < 8; attempt++ {
		begun := time.Now()
		f.due(t, user.ID)
		if err := f.ReconcileNext(t.Context()); err != nil {
			t.Fatal(err)
		}
		a := f.read(t, user.ID).Account
		if least := (store.FirstBackOff << attempt) / 2; a.Attempts != attempt || a.Due.Before(begun.Add(least-time.Second)) || a.Lease != "" {
			t.Errorf("after attempt %d: %d attempts, due in %v, lease %q; want %v at least", attempt, a.Attempts, a.Due.Sub(begun), a.Lease, least)
		}
		if a.LastError != "ConnectyCube does not answer" {
			t.Errorf("after attempt %d: %q", attempt, a.LastError)
		}
	}
	if signUps.Load() > 1 {
		t.Errorf("%d sign-ups were sent while ConnectyCube failed, want the first alone", signUps.Load())
	}
	if more := asked.Load() - before; more > 7 { // a probe now and then
		t.Errorf("%d requests were sent for 7 attempts", more)
	}
	f.away.Store(nil)
	for deadline := time.Now().Add(time.Minute); f.read(t, user.ID).CubeID == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the worker has not made the account")
		}
		f.due(t, user.ID)
		if err := f.ReconcileNext(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(f.sandbox.State().Users); n != 1 {
		t.Errorf("ConnectyCube has %d accounts", n)
	}
}

// emptyQueue has no work, and counts who looks for it.
type emptyQueue[T any] struct {
	WorkQueue[T]
	looks *atomic.Int32
}

func (q emptyQueue[T]) Claim(context.Context, store.Lease) (T, error) {
	q.looks.Add(1)
	var none T
	return none, store.ErrNotFound
}

type emptyLine struct{ SignUpLine }

func (emptyLine) ClaimTurn(context.Context, store.Lease) (store.User, error) {
	return store.User{}, store.ErrNotFound
}

// Each look for work costs commands of the database, so a signal wakes one loop.
func TestWakeWakesOneLoopOfEachKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var accounts, sweeps, revocations atomic.Int32
		u := newUnit(t, func(o *Options) {
			o.Queues = Queues{emptyQueue[store.User]{looks: &accounts}, emptyQueue[store.User]{looks: &sweeps}, emptyQueue[store.Session]{looks: &revocations}}
			o.Database.Line = emptyLine{}
			o.Database.ExpireSession = func(context.Context) error { return store.ErrNotFound }
		})
		ctx, stop := context.WithCancel(t.Context())
		go u.Run(ctx)
		for _, step := range []struct {
			name string
			do   func()
			want [3]int32 // looks for accounts, sweeps and revocations
		}{
			{"the start", func() {}, [3]int32{workers, 1, 1}},
			{"a wake", u.Wake, [3]int32{1, 1, 1}},
			{"an account", u.wake.accounts.send, [3]int32{1, 0, 0}},
			{"a sweep", u.wake.sweeps.send, [3]int32{0, 1, 0}},
			{"an ended login session", u.wake.revocations.send, [3]int32{0, 0, 1}},
		} {
			step.do()
			synctest.Wait()
			if got := [3]int32{accounts.Swap(0), sweeps.Swap(0), revocations.Swap(0)}; got != step.want {
				t.Errorf("after %s: %v looks, want %v", step.name, got, step.want)
			}
		}
		stop()
		synctest.Wait()
	})
}
