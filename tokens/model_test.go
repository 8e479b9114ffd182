package tokens_test

import (
	"container/heap"
	"errors"
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"cubegate/tokens"
)

// modelRuns is the number of random lives of each kind:
//
//	go test ./tokens -run TestModel -v -timeout 1h -refresh.runs 1000000
var modelRuns = flag.Int("refresh.runs", 1_000, "random login sessions in each model test")

// assumptions are what the promise to honest users rests on.
type assumptions struct {
	latest  time.Duration // of a delivery, after it was sent
	late    int           // percent of the deliveries that take longer than a moment
	lost    int           // percent of the deliveries
	pause   time.Duration // least time between two refreshes of one app
	idle    time.Duration // longest time between two refreshes that follow one another
	locked  bool          // the tabs of an app refresh one after the other, and read the store again before
	tabs    int           // at most
	each    int           // refreshes of a tab at most
	roaming bool          // the app's network may change between two requests
	rotated bool          // the server's secret may change
}

var honestWorld = assumptions{latest: 30 * time.Second, late: 30, lost: 10, pause: 3 * time.Second, idle: 10 * time.Second, locked: true, tabs: 3, each: 6, roaming: true, rotated: true}

// patience is how long an app waits for an answer before it asks again: less than a
// delivery may take, so that an answer may come too late and a request out of order.
const patience = 10 * time.Second

// world is one login session, a network, and the apps that use it.
type world struct {
	*life
	dice   *rand.Rand
	rules  assumptions
	events queue
	order  int
	over   bool // the session has ended
	next   tokens.Secret
}

// event happens at a time.
type event struct {
	at    time.Time
	order int
	do    func()
}

type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at.Before(q[j].at) || q[i].at.Equal(q[j].at) && q[i].order < q[j].order
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

func (w *world) after(wait time.Duration, do func()) {
	w.order++
	heap.Push(&w.events, event{w.now.Add(wait), w.order, do})
}

// run lets at most this many events happen.
func (w *world) run(most int) {
	for ; most > 0 && len(w.events) > 0; most-- {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.do()
	}
}

func (w *world) chance(percent int) bool { return w.dice.IntN(100) < percent }

func (w *world) upTo(d time.Duration) time.Duration {
	return time.Duration(w.dice.Int64N(int64(d) + 1))
}

// delay is the time of one delivery: often short, sometimes as long as allowed.
func (w *world) delay() time.Duration {
	if w.chance(w.rules.late) {
		return w.upTo(w.rules.latest)
	}
	return w.upTo(200 * time.Millisecond)
}

// deliver carries a request to the server, and its answer back; each may be lost or
// late, and the request may be delivered twice.
func (w *world) deliver(token, client string, answer func(string, error)) {
	copies := 1
	if w.chance(15) {
		copies = 2
	}
	for range copies {
		if w.chance(w.rules.lost) {
			continue
		}
		w.after(w.delay(), func() {
			next, err := w.serve(token, client)
			if !w.chance(w.rules.lost) {
				w.after(w.delay(), func() { answer(next, err) })
			}
		})
	}
}

var errEnded = errors.New("the login session has ended")

func (w *world) serve(token, client string) (string, error) {
	if w.over {
		return "", errEnded
	}
	if w.rules.rotated && w.next != "" && w.chance(2) {
		w.rotate(w.next, goodSecret)
		w.next = ""
	}
	next, err := w.use(token, client)
	if errors.Is(err, tokens.ErrReplayed) {
		w.over = true
	}
	return next, err
}

// store is where an app keeps its refresh token. Its tabs share it.
type store struct {
	token   string
	busy    bool
	waiting []func()
}

// lock calls do as soon as no other tab refreshes.
func (s *store) lock(do func()) {
	if s.busy {
		s.waiting = append(s.waiting, do)
		return
	}
	s.busy = true
	do()
}

func (s *store) unlock() {
	s.busy = false
	if len(s.waiting) > 0 {
		do := s.waiting[0]
		s.waiting = s.waiting[1:]
		s.lock(do)
	}
}

// tab is one page of an app, or one process: it refreshes now and then.
type tab struct {
	*world
	*store
	client     string
	mine       string // the token that this tab got last
	refreshes  int    // that it still makes
	done       int
	askedAgain string // the stale token that it has asked about once more
	out        bool   // it has been told that the login session is over
	followed   func() // called after each success
}

func (w *world) open(s *store, client string, refreshes int) *tab {
	t := &tab{world: w, store: s, client: client, mine: s.token, refreshes: refreshes}
	t.idle()
	return t
}

// idle waits until the tab wants to refresh.
func (t *tab) idle() {
	if t.refreshes--; t.refreshes < 0 || t.out {
		return
	}
	wait := t.rules.pause + t.upTo(t.rules.idle)
	if t.rules.idle > 0 && t.chance(60) {
		wait += t.upTo(2 * time.Hour)
	}
	t.world.after(wait, t.refresh)
}

func (t *tab) refresh() {
	if !t.rules.locked {
		t.ask(t.mine, t.idle)
		return
	}
	t.store.lock(func() { t.ask(t.store.token, func() { t.world.after(t.rules.pause, t.store.unlock); t.idle() }) })
}

