package tokens

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// attackNetworks is the number of networks of an attacker who knows the rules of the queue.
// SECURITY.md, "Many networks", has the figures for more than a test can afford:
//
//	go test ./tokens -run TestStrangersBesideAnAttackerWho -v -timeout 1h -attack.networks 8000
var attackNetworks = flag.Int("attack.networks", 400, "networks of the attacker in TestStrangersBesideAnAttackerWho")

// forgotten is a pause after which the queue does not know a network any more.
const forgotten = remembered + time.Second

// attack lets networks ask for hashes until ctx ends: each stays for a time, or until the
// answer if that is 0, comes back as told, and rests after a hash until it is forgotten.
func attack(ctx context.Context, q *hashQueue, networks int, stay time.Duration) {
	for i := range networks {
		go func() {
			time.Sleep(time.Duration(i%1000) * time.Millisecond)
			for ctx.Err() == nil {
				visit, hangUp := ctx, context.CancelFunc(func() {})
				if stay > 0 {
					visit, hangUp = context.WithTimeout(ctx, stay)
				}
				pause := time.Millisecond
				err := askAsLoginDoes(visit, q, network(fmt.Sprint("attacker ", i)), func() { time.Sleep(work); pause = forgotten })
				hangUp()
				if told, ok := errors.AsType[*QueueError](err); ok {
					pause = told.After
				}
				time.Sleep(pause)
			}
		}()
	}
}

// logins lets users log in, one after each pause, in up to three tries as told. It returns how
// many percent are served at the first try, and within all, and the median wait of the former.
func logins(q *hashQueue, users int, pause time.Duration, turn func(i int) Turn) (first, all int, median time.Duration) {
	var mu sync.Mutex
	var waits []time.Duration
	var done sync.WaitGroup
	served := 0
	for i := range users {
		done.Go(func() {
			for try := range 3 {
				start := time.Now()
				err := askAsLoginDoes(context.Background(), q, turn(i), func() { time.Sleep(work) })
				if told, ok := errors.AsType[*QueueError](err); ok {
					time.Sleep(told.After)
					continue
				}
				mu.Lock()
				defer mu.Unlock()
				if served++; try == 0 {
					waits = append(waits, time.Since(start)-work-lookUp)
				}
				return
			}
		})
		time.Sleep(pause)
	}
	done.Wait()
	if slices.Sort(waits); len(waits) > 0 {
		median = waits[len(waits)/2]
	}
	return 100 * len(waits) / users, 100 * served / users, median
}

// An attacker with many networks, who lets each of them rest until the queue has forgotten
// it, keeps out no user from a network that has been quiet.
func TestStrangersBesideAnAttackerWho(t *testing.T) {
	for name, tt := range map[string]struct {
		stay     time.Duration
		accounts int // of the attacker, which log in again and again
	}{
		"comes back as told":                          {},
		"hangs up after a second and has 20 accounts": {time.Second, 20},
	} {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(1, 5*time.Second)
			ctx, cancel := context.WithCancel(t.Context())
			attack(ctx, q, *attackNetworks, tt.stay)
			end := crowd(t, q, tt.accounts, func(i int) Turn { return device(fmt.Sprint("own ", i), "phone") })
			time.Sleep(forgotten + 100*time.Second)
			first, all, median := logins(q, 40, 13*work, func(i int) Turn { return network(fmt.Sprint("honest ", i)) })
			t.Logf("%s, %d networks: %d %% at the first try, %d %% within three, median wait %v", name, *attackNetworks, first, all, median)
			if *attackNetworks <= 1000 && first < 100 {
				t.Errorf("%s: %d %% of the users are served at the first try", name, first)
			}
			cancel()
			time.Sleep(forgotten)
			end()
		})
	}
}

