package tokens

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func network(name string) Turn { return Turn{Lanes: []string{name}} }

// callback is the turn of a password that ConnectyCube presents.
func callback(email string) Turn { return Turn{Class: Callbacks, Lanes: []string{email}} }

func device(account, device string) Turn {
	return Turn{Class: Known, Lanes: []string{account, device}, Networks: []string{"network of the device"}}
}

// crowd runs clients that ask for hashes until the returned function is called. Each
// client asks again after an answer, or a moment after a refusal.
func crowd(t *testing.T, q *hashQueue, clients int, turn func(i int) Turn) (end func()) {
	t.Helper()
	return crowdWith(t, q, clients, turn, aMoment)
}

// The pauses of a client after a refusal.
func aMoment(*QueueError) time.Duration  { return work }
func asTold(e *QueueError) time.Duration { return e.After }

// crowdWith is crowd with the pause after a refusal.
func crowdWith(t *testing.T, q *hashQueue, clients int, turn func(i int) Turn, pause func(*QueueError) time.Duration) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	for i := range clients {
		go func() {
			for ctx.Err() == nil {
				err := askAsLoginDoes(ctx, q, turn(i), func() { time.Sleep(work) })
				if refusal, ok := errors.AsType[*QueueError](err); ok {
					time.Sleep(pause(refusal))
				}
			}
		}()
	}
	synctest.Wait()
	return func() { cancel(); time.Sleep(time.Minute); synctest.Wait() }
}

// askAsLoginDoes announces a client that is no known device, and whose look-ups take a tenth of
// a hash, before it waits.
func askAsLoginDoes(ctx context.Context, q *hashQueue, t Turn, work func()) error {
	if t.Class != Known {
		arrived, err := q.arrive(t)
		if err != nil {
			return err
		}
		time.Sleep(lookUp)
		arrived()
	}
	return q.do(ctx, t, work)
}

const lookUp = work / 10

// An idle server serves one address that asks for many hashes at once.
func TestIdleQueueServesACrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(2, time.Minute)
		results := make(chan error, 200)
		for range 200 {
			go func() {
				results <- q.do(t.Context(), network("one"), func() { time.Sleep(work) })
			}()
		}
		for range 200 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestQueueDropsTheNewestOfTheLongestLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, 10*work) // room for ten
		release := occupy(t, q)
		ask := func(turn Turn) chan error {
			result := make(chan error, 1)
			go func() { result <- q.do(t.Context(), turn, func() { time.Sleep(work) }) }()
			synctest.Wait()
			return result
		}
		refusedWith := func(name string, result chan error, want error) {
			t.Helper()
			select {
			case err := <-result:
				var full *QueueError
				if !errors.Is(err, want) || !errors.As(err, &full) || full.After < time.Second {
					t.Errorf("%s: error = %v, want %v with a time", name, err, want)
				}
			default:
				t.Errorf("%s still waits", name)
			}
		}
		var crowded []chan error
		for range 10 {
			crowded = append(crowded, ask(network("crowd")))
		}
		alone := ask(network("alone"))
		refusedWith("the newest of the crowd", crowded[9], ErrLaneFull)
		refusedWith("one more of the crowd", ask(network("crowd")), ErrLaneFull)
		// Strangers never displace a known device.
		known := ask(device("ada", "phone"))
		refusedWith("the next newest of the crowd", crowded[8], ErrLaneFull)
		release()
		for name, result := range map[string]chan error{"alone": alone, "known": known, "the first of the crowd": crowded[0]} {
			if err := <-result; err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, result := range crowded[1:8] {
			<-result
		}
		if q.waiting() != 0 || q.free != 1 {
			t.Errorf("%d still wait, %d free", q.waiting(), q.free)
		}
	})
}

func TestQueueIsBusyWhenNoLaneIsLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, 10*work)
		release := occupy(t, q)
		for i := range 10 {
			go func() { _ = q.do(t.Context(), network(fmt.Sprint(i)), func() { time.Sleep(work) }) }()
		}
		synctest.Wait()
		if err := q.do(t.Context(), network("another"), ran(t)); !errors.Is(err, ErrBusy) {
			t.Errorf("error = %v, want ErrBusy", err)
		}
		release()
		time.Sleep(20 * work)
	})
}

// Networks are nested: all networks of a /48 share its turns.
func TestQueueServesNestedLanesInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, time.Hour)
		release := occupy(t, q)
		var order []string
		ask := func(lanes ...string) {
			go func() {
				_ = q.do(t.Context(), Turn{Lanes: lanes}, func() { order = append(order, lanes[len(lanes)-1]); time.Sleep(work) })
			}()
			synctest.Wait()
		}
		for _, inner := range []string{"a1", "a1", "a2", "a3"} {
			ask("a", inner)
		}
		ask("b", "b1")
		ask("b", "b1")
		release()
		time.Sleep(10 * work)
		synctest.Wait()
		want := []string{"a1", "b1", "a2", "b1", "a3", "a1"}
		if fmt.Sprint(order) != fmt.Sprint(want) {
			t.Errorf("order %v, want %v", order, want)
		}
	})
}

