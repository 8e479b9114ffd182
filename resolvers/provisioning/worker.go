package provisioning

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
)

const (
	tick        = time.Second // between two looks at what is due
	maxRetryAft = time.Hour   // that ConnectyCube may ask for
	visitors    = 4           // accounts looked after at once
)

// waker wakes the loops of a worker.
type waker struct {
	once  sync.Once
	loops []chan struct{}
}

func (w *waker) init() {
	w.once.Do(func() {
		for range visitors + 2 {
			w.loops = append(w.loops, make(chan struct{}, 1))
		}
	})
}

// Wake makes the worker look now.
func (k *Provisioner) Wake() {
	k.wake.init()
	for _, loop := range k.wake.loops {
		select {
		case loop <- struct{}{}:
		default:
		}
	}
}

// Run does what is due until ctx ends: accounts, login sessions that have
// ended, and users whose login sessions were all ended at once.
func (k *Provisioner) Run(ctx context.Context) {
	k.wake.init()
	var all sync.WaitGroup
	for i, wake := range k.wake.loops {
		work := k.ReconcileNext
		switch i {
		case 0:
			work = k.PruneNext
		case 1:
			work = k.RevokeNext
		}
		all.Go(func() { k.loop(ctx, wake, work, i < 3) }) // one of a kind looks by the clock, and wakes the rest
	}
	all.Wait()
}

// loop repeats work while there is any, then waits to be woken or, if it looks
// by the clock, for the next tick.
func (k *Provisioner) loop(ctx context.Context, wake <-chan struct{}, work func(context.Context) error, looks bool) {
	for ctx.Err() == nil {
		err := work(ctx)
		if err == nil {
			k.Wake()
			continue
		}
		var next <-chan time.Time
		pause := tick/2 + rand.N(tick)
		over, isOver := errors.AsType[*OverBudgetError](err)
		if isOver && (!looks || over.RetryAfter < pause) {
			pause = over.RetryAfter
		}
		if looks || isOver {
			next = time.After(pause)
		}
		if !errors.Is(err, store.ErrNotFound) && !isOver && ctx.Err() == nil {
			k.Log.LogAttrs(ctx, slog.LevelWarn, "worker could not go on", slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-next:
		}
	}
}

// ReconcileNext visits the account that is due first, or makes the one that waits in
// line when none is due. [store.ErrNotFound] means that there is neither, and an
// [OverBudgetError] that the line, if there is one, waits for a token; trouble with
// the account itself is not an error.
func (k *Provisioner) ReconcileNext(ctx context.Context) error {
	user, err := k.Work.Accounts.Claim(ctx, k.newLease())
	if errors.Is(err, store.ErrNotFound) {
		return k.nextInLine(ctx)
	}
	if err != nil {
		return err
	}
	k.lookAfter(ctx, user, false)
	return nil
}

// lookAfter makes the worker's visit of an account that it has claimed.
func (k *Provisioner) lookAfter(ctx context.Context, user store.User, admitted bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.Patience)
	defer cancel()
	v := k.visit(user, LoginMethod{})
	v.claimed, v.admitted = true, admitted
	defer v.close(ctx)
	if err := v.handBack(ctx, v.settle(ctx)); err != nil && !isOverBudget(err) {
		v.warn(ctx, "account not settled", err)
	}
}

// handBack ends a visit: it gives the lease back with what is to happen next,
// and returns the visit's error.
func (v *visit) handBack(ctx context.Context, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var back error
	a := v.user.Account
	switch {
	case err == nil && v.user.Deleting: // the document is gone, and the lease with it
	case err == nil:
		back = v.k.Work.Accounts.Complete(ctx, v.user.ID, a.Held(), a.Version)
		v.user.Account.Due, v.user.Account.Lease, v.user.Account.Attempts, v.user.Account.LastError = time.Time{}, "", 0, ""
		v.user.Account.Turn = time.Time{}
	case !v.user.Deleting && isOverBudget(err):
		back = v.wait(ctx)
	case !v.user.Deleting && (forGood(err) || errors.Is(err, ErrPasswordRequired)):
		back = v.k.Work.Accounts.Retry(ctx, v.user.ID, a.Held(), time.Time{}, problem(err))
	default:
		due := time.Now().Add(pause(a.Attempts, err))
		if due.Before(v.notBefore) {
			due = v.notBefore
		}
		back = v.k.Work.Accounts.Retry(ctx, v.user.ID, a.Held(), due, problem(err))
	}
	if back != nil && !errors.Is(back, store.ErrChanged) { // the lease ends by itself, too
		v.warn(ctx, "lease not given back", back)
	}
	return err
}

// release ends a visit that came to nothing: what was open stays so.
func (v *visit) release(ctx context.Context) {
	if !v.user.Deleting && v.user.CubeID != 0 && !v.moving() && !v.renamed() && v.user.Account.Attempts == 0 {
		_ = v.handBack(ctx, nil)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := v.k.Work.Accounts.Retry(ctx, v.user.ID, v.user.Account.Held(), time.Now(), v.user.Account.LastError); err != nil && !errors.Is(err, store.ErrChanged) {
		v.warn(ctx, "lease not given back", err)
	}
}

// pause is how long to wait after a failure, and never less than ConnectyCube
// asks for.
func pause(attempts int, err error) time.Duration {
	var least time.Duration
	if api, ok := errors.AsType[*connectycube.APIError](err); ok {
		least = min(api.RetryAfter, maxRetryAft)
	}
	return store.BackOff(attempts, least)
}

// problem is the class of an error, for administrators to read.
func problem(err error) string {
	for _, p := range []struct {
		is   error
		name string
	}{
		{ErrCannotDelete, "needs the administration key"},
		{ErrPasswordRequired, "waits for the user's next login"},
		{ErrForeignAccount, "the address belongs to another ConnectyCube account"},
		{connectycube.ErrTaken, "the address belongs to another ConnectyCube account"},
		{connectycube.ErrMisconfigured, "ConnectyCube does not accept this server"},
		{connectycube.ErrIdentityProvider, "ConnectyCube did not get an answer from this server"},
		{connectycube.ErrUnavailable, "ConnectyCube does not answer"},
		{connectycube.ErrRefused, "ConnectyCube refused it"},
	} {
		if errors.Is(err, p.is) {
			return p.name
		}
	}
	return "trouble of our own; see the log"
}
