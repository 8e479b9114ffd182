package connectycube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// BreakerOptions configure the circuit breaker of a Client. While the breaker is
// open, every call returns ErrUnavailable at once and sends nothing.
type BreakerOptions struct {
	// Failures is the number of failures in a row that opens the breaker; default
	// 10. Timeouts, refused or broken connections and 5xx are failures. A 4xx,
	// 429 included, is an answer and ends the row.
	Failures int

	// LateFailures is the number of failures in the row that took at least half of a
	// request's timeout and open the breaker: each holds up a login. Default 3.
	LateFailures int

	// OpenFor is how long the breaker refuses calls before it sends a probe;
	// default 5s.
	OpenFor time.Duration

	// ProbeTimeout bounds one probe, which needs no callback and so less time
	// than a login; default 3s, and at most the timeout of a request.
	ProbeTimeout time.Duration
}

const (
	defaultFailures     = 10
	defaultLateFailures = 3
	defaultOpenFor      = 5 * time.Second
	defaultProbeTimeout = 3 * time.Second

	// probeGrace is the time that calls wait for the probe of a half-open breaker,
	// so that a service that works again serves them.
	probeGrace = 500 * time.Millisecond
)

// resolve checks o and fills in the defaults.
func (o BreakerOptions) resolve(timeout time.Duration) (BreakerOptions, error) {
	if o.Failures < 0 || o.LateFailures < 0 || o.OpenFor < 0 || o.ProbeTimeout < 0 {
		return o, errors.New("connectycube: the breaker's bounds must be positive")
	}
	if o.Failures == 0 {
		o.Failures = defaultFailures
	}
	if o.LateFailures == 0 {
		o.LateFailures = defaultLateFailures
	}
	if o.OpenFor == 0 {
		o.OpenFor = defaultOpenFor
	}
	if o.ProbeTimeout == 0 {
		o.ProbeTimeout = defaultProbeTimeout
	}
	o.ProbeTimeout = min(o.ProbeTimeout, timeout)
	return o, nil
}

// The outcomes of a call, for the breaker; nil is a success.
var (
	errFailing   = errors.New("the service fails")
	errUncounted = errors.New("the outcome says nothing about the service")

	errOpen = fmt.Errorf("%w: the last calls failed, so calls are suspended for a moment", ErrUnavailable)
)

// breaker stops calls to a service that fails. It adds three rules to those of
// gobreaker:
//
// Only a probe, which is a POST /session without a user, passes a half-open
// breaker. A caller's request never does: it may be a sign-up.
//
// A login with a timeout or a 5xx proves nothing by itself. During a login,
// ConnectyCube calls our own verify route, which may be late, here or at another
// replica. A probe needs no callback. When enough logins have failed to open the
// breaker, a probe decides: if it fails too, the logins count as failures.
//
// The log gets one line when the breaker opens and one when it closes, and none
// for the probes between.
type breaker struct {
	states *gobreaker.TwoStepCircuitBreaker[any]
	bounds BreakerOptions
	send   func(context.Context) error // sends a probe

	life context.Context // of the probes
	stop context.CancelFunc
	all  sync.WaitGroup // of the probes

	mu       sync.Mutex // held from a look at the state until the step that depends on it ends
	running  *probe     // nil: none
	changes  int        // of the state; a call from before the last change does not count
	failed   row        // since the last success
	suspects row        // logins that have failed since then and do not count yet
}

// row counts failures in a row.
type row struct{ failures, late int }

func (r row) and(other row) row { return row{r.failures + other.failures, r.late + other.late} }

// opens reports whether a row is long enough to open the breaker.
func (o BreakerOptions) opens(r row) bool {
	return r.failures >= o.Failures || r.late >= o.LateFailures
}

// probe is a running probe.
type probe struct {
	ended  chan struct{}
	grace  time.Time   // the end of the time that callers wait for it
	report func(error) // reports to the half-open state; nil if the breaker was closed
}

func newBreaker(o BreakerOptions, log *slog.Logger, send func(context.Context) error) *breaker {
	life, stop := context.WithCancel(context.Background())
	b := &breaker{bounds: o, send: send, life: life, stop: stop}
	b.states = gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{
		Timeout:     o.OpenFor,
		ReadyToTrip: func(gobreaker.Counts) bool { return o.opens(b.failed) },
		IsExcluded:  func(err error) bool { return errors.Is(err, errUncounted) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			b.changes++
			switch {
			case from == gobreaker.StateClosed:
				log.LogAttrs(context.Background(), slog.LevelWarn, "calls to ConnectyCube suspended",
					slog.Int("failures", b.failed.failures), slog.Int64("probe_after_ms", o.OpenFor.Milliseconds()))
			case to == gobreaker.StateClosed:
				log.LogAttrs(context.Background(), slog.LevelInfo, "calls to ConnectyCube resumed")
			}
		},
	})
	return b
}