// Waiters that exceed the lane of an account wait as strangers: an idle server refuses
// none of them, and a device does not wait behind them all.
func TestQueueLimitsTheLaneOfAnAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(3, time.Hour)
		results := make(chan error, 60)
		for range 60 {
			go func() {
				turn := Turn{Class: Known, Lanes: []string{"network of ada"}, Networks: []string{"192.0.2.1"}}
				results <- q.do(t.Context(), turn, func() { time.Sleep(work) })
			}()
		}
		synctest.Wait()
		q.mu.Lock()
		lane := q.classes[Known].inner["network of ada"]
		if lane.running > accountRunning || lane.waiting > accountWaiting || q.classes[Strangers].waiting < 50 {
			t.Errorf("%d run and %d wait in the lane of the account, %d as strangers", lane.running, lane.waiting, q.classes[Strangers].waiting)
		}
		q.mu.Unlock()
		start := time.Now()
		if err := q.do(t.Context(), device("ada", "phone"), func() {}); err != nil || time.Since(start) > 3*work {
			t.Errorf("the phone: %v after %v", err, time.Since(start))
		}
		for range 60 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	})
}

// A crowd of accounts that log in repeatedly does not displace an account that logs in
// rarely, although each of them waits with one login only.
func TestQueueKeepsARareDeviceInACrowdOfAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hash = 25 * time.Millisecond
		q := newHashQueue(1, 5*time.Second, hash)
		ctx, cancel := context.WithCancel(t.Context())
		defer func() { cancel(); time.Sleep(10 * time.Second) }()
		ask := func(turn Turn) {
			for ctx.Err() == nil {
				if q.do(ctx, turn, func() { time.Sleep(hash) }) != nil {
					time.Sleep(hash)
				}
			}
		}
		for i := range 100 {
			go ask(device(fmt.Sprint("own account ", i), "device"))
		}
		for i := range 150 {
			go ask(network(fmt.Sprint("bot ", i)))
		}
		time.Sleep(10 * time.Second)
		for range 4 {
			time.Sleep(6*time.Second + time.Duration(rand.IntN(1000))*time.Millisecond) // longer than a round
			start := time.Now()
			if err := q.do(t.Context(), device("victim", "phone"), func() {}); err != nil {
				t.Fatalf("the known device: %v", err)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("the known device waited %v", took)
			}
		}
	})
}

// attackers returns the turns that one attacker may have: accounts with valid device
// tokens, the victim's own network, a /48 with all its /64 networks, and a botnet of
// addresses.
func attackers() func(i int) Turn {
	kinds := []func(i int) Turn{
		func(i int) Turn { return device(fmt.Sprint("own account ", i%100), fmt.Sprint("device ", i)) },
		func(i int) Turn {
			return Turn{Class: Known, Lanes: []string{"network of the victim"}, Networks: []string{"the victim's network"}}
		},
		func(i int) Turn {
			return Turn{Lanes: []string{"2001:db8::/48", fmt.Sprint("/64 number ", rand.IntN(1<<16))}}
		},
		func(i int) Turn { return network(fmt.Sprint("bot ", i%50)) },
		func(i int) Turn { return network("shared address") },
	}
	return func(i int) Turn { return kinds[i%len(kinds)](i) }
}

// A known device always gets its turn within twice the wait that its lane alone would
// have among the waiting accounts, and a stranger from a network of its own is never
// refused: neither pays for other clients.
func TestQueueIsFairWhateverAttackersDo(t *testing.T) {
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			slots := 1 + random.IntN(4)
			q := newQueue(slots, 20*time.Second)
			end := crowd(t, q, 50+random.IntN(250), attackers())
			for range 8 {
				time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
				accounts := lanesOf(q, Known)
				start := time.Now()
				if err := q.do(t.Context(), device("victim", "phone"), func() {}); err != nil {
					t.Fatalf("seed %d: the known device: %v", seed, err)
				}
				fair := time.Duration(accounts+slots) * work / time.Duration(slots)
				if took := time.Since(start); took > 2*fair+2*work {
					t.Errorf("seed %d: the known device waited %v among %d accounts, %d slots", seed, took, accounts, slots)
				}
				start = time.Now()
				if err := askAsLoginDoes(t.Context(), q, network("honest"), func() {}); err != nil {
					t.Fatalf("seed %d: the stranger: %v", seed, err)
				}
				lanes := lanesOf(q, Strangers)
				if took := time.Since(start); took > 2*time.Duration(lanes+slots)*work/time.Duration(slots)+2*work {
					t.Errorf("seed %d: the stranger waited %v among %d networks", seed, took, lanes)
				}
			}
			end()
		})
	}
}