// ask sends a token until there is an answer.
func (t *tab) ask(token string, finish func()) {
	if t.rules.roaming && t.chance(10) {
		t.client += "'"
	}
	settled := false
	t.deliver(token, t.client, func(next string, err error) {
		if settled {
			return // it came after the app had asked again
		}
		settled = true
		t.answer(token, next, err, finish)
	})
	t.world.after(patience, func() {
		if settled {
			return
		}
		settled = true
		again := token
		if t.rules.locked {
			again = t.store.token
		}
		t.ask(again, finish)
	})
}

func (t *tab) answer(token, next string, err error, finish func()) {
	wait, isStale := errors.AsType[*tokens.StaleError](err)
	switch {
	case err == nil && t.chance(3): // the app was killed before it saved the answer
		t.mine = t.store.token
		finish()
	case err == nil:
		t.mine, t.store.token = next, next
		t.done++
		if t.followed != nil {
			t.followed()
		}
		finish()
	case isStale && t.store.token != token: // another tab has a newer one
		t.mine = t.store.token
		t.ask(t.mine, finish)
	case isStale && t.askedAgain != token:
		t.askedAgain = token
		t.world.after(wait.After, func() { t.ask(token, finish) })
	default:
		t.out = true
		finish()
	}
}

// newWorld returns a login session with its first token in a store.
func newWorld(seed int, rules assumptions) (*world, *store) {
	l, first := newLife()
	w := &world{life: l, dice: rand.New(rand.NewPCG(uint64(seed), 14)), rules: rules, next: otherSecret}
	return w, &store{token: first}
}

// honestLife lets the tabs of one app refresh, and reports whether they are logged out.
func honestLife(seed int, rules assumptions) bool {
	w, s := newWorld(seed, rules)
	tabs := make([]*tab, 1+w.dice.IntN(rules.tabs))
	for i := range tabs {
		tabs[i] = w.open(s, "home", 1+w.dice.IntN(rules.each))
	}
	w.run(10_000)
	for _, t := range tabs {
		if t.out {
			return true
		}
	}
	return w.over
}

// No network that is late by at most 30 s, and no number of tabs that share a store,
// logs an honest user out.
func TestModelNeverLogsOutTheHonest(t *testing.T) {
	for seed := range *modelRuns {
		if honestLife(seed, honestWorld) {
			t.Fatalf("life %d: logged out", seed)
		}
	}
	t.Logf("%d lives, none logged out", *modelRuns)
}

// theft is the outcome of a theft.
type theft struct {
	caught    bool
	refreshes int // of thief and owner together after both have the token, until one of them is caught
}

// stolenLife lets a thief copy the store of an honest app, and use the copy.
func stolenLife(seed int, rules assumptions, thief string) theft {
	w, s := newWorld(seed, rules)
	owner := w.open(s, "home", 1000)
	w.run(w.dice.IntN(60))
	copied := &store{token: s.token}
	before := owner.done
	w.rules.roaming = false // the thief's network stays another one
	stranger := w.open(copied, thief, 1000)
	w.run(2_000)
	return theft{w.over, owner.done - before + stranger.done}
}

// shadowedLife lets a thief copy the store of an honest app that shares the thief's
// address and program. The thief refreshes moments after the owner.
func shadowedLife(seed int) (caught bool) {
	w, s := newWorld(seed, honestWorld)
	w.rules.roaming, w.rules.late, w.rules.lost = false, 0, 0
	owner := w.open(s, "home", 20)
	stranger := &tab{world: w, store: &store{token: s.token}, client: "home", refreshes: 0}
	owner.followed = func() { w.after(time.Second, func() { stranger.refresh() }) }
	w.run(10_000)
	return w.over
}

// A thief who has copied the store of an app and uses the copy elsewhere ends the login
// session, whatever the network does.
func TestModelAlwaysCatchesTheThief(t *testing.T) {
	for seed := range *modelRuns {
		if got := stolenLife(seed, honestWorld, "elsewhere"); !got.caught {
			t.Fatalf("life %d: the thief is not caught in %d refreshes", seed, got.refreshes)
		}
	}
	t.Logf("%d thefts, all caught", *modelRuns)
}

// What happens without the assumptions. docs/login-sessions.md, "What this detects", says so.
func TestModelWithoutItsAssumptions(t *testing.T) {
	runs := max(200, *modelRuns/10)
	for name, edit := range map[string]func(*assumptions){
		"tabs that do not read the store again":      func(a *assumptions) { a.locked, a.roaming = false, true },
		"deliveries that are up to 10 minutes late":  func(a *assumptions) { a.latest = 10 * time.Minute },
		"a refresh after the other, without a pause": func(a *assumptions) { a.pause, a.idle, a.each, a.late = 0, 0, 40, 3 },
	} {
		rules := honestWorld
		edit(&rules)
		out := 0
		for seed := range runs {
			if honestLife(seed, rules) {
				out++
			}
		}
		t.Logf("%s: %d of %d honest users are logged out", name, out, runs)
		if out == 0 {
			t.Errorf("%s: the model does not notice", name)
		}
	}
	caught := 0
	for seed := range runs {
		if shadowedLife(seed) {
			caught++
		}
	}
	t.Logf("a thief behind the same address with the same app, who refreshes when the owner does: %d of %d are caught", caught, runs)
	if caught > runs/2 {
		t.Error("most are caught: docs/login-sessions.md promises less")
	}
}
