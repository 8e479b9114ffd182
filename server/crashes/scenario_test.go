package crashes

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"os"
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

// A schedule is one person's life with the program: registrations, logins,
// changes, while ConnectyCube misbehaves, connections to the database break, and
// the program dies at one of the points where it waits for somebody. Afterwards each side must know one person,
// or none, and the same one; and whoever was not deleted can log in.
//
// CUBEGATE_SCHEDULES and CUBEGATE_KILLS say how many are run of each kind,
// CUBEGATE_AT_ONCE how many at once, CUBEGATE_SEED with which seed they begin. Every failure names its seed: the
// same seed alone replays it, as far as the clock lets it.
func TestSchedulesWithARestart(t *testing.T) {
	t.Parallel()
	schedules(t, number(t, "CUBEGATE_SCHEDULES", 60), false)
}

// The program is a real process here, and dies by SIGKILL.
func TestSchedulesWithAKill(t *testing.T) {
	t.Parallel()
	schedules(t, number(t, "CUBEGATE_KILLS", 6), true)
}

func number(t *testing.T, name string, usual int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// places are how many lives go on at once; a process of its own takes two. They
// mostly wait, but when the machine is too busy to answer within their deadlines,
// they all try again, and it never gets less. So there are few while other tests
// run besides, under the race detector perhaps.
var places = sync.OnceValue(func() chan struct{} {
	n, err := strconv.Atoi(os.Getenv("CUBEGATE_AT_ONCE"))
	if err != nil {
		n = 20
	}
	return make(chan struct{}, n)
})

func schedules(t *testing.T, n int, real bool) {
	first := number(t, "CUBEGATE_SEED", 1)
	t.Logf("%d schedules from seed %d on", n, first)
	taken := 1
	if real {
		taken = 2
	}
	var mu sync.Mutex
	deaths, broken := 0, 0
	var all sync.WaitGroup
	for seed := first; seed < first+n; seed++ {
		for range taken {
			places() <- struct{}{}
		}
		all.Go(func() {
			defer func() {
				for range taken {
					<-places()
				}
			}()
			t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
				died, breaks := runSchedule(t, uint64(seed), real)
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
	t.Logf("%d of %d lives ended by death, and %d connections to the database broke", deaths, n, broken)
	if deaths < n/3 || broken == 0 {
		t.Error("that is too few to tell anything")
	}
}

// scenario is one schedule while it runs.
type scenario struct {
	*servertest.Server
	t        *testing.T
	dice     *rand.Rand
	u        *servertest.Upstream
	db, name string // address of the database server, and name of the database
	users    *mongo.Collection
	sessions *mongo.Collection
	store    *store.Store
	settings map[string]string
	cidp     bool
	real     bool
	killer   *killer
	storm    connBreaker
	stop     func() // ends the program that runs now, well

	emails, passwords []string // those that may be the person's now
	registered, gone  maybe
	access, refresh   string
	ids               []string // that the person had
	path              []string
}

// maybe is what is known of something when answers get lost.
type maybe int

const (
	no maybe = iota
	unknown
	yes
)

func runSchedule(t *testing.T, seed uint64, real bool) (died bool, broken int) {
	dice := rand.New(rand.NewPCG(seed, 4711))
	l := newScenario(t, dice, real)
	if seed%3 == 0 {
		l.settings["CONNECTYCUBE_SIGN_UPS_PER_MINUTE"] = "1" // so that accounts wait in line
	}
	l.misbehave()
	l.begin(newKiller(1+dice.IntN(80), dice.IntN(2) == 0))
	l.storm.rage(true)
	for range 4 + dice.IntN(5) {
		l.action()
		if l.killer.dead() {
			died = true
			l.stop()
			l.begin(newKiller(0, false))
			l.storm.rage(true)
		}
	}
	l.u.ClearFaults()
	l.storm.rage(false)
	l.killer.spare()
	died = died || l.killer.dead()
	if _, few := l.settings["CONNECTYCUBE_SIGN_UPS_PER_MINUTE"]; few || l.killer.dead() {
		l.stop()
		if few {
			l.settings["CONNECTYCUBE_SIGN_UPS_PER_MINUTE"] = "600"
		}
		l.begin(newKiller(0, false))
	}
	defer func() {
		if t.Failed() {
			admin, wait := l.settings["CONNECTYCUBE_ADMIN_KEY"] != "", l.settings["CONNECTYCUBE_REGISTER_WHILE_AWAY"] != "false"
			t.Logf("seed %d: %s, cidp %t, admin %t, wait %t, %s\n%s", seed, l.settings["CONNECTYCUBE_PASSWORD"], l.cidp, admin, wait, strings.Join(l.path, " → "), l.sides())
			t.Logf("the log ends with %s", tail(l.Log.String()))
		}
		l.stop()
	}()
	l.settled()
	l.check()
	return died, l.storm.broken
}

func newScenario(t *testing.T, dice *rand.Rand, real bool) *scenario {
	l := &scenario{t: t, dice: dice, real: real, u: servertest.NewUpstream(t), cidp: dice.IntN(3) == 0}
	l.storm.dice = rand.New(rand.NewPCG(dice.Uint64(), 0))
	l.settings = servertest.Merge(l.u.Settings(), map[string]string{
		"CONNECTYCUBE_TIMEOUT": "250ms", "LOGIN_FAILURES": "0", "LOG_LEVEL": "warn", "SHUTDOWN_TIMEOUT": "300ms", "MONGO_TIMEOUT": "3s",
		"CONNECTYCUBE_PASSWORD": []string{"shared", "derived"}[dice.IntN(2)],
	})
	if dice.IntN(2) == 0 {
		l.settings["CONNECTYCUBE_ADMIN_KEY"] = sandbox.DefaultAdminKey
	}
	if dice.IntN(4) == 0 {
		l.settings["CONNECTYCUBE_REGISTER_WHILE_AWAY"] = "false"
	}
	// A MongoDB of the tester's own is one that takes anybody: what carries the
	// messages does not know how to log in.
	uri := os.Getenv("TEST_MONGODB_URL")
	if uri == "" {
		uri = servertest.StartDatabase(t).URI()
	}
	parsed, err := connstring.ParseAndValidate(uri)
	if err != nil {
		t.Fatal("TEST_MONGODB_URL is not a connection string")
	}
	l.db, l.name = parsed.Hosts[0], "t"+crand.Text()
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	database := client.Database(l.name)
	l.users, l.sessions = database.Collection("users"), database.Collection("sessions")
	if l.store, err = store.Open(t.Context(), store.Options{URI: uri, Database: l.name}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = database.Drop(context.Background())
		_ = client.Disconnect(context.Background())
		_ = l.store.Close(context.Background())
	})
	return l
}

// misbehave gives ConnectyCube its faults.
func (l *scenario) misbehave() {
	for _, kind := range []string{sandbox.FaultLostAnswer, sandbox.FaultStatus, sandbox.FaultStatus, sandbox.FaultHang, sandbox.FaultDuplicate, sandbox.FaultReset, sandbox.FaultTruncated} {
		f := sandbox.Fault{Kind: kind, Probability: 0.04, Seed: l.dice.Uint64()}
		if kind == sandbox.FaultStatus {
			f.Status = []int{500, 503, 429}[l.dice.IntN(3)]
		}
		if err := l.u.AddFault(f); err != nil {
			l.t.Fatal(err)
		}
	}
}

// begin starts the program for a life that ends as told.
func (l *scenario) begin(f *killer) {
	l.killer = f
	l.storm.rage(false) // it would not start
	y := newMongoProxy(l.t, l.db, f, &l.storm)
	settings := servertest.Merge(l.settings, map[string]string{"MONGO_URI": y.uri(), "MONGO_DATABASE": l.name})
	l.u.OverrideAll(f.atConnectyCube)
	if l.real {
		p := servertest.Spawn(l.t, settings).WaitReady(l.t)
		l.Server = &p.Server
		f.die = func() { _ = p.Cmd.Process.Kill(); go y.sink() }
		l.stop = func() { f.kill(); <-p.Exited }
	} else {
		r, stop := servertest.StartUntil(l.t, servertest.Configure(l.t, settings))
		l.Server = r
		f.die = func() { go y.sink() }
		l.stop = func() { f.kill(); stop() }
	}
	if l.cidp {
		l.u.SetCallback(l.t, l.URL)
	}
	f.begin()
}

// settled waits until nothing is left to do on our side. Back-offs are cut
// short, and so is the life of tombstones: that they are kept is for other tests.
func (l *scenario) settled() {
	l.t.Helper()
	ctx := l.t.Context()
	wait := 10 * time.Millisecond // longer and longer, for all who look keep the machine busy
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(wait) {
		wait = min(2*wait, 300*time.Millisecond)
		now := time.Now()
		_, err := l.users.UpdateMany(ctx, bson.D{{Key: "account.due", Value: bson.D{{Key: "$gt", Value: now}}}, {Key: "account.lease", Value: bson.D{{Key: "$exists", Value: false}}}},
			bson.D{{Key: "$set", Value: bson.D{{Key: "account.due", Value: now}}}})
		if err != nil {
			l.t.Fatal(err)
		}
		if _, err = l.users.UpdateMany(ctx, bson.D{{Key: "leaving", Value: true}}, bson.D{{Key: "$set", Value: bson.D{{Key: "updatedAt", Value: now.Add(-time.Hour)}}}}); err != nil {
			l.t.Fatal(err)
		}
		if _, err = l.sessions.UpdateMany(ctx, bson.D{{Key: "due", Value: bson.D{{Key: "$gt", Value: now}}}, {Key: "attempts", Value: bson.D{{Key: "$gt", Value: 0}}}},
			bson.D{{Key: "$set", Value: bson.D{{Key: "due", Value: now}}}}); err != nil {
			l.t.Fatal(err)
		}
		open := 0
		for collection, fields := range map[*mongo.Collection][]string{l.users: {"account.due", "account.turn", "sessionsDue", "leaving"}, l.sessions: {"due"}} {
			for _, field := range fields {
				n, err := collection.CountDocuments(ctx, bson.D{{Key: field, Value: bson.D{{Key: "$exists", Value: true}}}})
				if err != nil {
					l.t.Fatal(err)
				}
				open += int(n)
			}
		}
		if open == 0 {
			return
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("%d things are still open:\n%s", open, l.sides())
		}
	}
}

// sides is what both sides have, for a person to read.
func (l *scenario) sides() string {
	var out strings.Builder
	for _, u := range l.everybody() {
		fmt.Fprintf(&out, "here:  %s %s %q account %d leaving %t sessions %d %+v\n", u.ID, u.Email, u.FullName(), u.CubeID, u.Deleting, len(u.Sessions), u.Account)
	}
	text := func(s *string) string {
		if s == nil {
			return "-"
		}
		return *s
	}
	for _, u := range l.u.State().Users {
		fmt.Fprintf(&out, "there: %d %s %s %q external %s\n", u.ID, text(u.Email), text(u.Login), text(u.FullName), text(u.ExternalID))
	}
	return out.String()
}

func (l *scenario) everybody() []store.User {
	l.t.Helper()
	all, err := l.store.Users().All(l.t.Context(), "", 100)
	if err != nil {
		l.t.Fatal(err)
	}
	return all
}

func tail(log string) string { return log[max(0, len(log)-3000):] }

// check compares both sides.
func (l *scenario) check() {
	l.t.Helper()
	if l.gone == unknown || len(l.emails) > 1 || len(l.passwords) > 1 || l.registered == unknown {
		l.access = ""
		if l.registered == unknown {
			l.gone = unknown
		}
		l.login()
	}
	if l.registered != no && l.gone != yes {
		if !l.login() { // once more, for what only a login can finish
			l.t.Errorf("no login after healing")
		}
		l.settled()
		var got outcome
		wait := 20 * time.Millisecond
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(wait) { // a busy machine is slow to answer ConnectyCube
			wait = min(2*wait, time.Second)
			got = l.ask("", fmt.Sprintf(`mutation { answer: login(body: {email: %q, password: %q}) { chatStatus ccUserId user { id } } }`, l.emails[0], l.passwords[0]))
			if got.ChatStatus == "READY" {
				break
			}
		}
		if got.code != "" || got.ChatStatus != "READY" {
			l.t.Errorf("after healing: %s %s", got.code, got.ChatStatus)
		}
		l.settled()
	} else {
		for _, email := range l.emails {
			for _, password := range l.passwords {
				got := l.ask("", fmt.Sprintf(`mutation { answer: login(body: {email: %q, password: %q}) { chatStatus } }`, email, password))
				if l.gone == yes && got.code != "UNAUTHENTICATED" {
					l.t.Errorf("who is gone logs in: %q", got.code)
				}
			}
		}
	}
	here, there := l.everybody(), l.u.State().Users
	if want := 1; l.gone == yes || l.registered == no {
		want = 0
		if n, err := l.sessions.CountDocuments(l.t.Context(), bson.D{}); err != nil || n != 0 {
			l.t.Errorf("%d login sessions of nobody are left, %v", n, err)
		}
		if len(here) != want || len(there) != want {
			l.t.Errorf("%d users here, %d there, want none", len(here), len(there))
		}
		return
	} else if len(here) != want || len(there) != want {
		l.t.Errorf("%d users here, %d there, want one", len(here), len(there))
		return
	}
	ours, theirs := here[0], there[0]
	if theirs.ExternalID == nil || *theirs.ExternalID != ours.ID || theirs.ID != ours.CubeID {
		l.t.Errorf("two identities: %s with %d, %+v", ours.ID, ours.CubeID, theirs)
	}
	if theirs.Email != nil && store.EmailKey(*theirs.Email) != store.EmailKey(ours.Email) || theirs.Email == nil && !l.cidp {
		l.t.Errorf("the address here is %s, there %v", ours.Email, *theirs.Email)
	}
	if theirs.FullName == nil || *theirs.FullName != ours.FullName() {
		l.t.Errorf("the name here is %q, there %v", ours.FullName(), *theirs.FullName)
	}
}
