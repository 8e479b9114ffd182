package crashes

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cubegate/connectycube/sandbox"
	"cubegate/server/servertest"
	"cubegate/store"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"
)

// A scenario is a random series of actions of one user, such as registrations,
// logins and changes, while ConnectyCube has faults, connections to the database
// break, and the server dies while it waits for one of the two. Afterwards both
// sides must know the same user, or none, and a user who was not deleted can log in.
//
// Environment variables set how many scenarios run: CUBEGATE_RESTARTS and
// CUBEGATE_KILLS in all, CUBEGATE_AT_ONCE at the same time, and CUBEGATE_SEED is
// the first seed. A failure names its seed, and the same seed repeats the scenario,
// except for the order of concurrent events. The command bench/crashes runs
// thousands.
func TestScenariosWithARestart(t *testing.T) {
	t.Parallel()
	runScenarios(t, number(t, "CUBEGATE_RESTARTS", 60), false)
}

// The server is a process here, and dies by SIGKILL.
func TestScenariosWithAKill(t *testing.T) {
	t.Parallel()
	runScenarios(t, number(t, "CUBEGATE_KILLS", 6), true)
}

// number reads a number from the environment.
func number(t *testing.T, name string, byDefault int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return byDefault
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// slots bounds the scenarios that run at the same time. A scenario mostly waits, but
// on a machine that is too busy to answer within the deadlines all servers would
// retry forever. Beside other tests, six run for each core.
var slots = sync.OnceValue(func() chan struct{} {
	n, err := strconv.Atoi(os.Getenv("CUBEGATE_AT_ONCE"))
	if err != nil {
		n = 6 * runtime.GOMAXPROCS(0)
	}
	return make(chan struct{}, max(n, 2))
})

func runScenarios(t *testing.T, n int, spawn bool) {
	first := number(t, "CUBEGATE_SEED", 1)
	t.Logf("%d scenarios, with the seeds from %d on", n, first)
	taken := 1
	if spawn {
		taken = 2 // a process needs more of the machine
	}
	var mu sync.Mutex
	deaths, broken := 0, 0
	var all sync.WaitGroup
	for seed := first; seed < first+n; seed++ {
		for range taken {
			slots() <- struct{}{}
		}
		all.Go(func() {
			defer func() {
				for range taken {
					<-slots()
				}
			}()
			t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
				died, breaks := runScenario(t, uint64(seed), spawn)
				mu.Lock()
				defer mu.Unlock()
				broken += breaks
				if died {
					deaths++
				}
			})
		})
	}
	all.Wait()
	t.Logf("the server died in %d of %d scenarios, and %d connections to the database broke", deaths, n, broken)
	if deaths < n/3 || broken == 0 {
		t.Error("too few deaths or broken connections to prove anything")
	}
}

// scenario is one scenario while it runs.
type scenario struct {
	*servertest.Server
	t        *testing.T
	dice     *rand.Rand
	upstream *servertest.Upstream
	database string // endpoint of the database server
	name     string // of the database
	users    *mongo.Collection
	sessions *mongo.Collection
	store    *store.Store
	settings map[string]string
	cidp     bool
	spawn    bool // the server is a process of its own
	killer   *killer
	breaker  connBreaker
	stop     func() // ends the present run of the server

	emails, passwords   []string // the candidates for the user's present ones
	registered, deleted answer
	access, refresh     string
	ids                 []string // all IDs that the user has had
	log                 []string // actions and their outcomes
}

// answer is what the client knows although replies get lost.
type answer int

const (
	no answer = iota
	unknown
	yes
)