// Lanes without pressure go first, but the others are served as well.
func TestQueueStarvesNoLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, time.Hour)
		var next, served atomic.Int64
		end := crowd(t, q, 20, func(int) Turn { return network(fmt.Sprint("fresh ", next.Add(1))) })
		for range 10 {
			go func() {
				if q.do(t.Context(), network("old"), func() { time.Sleep(work) }) == nil {
					served.Add(1)
				}
			}()
		}
		time.Sleep(300 * work) // more than eleven rounds
		if served.Load() != 10 {
			t.Errorf("%d of 10 were served", served.Load())
		}
		if lanes := lanesOf(q, Strangers); lanes > 100 {
			t.Errorf("%d lanes are active", lanes)
		}
		end()
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.classes[Strangers].waiting != 0 {
			t.Errorf("%d still wait", q.classes[Strangers].waiting)
		}
	})
}

// lanesOf returns the number of top lanes of a class with waiters or arrivals.
func lanesOf(q *hashQueue, class HashClass) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.classes[class].active)
}

func TestWaitingCostsLittle(t *testing.T) {
	const waiters = 1000
	for name, tt := range map[string]struct {
		lanes func(i int) []string
		most  uint64 // bytes for each
	}{
		"in one lane":        {func(int) []string { return []string{"2001:db8::/48", "2001:db8::/64", ""} }, 1 << 10},
		"in a lane for each": {func(i int) []string { return []string{fmt.Sprint(i), fmt.Sprint(i), ""} }, 2 << 10},
	} {
		q := newHashQueue(1, time.Hour, time.Millisecond)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		kept := make([]*waiter, waiters)
		for i := range kept {
			kept[i] = q.classes[Strangers].lane(tt.lanes(i)).push()
		}
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / waiters; each > tt.most {
			t.Errorf("%s: %d bytes for each waiter", name, each)
		}
		for _, w := range kept {
			w.remove()
		}
		if n := len(q.classes[Strangers].inner); n != 0 {
			t.Errorf("%s: %d lanes are remembered", name, n)
		}
	}
}

// The mean follows the hashes, and the time in the error follows the mean.
func TestQueueEstimatesItsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, 100*work)
		for n := range 100 {
			if err := q.do(t.Context(), Turn{}, func() { time.Sleep(4 * work) }); err != nil {
				t.Fatal(err)
			}
			if first := []time.Duration{5 * work / 2, 3 * work}; n < len(first) && q.mean != first[n] { // the expected time counts as a hash
				t.Errorf("mean %v after %d hashes of %v", q.mean, n+1, 4*work)
			}
		}
		if q.mean < 4*work-work/100 || q.mean > 4*work {
			t.Errorf("mean %v after 100 hashes of %v", q.mean, 4*work)
		}
		release := occupy(t, q)
		room := q.room()
		for range room {
			go func() { _ = q.do(t.Context(), network("crowd"), func() {}) }()
		}
		synctest.Wait()
		var full *QueueError
		if err := q.do(t.Context(), network("crowd"), ran(t)); !errors.As(err, &full) || full.After.Round(time.Second) != (time.Duration(room)*q.mean).Round(time.Second) {
			t.Errorf("error = %v, told %v with %d ahead", err, full.After, room)
		}
		release()
		time.Sleep(time.Minute)
	})
}

func TestConcurrencyFollowsCoresAndMemory(t *testing.T) {
	for _, tt := range []struct {
		cores int
		limit int64
		want  int
	}{
		{1, 0, 1}, {2, 0, 1}, {4, 0, 3}, {8, 0, 7}, {16, 0, 14},
		{16, 256 << 20, 10}, {16, 64 << 20, 1}, {16, 1 << 20, 1}, {2, 256 << 20, 1},
	} {
		if got := (Params{Cores: tt.cores, MemoryLimit: tt.limit}).withDefaults().Concurrent; got != tt.want {
			t.Errorf("%d cores, %d MiB: %d at once, want %d", tt.cores, tt.limit>>20, got, tt.want)
		}
	}
	if got := (Params{Cores: 16, MemoryLimit: 256 << 20, Command: []string{"cubegate"}}).withDefaults().Concurrent; got != 5 {
		t.Errorf("%d processes at once, want 5: each needs 16 MiB beside its hash", got)
	}
}
