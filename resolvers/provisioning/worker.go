package provisioning

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"cubegate/store"
)

const (
	pollInterval = time.Second // between two looks for work
	workers      = 4           // reconciliations at once
)

// A wakeSignal wakes a loop that waits for work of one kind. A signal stays until a loop
// takes it, so that work that comes while the loop looks is not missed.
type wakeSignal chan struct{}

// wakeSignals are those of the kinds of work.
type wakeSignals struct {
	sweeps, revocations wakeSignal // of one loop each
	accounts            wakeSignal // of several loops: a signal wakes one of them
}

func newWakeSignals() wakeSignals {
	return wakeSignals{sweeps: make(wakeSignal, 1), revocations: make(wakeSignal, 1), accounts: make(wakeSignal, workers)}
}

func (w wakeSignal) send() {
	select {
	case w <- struct{}{}:
	default: // as many signals as loops are on their way
	}
}

// Wake makes the worker look for accounts to reconcile and for login sessions that have
// ended.
func (p *Provisioner) Wake() {
	p.wake.accounts.send()
	p.wake.sweeps.send()
	p.wake.revocations.send()
}

// Run does the background work until ctx ends: it reconciles accounts, revokes ended
// login sessions, and ends those that a user's document no longer lists.
func (p *Provisioner) Run(ctx context.Context) {
	var loops sync.WaitGroup
	loops.Go(func() { p.runLoop(ctx, loop{work: p.PruneNext, wake: p.wake.sweeps, polls: true}) })
	loops.Go(func() { p.runLoop(ctx, loop{work: p.RevokeNext, wake: p.wake.revocations, polls: true}) })
	for i := range workers {
		polls := i == 0 // one is enough, because it wakes the others
		loops.Go(func() { p.runLoop(ctx, loop{work: p.ReconcileNext, wake: p.wake.accounts, polls: polls}) })
	}
	loops.Wait()
}

// loop is one loop of the worker.
type loop struct {
	work  func(context.Context) error // does one piece
	wake  wakeSignal
	polls bool
}

// runLoop repeats work while there is any. Then it waits for a wake signal and, if it
// polls, for the next interval.
func (p *Provisioner) runLoop(ctx context.Context, l loop) {
	for ctx.Err() == nil {
		err := l.work(ctx)
		if err == nil {
			continue
		}
		var next <-chan time.Time
		wait := pollInterval/2 + rand.N(pollInterval)
		over, isOver := errors.AsType[*OverBudgetError](err)
		if isOver && (!l.polls || over.RetryAfter < wait) {
			wait = over.RetryAfter
		}
		if l.polls || isOver {
			next = time.After(wait)
		}
		if !errors.Is(err, store.ErrNotFound) && !isOver && ctx.Err() == nil {
			p.log.LogAttrs(ctx, slog.LevelWarn, "background work failed", slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
		case <-l.wake:
		case <-next:
		}
	}
}

// ReconcileNext reconciles the account that has been due for longest or, if none is due,
// the first that waits in line. The error is [store.ErrNotFound] if there is neither,
// and an [OverBudgetError] if the line, which may be empty, waits for a token. A failed
// reconciliation is no error.
func (p *Provisioner) ReconcileNext(ctx context.Context) error {
	user, err := p.queues.Accounts.Claim(ctx, p.newLease())
	if errors.Is(err, store.ErrNotFound) {
		return p.nextInLine(ctx)
	}
	if err != nil {
		return err
	}
	p.reconcileClaimed(ctx, user, false)
	return nil
}

// reconcileClaimed reconciles an account that the worker has claimed, with a token of
// the budget or without. Another loop looks for more meanwhile.
func (p *Provisioner) reconcileClaimed(ctx context.Context, user store.User, hasToken bool) {
	p.wake.accounts.send()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.settings.UpstreamTimeout)
	defer cancel()
	r := p.begin(user, LoginMethod{})
	r.claimed, r.token.taken = true, hasToken
	defer r.cleanUp(ctx)
	if err := r.returnLease(ctx, r.reconcile(ctx)); err != nil && !isOverBudget(err) {
		r.logWarning(ctx, "account not reconciled", err)
	}
}