func runScenario(t *testing.T, seed uint64, spawn bool) (died bool, broken int) {
	dice := rand.New(rand.NewPCG(seed, 4711))
	s := newScenario(t, dice, spawn)
	if seed%3 == 0 {
		s.settings["CONNECTYCUBE_SIGN_UPS_PER_MINUTE"] = "1" // registrations wait in line
	}
	s.injectFaults()
	s.start(newKiller(1+dice.IntN(80), dice.IntN(2) == 0))
	s.breaker.enable(true)
	for range 4 + dice.IntN(5) {
		s.action()
		if s.killer.dead() {
			died = true
			s.stop()
			s.start(newKiller(0, false))
			s.breaker.enable(true)
		}
	}
	s.upstream.ClearFaults()
	s.breaker.enable(false)
	dead := s.killer.disarm()
	died = died || dead
	if _, few := s.settings["CONNECTYCUBE_SIGN_UPS_PER_MINUTE"]; few || dead {
		s.stop()
		if few {
			s.settings["CONNECTYCUBE_SIGN_UPS_PER_MINUTE"] = "600"
		}
		s.settings["CONNECTYCUBE_TIMEOUT"], s.settings["MONGO_TIMEOUT"] = "20s", "20s" // without faults, only a busy machine needs time
		s.start(newKiller(0, false))
	}
	defer func() {
		if t.Failed() {
			admin, wait := s.settings["CONNECTYCUBE_ADMIN_KEY"] != "", s.settings["CONNECTYCUBE_REGISTER_WHILE_AWAY"] != "false"
			t.Logf("seed %d: %s, cidp %t, admin %t, wait %t, %s\n%s", seed, s.settings["CONNECTYCUBE_PASSWORD"], s.cidp, admin, wait, strings.Join(s.log, " → "), s.sides())
			t.Logf("the log ends with %s", tail(s.Log.String()))
		}
		s.stop()
	}()
	s.waitIdle()
	s.check()
	return died, s.breaker.broken
}

func newScenario(t *testing.T, dice *rand.Rand, spawn bool) *scenario {
	s := &scenario{t: t, dice: dice, spawn: spawn, upstream: servertest.NewUpstream(t), cidp: dice.IntN(3) == 0}
	s.breaker.dice = rand.New(rand.NewPCG(dice.Uint64(), 0))
	s.settings = servertest.Merge(s.upstream.Settings(), map[string]string{
		"CONNECTYCUBE_TIMEOUT": "1s", "LOGIN_FAILURES": "0", "LOG_LEVEL": "warn", "SHUTDOWN_TIMEOUT": "300ms", "MONGO_TIMEOUT": "10s",
		"CONNECTYCUBE_PASSWORD": []string{"shared", "derived"}[dice.IntN(2)],
	})
	if dice.IntN(2) == 0 {
		s.settings["CONNECTYCUBE_ADMIN_KEY"] = sandbox.DefaultAdminKey
	}
	if dice.IntN(4) == 0 {
		s.settings["CONNECTYCUBE_REGISTER_WHILE_AWAY"] = "false"
	}
	// The MongoDB of TEST_MONGODB_URL must need no password: mongoProxy cannot
	// authenticate.
	uri := os.Getenv("TEST_MONGODB_URL")
	if uri == "" {
		uri = servertest.StartDatabase(t).URI()
	}
	parsed, err := connstring.ParseAndValidate(uri)
	if err != nil {
		t.Fatal("TEST_MONGODB_URL is not a connection string")
	}
	s.database, s.name = parsed.Hosts[0], "t"+crand.Text()
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	database := client.Database(s.name)
	s.users, s.sessions = database.Collection("users"), database.Collection("sessions")
	if s.store, err = store.Open(t.Context(), store.Options{URI: uri, Database: s.name, Timeout: time.Minute}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = database.Drop(context.Background())
		_ = client.Disconnect(context.Background())
		_ = s.store.Close(context.Background())
	})
	return s
}

// injectFaults makes a few requests to ConnectyCube fail.
func (s *scenario) injectFaults() {
	for _, kind := range []string{sandbox.FaultLostAnswer, sandbox.FaultStatus, sandbox.FaultStatus, sandbox.FaultHang, sandbox.FaultDuplicate, sandbox.FaultReset, sandbox.FaultTruncated} {
		f := sandbox.Fault{Kind: kind, Probability: 0.04, Seed: s.dice.Uint64()}
		if kind == sandbox.FaultStatus {
			f.Status = []int{500, 503, 429}[s.dice.IntN(3)]
		}
		if err := s.upstream.AddFault(f); err != nil {
			s.t.Fatal(err)
		}
	}
}