// An address with many users gets its share beside networks that come back as told, and all
// of what it asks for beside networks that come back too early.
func TestSharedAddressBesideACrowd(t *testing.T) {
	for name, tt := range map[string]struct {
		clients int
		pause   func(*QueueError) time.Duration
		least   int // percent within three tries
	}{
		"as told":   {50, asTold, 1},
		"too early": {300, aMoment, 100},
	} {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(1, 5*time.Second)
			end := crowdWith(t, q, tt.clients, manyNetworks, tt.pause)
			time.Sleep(2 * time.Minute)
			first, all, median := logins(q, 240, 5*work, func(int) Turn { return network("shared") })
			t.Logf("crowd that comes back %s: %d %% at the first try, %d %% within three, median wait %v", name, first, all, median)
			if all < tt.least {
				t.Errorf("crowd that comes back %s: %d %% of the users are served", name, all)
			}
			end()
		})
	}
}

// freshEmails are callbacks of an attacker who logs in at ConnectyCube with an email that was
// never asked about, each time.
func freshEmails() func(int) Turn {
	var n atomic.Int64
	return func(int) Turn { return callback(fmt.Sprint("fresh ", n.Add(1))) }
}

// Users who log in at ConnectyCube with a password are served beside a crowd of strangers, and
// beside one account that is attacked through ConnectyCube.
func TestCallbacksBeside(t *testing.T) {
	oneAccount := func(int) Turn { return callback("victim") }
	for name, tt := range map[string]struct {
		clients int
		turn    func(int) Turn
		pause   func(*QueueError) time.Duration
	}{
		"networks that come back as told":   {50, manyNetworks, asTold},
		"networks that come back too early": {300, manyNetworks, aMoment},
		"guesses at one account":            {300, oneAccount, aMoment},
		"guesses at one account, as told":   {300, oneAccount, asTold},
	} {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(1, 5*time.Second)
			end := crowdWith(t, q, tt.clients, tt.turn, tt.pause)
			time.Sleep(2 * time.Minute)
			first, all, median := logins(q, 240, 5*work, func(i int) Turn { return callback(fmt.Sprint("user ", i)) })
			t.Logf("callbacks beside %s: %d %% at the first try, %d %% within three, median wait %v", name, first, all, median)
			if first < 100 {
				t.Errorf("beside %s: %d %% of the callbacks are served at the first try", name, first)
			}
			end()
		})
	}
}

// An attacker who logs in at ConnectyCube with ever new emails keeps out neither strangers nor
// known devices, also while the attacker's networks and accounts ask here. Users of
// ConnectyCube's login share the turns of callbacks with the attacker.
func TestAttackerThroughConnectyCubeBeside(t *testing.T) {
	stranger := func(i int) Turn { return network(fmt.Sprint("honest ", i)) }
	phone := func(i int) Turn { return device(fmt.Sprint("user ", i), "phone") }
	user := func(i int) Turn { return callback(fmt.Sprint("user ", i)) }
	for name, tt := range map[string]struct {
		networks, accounts int // of the attacker beside; the networks come back as told
		turn               func(i int) Turn
		least              int // percent at the first try
	}{
		"strangers":                         {0, 0, stranger, 100},
		"strangers, networks":               {50, 0, stranger, 100},
		"strangers, networks, accounts":     {50, 20, stranger, 90},
		"known devices":                     {0, 0, phone, 100},
		"known devices, networks":           {50, 0, phone, 100},
		"known devices, networks, accounts": {50, 20, phone, 90},
		"users of ConnectyCube's login":     {0, 0, user, 5},
	} {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(1, 5*time.Second)
			endFlood := crowd(t, q, 70, freshEmails())
			endCrowd := crowdWith(t, q, tt.networks, manyNetworks, asTold)
			endAccounts := crowd(t, q, tt.accounts, func(i int) Turn { return device(fmt.Sprint("own ", i), "phone") })
			time.Sleep(time.Minute)
			first, all, median := logins(q, 80, 5*work, tt.turn)
			t.Logf("%s: %d %% at the first try, %d %% within three, median wait %v", name, first, all, median)
			if first < tt.least {
				t.Errorf("%s: %d %% are served at the first try", name, first)
			}
			for _, end := range []func(){endAccounts, endCrowd, endFlood} {
				end()
			}
		})
	}
}