// admit lets a call through, or returns an ErrUnavailable. The caller must report
// the outcome of a call that admit lets through.
func (b *breaker) admit(ctx context.Context) (report func(error, row), err error) {
	report, running := b.enter()
	if running != nil {
		wait := time.NewTimer(time.Until(running.grace))
		defer wait.Stop()
		select {
		case <-running.ended:
			report, _ = b.enter()
		case <-wait.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		}
	}
	if report == nil {
		return nil, errOpen
	}
	return report, nil
}

// isOpen reports whether the breaker refuses calls.
func (b *breaker) isOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.states.State() != gobreaker.StateClosed
}

// enter lets a call through while the breaker is closed. While it is half open,
// enter returns the probe to wait for.
func (b *breaker) enter() (report func(error, row), running *probe) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.states.State() {
	case gobreaker.StateClosed:
		if done, err := b.states.Allow(); err == nil {
			return b.reporting(done), nil
		}
	case gobreaker.StateHalfOpen:
		if b.running == nil && b.life.Err() == nil {
			if done, err := b.states.Allow(); err == nil {
				b.start(&probe{report: done})
			}
		}
		return nil, b.running
	}
	return nil, nil
}

// reporting returns the function that reports the outcome of a call and its
// failures.
func (b *breaker) reporting(done func(error)) func(error, row) {
	changes := b.changes
	return func(outcome error, add row) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.changes == changes {
			switch outcome {
			case nil:
				b.failed, b.suspects = row{}, row{}
			case errFailing:
				b.failed = b.failed.and(add)
			}
		}
		done(outcome)
	}
}

// doubt counts a login that failed, perhaps because of the service. When there are
// enough of them, it starts a probe.
func (b *breaker) doubt(add row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.states.State() != gobreaker.StateClosed || b.life.Err() != nil {
		return
	}
	b.suspects = b.suspects.and(add)
	if b.running == nil && b.bounds.opens(b.suspects.and(b.failed)) {
		b.start(&probe{})
	}
}

// start starts a probe. Callers wait for it at most probeGrace; close waits for its
// end. The caller holds the lock.
func (b *breaker) start(p *probe) {
	p.ended, p.grace = make(chan struct{}), time.Now().Add(probeGrace)
	b.running = p
	b.all.Go(func() {
		ctx, cancel := context.WithTimeout(b.life, b.bounds.ProbeTimeout)
		defer cancel()
		failed := outcomeOf(b.send(ctx)) == errFailing
		b.mu.Lock()
		defer b.mu.Unlock()
		b.running = nil
		b.conclude(p, failed)
		close(p.ended)
	})
}

// close stops the running probe and waits for it.
func (b *breaker) close() {
	b.mu.Lock()
	b.stop() // under the lock, so that no probe starts after it
	b.mu.Unlock()
	b.all.Wait()
}

// conclude counts the result of a probe. The caller holds the lock.
func (b *breaker) conclude(p *probe, failed bool) {
	suspects := b.suspects
	b.suspects = row{}
	switch {
	case p.report != nil && failed:
		p.report(errFailing)
	case p.report != nil:
		b.failed = row{}
		p.report(nil)
	case failed:
		if done, err := b.states.Allow(); err == nil {
			b.failed = b.failed.and(suspects)
			done(errFailing)
		}
	}
}

// outcomeOf returns the outcome that the error of a call proves. An answer other
// than a 5xx proves that the service works, even if the answer is unusable.
func outcomeOf(err error) error {
	api, answered := errors.AsType[*APIError](err)
	switch {
	case err == nil:
		return nil
	case answered && api.Status >= 500:
		return errFailing
	case answered && api.Status >= 400:
		return nil
	case !answered && errors.Is(err, ErrUnavailable):
		return errFailing
	}
	return errUncounted
}

// needsCallback reports whether ConnectyCube may have called the verify route
// during a failed call. A refused connection proves a failure of the service.
func needsCallback(k call, err error) bool {
	lost, isLost := errors.AsType[*noAnswer](err)
	return k.as == asLogin && !(isLost && !lost.connected)
}

// noAnswer is the reason why no complete answer came.
type noAnswer struct {
	text      string
	connected bool   // the connection may have been open
	wrongURL  string // why another base URL is needed; empty if that is not known
}

func (e *noAnswer) Error() string { return e.text }