// start starts a run of the server, which the killer may end.
func (s *scenario) start(k *killer) {
	s.killer = k
	s.breaker.enable(false) // the server could not start
	proxy := newMongoProxy(s.t, s.database, k, &s.breaker)
	settings := servertest.Merge(s.settings, map[string]string{"MONGO_URI": proxy.uri(), "MONGO_DATABASE": s.name})
	s.upstream.OverrideAll(k.serve)
	if s.spawn {
		p := servertest.Spawn(s.t, settings).WaitReady(s.t)
		s.Server = &p.Server
		k.end = func() { _ = p.Cmd.Process.Kill(); go proxy.shutDown() }
		s.stop = func() { k.kill(); <-p.Exited }
	} else {
		r, stop := servertest.StartUntil(s.t, servertest.Configure(s.t, settings))
		s.Server = r
		k.end = func() { go proxy.shutDown() }
		s.stop = func() { k.kill(); stop() }
	}
	if s.cidp {
		s.upstream.SetCallback(s.t, s.URL)
	}
	k.arm()
}

// waitIdle waits until the server has no background work left. It makes all work due
// at once, and ages the users that are being deleted: back-offs and the retention of
// such a user have tests of their own.
func (s *scenario) waitIdle() {
	s.t.Helper()
	servertest.Eventually(s.t, "no background work is left", func() bool {
		now := time.Now()
		isLater, exists, missing := bson.D{{Key: "$gt", Value: now}}, bson.D{{Key: "$exists", Value: true}}, bson.D{{Key: "$exists", Value: false}}
		s.update(s.users, bson.D{{Key: "account.due", Value: isLater}, {Key: "account.lease", Value: missing}}, "account.due", now)
		s.update(s.users, bson.D{{Key: "leaving", Value: true}}, "updatedAt", now.Add(-time.Hour))
		s.update(s.sessions, bson.D{{Key: "due", Value: isLater}, {Key: "attempts", Value: bson.D{{Key: "$gt", Value: 0}}}}, "due", now)
		for _, field := range []string{"account.due", "account.turn", "sessionsDue", "leaving"} {
			if s.count(s.users, bson.D{{Key: field, Value: exists}}) > 0 {
				return false
			}
		}
		return s.count(s.sessions, bson.D{{Key: "due", Value: exists}}) == 0
	})
}

// update sets a field of all documents that match.
func (s *scenario) update(c *mongo.Collection, filter bson.D, field string, value time.Time) {
	s.t.Helper()
	if _, err := c.UpdateMany(s.t.Context(), filter, bson.D{{Key: "$set", Value: bson.D{{Key: field, Value: value}}}}); err != nil {
		s.t.Fatal(err)
	}
}

// count returns the number of documents that match.
func (s *scenario) count(c *mongo.Collection, filter bson.D) int64 {
	s.t.Helper()
	n, err := c.CountDocuments(s.t.Context(), filter)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// sides describes the users of both sides, for the output of a failure.
func (s *scenario) sides() string {
	var out strings.Builder
	for _, u := range s.allUsers() {
		fmt.Fprintf(&out, "server:       %s %s %q account %d deleting %t sessions %d %+v\n", u.ID, u.Email, u.FullName(), u.CubeID, u.Deleting, len(u.Sessions), u.Account)
	}
	text := func(s *string) string {
		if s == nil {
			return "-"
		}
		return *s
	}
	for _, u := range s.upstream.State().Users {
		fmt.Fprintf(&out, "ConnectyCube: %d %s %s %q external %s\n", u.ID, text(u.Email), text(u.Login), text(u.FullName), text(u.ExternalID))
	}
	return out.String()
}

func (s *scenario) allUsers() []store.User {
	s.t.Helper()
	all, err := s.store.Users().All(s.t.Context(), "", 100)
	if err != nil {
		s.t.Fatal(err)
	}
	return all.Items
}

func tail(log string) string { return log[max(0, len(log)-3000):] }
