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

// wakeSignal wakes the loops of the worker. Each has a channel of its own.
type wakeSignal []chan struct{}

func newWakeSignal() wakeSignal {
	w := make(wakeSignal, workers+2)
	for i := range w {
		w[i] = make(chan struct{}, 1)
	}
	return w
}

// Wake makes the worker look for work now.
func (p *Provisioner) Wake() {
	for _, loop := range p.wake {
		select {
		case loop <- struct{}{}:
		default:
		}
	}
}

// Run does the background work until ctx ends: it reconciles accounts, revokes ended
// login sessions, and ends those that a user's document no longer lists.
func (p *Provisioner) Run(ctx context.Context) {
	var loops sync.WaitGroup
	for i, wake := range p.wake {
		work := p.ReconcileNext
		switch i {
		case 0:
			work = p.PruneNext
		case 1:
			work = p.RevokeNext
		}
		polls := i < 3 // one loop of a kind is enough, because it wakes the others
		loops.Go(func() { p.runLoop(ctx, wake, work, polls) })
	}
	loops.Wait()
}

// runLoop repeats work while there is any. Then it waits for a wake signal and, if it
// polls, for the next interval.
func (p *Provisioner) runLoop(ctx context.Context, wake <-chan struct{}, work func(context.Context) error, polls bool) {
	for ctx.Err() == nil {
		err := work(ctx)
		if err == nil {
			p.Wake()
			continue
		}
		var next <-chan time.Time
		wait := pollInterval/2 + rand.N(pollInterval)
		over, isOver := errors.AsType[*OverBudgetError](err)
		if isOver && (!polls || over.RetryAfter < wait) {
			wait = over.RetryAfter
		}
		if polls || isOver {
			next = time.After(wait)
		}
		if !errors.Is(err, store.ErrNotFound) && !isOver && ctx.Err() == nil {
			p.log.LogAttrs(ctx, slog.LevelWarn, "background work failed", slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
		case <-wake:
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
// the budget or without.
func (p *Provisioner) reconcileClaimed(ctx context.Context, user store.User, hasToken bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.settings.UpstreamTimeout)
	defer cancel()
	r := p.begin(user, LoginMethod{})
	r.claimed, r.token.taken = true, hasToken
	defer r.cleanUp(ctx)
	if err := r.returnLease(ctx, r.reconcile(ctx)); err != nil && !isOverBudget(err) {
		r.logWarning(ctx, "account not reconciled", err)
	}
}
