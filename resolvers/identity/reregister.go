package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/provisioning"
	"cubegate/store"
	"cubegate/tokens"
)

// repeatWindow is the time after a registration in which the same registration is taken
// for a repeated request.
const repeatWindow = 10 * time.Minute

// settlePoll is the time between two looks at a registration that is still running.
const settlePoll = 100 * time.Millisecond

var (
	// errEmailTaken is the answer to a registration with an email that is in use.
	errEmailTaken = store.TakenError{Field: "email"}

	// errNoRepeat means that a registration must be treated as a first one.
	errNoRepeat = errors.New("the registration repeats no other")
)

// registration is one request to register.
type registration struct {
	*Logins
	caller Caller
	in     RegisterInput
}

func (r registration) method() provisioning.LoginMethod {
	return provisioning.LoginMethod{Password: r.in.Password}
}

// charges returns what a first registration takes from the budgets.
func (r registration) charges() []charge {
	return charges(r.caller.Costs, budgetKeys{networks: r.caller.Client.Networks})
}

// attempt is the key under which this process remembers that it has charged the network
// for this email.
func (r registration) attempt() string {
	return r.caller.Client.network() + " " + store.EmailKey(r.in.Email)
}

// guess is the comparison of the password with that of the email's holder. It costs as
// much as a registration and a login. If the network has already paid for this
// registration, it costs a login.
func (r registration) guess() guess {
	g := r.passwords.guessBefore(r.caller, r.in.Email)
	if r.attempts.has(r.attempt()) {
		g.costs = slices.DeleteFunc(slices.Clone(g.costs), func(c Cost) bool { return c == CostRegistration })
	}
	return g
}

// findHolder returns the user with the email, or a user without ID. A spent budget
// refuses the client before any look-up. A user with damaged data counts as none: the
// index refuses the email.
func (r registration) findHolder(ctx context.Context) (store.User, error) {
	list := r.charges()
	if !r.attempts.has(r.attempt()) {
		if err := r.budgets.check(ctx, list); err != nil {
			return store.User{}, err
		}
	}
	holder, err := r.passwords.users.ByEmail(ctx, r.in.Email)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrMalformed) {
		return store.User{}, r.budgets.check(ctx, list)
	}
	return holder, err
}

// mayRepeat reports whether the request may repeat the registration of the email's
// holder. Only the password tells. While the budgets of wrong passwords are spent, the
// answer is that to any email in use, so that it does not tell who registered lately.
func (r registration) mayRepeat(holder store.User) bool {
	if holder.ID == "" || holder.Deleting || holder.Disabled || time.Since(holder.Created) > repeatWindow {
		return false
	}
	g := r.guess()
	return r.budgets.permits(charges(g.costs, g.keys))
}

// repeat logs in the user who has registered with the same email and password. It takes
// one hash and counts as an attempt to log in. With another password, the email is in
// use, as for everyone else.
func (r registration) repeat(ctx context.Context, holder store.User) (LoginResult, error) {
	r.caller.User, r.caller.Audit = holder, store.AuditLogin
	form := r.in.Password // as the original hashes it, and replicas of an earlier version
	if holder.PasswordForm == tokens.PasswordForm {
		form = tokens.NormalizePassword(form)
	}
	_, _, err := r.passwords.compare(ctx, r.guess(), form, holder)
	if limited, ok := errors.AsType[*apierror.Error](err); ok && limited.Code == apierror.RateLimited {
		return r.create(ctx, holder) // another request has spent the budget meanwhile
	}
	if err != nil {
		r.auditor.recordFailure(ctx, r.caller, err)
		return LoginResult{}, takenUnlessRight(err)
	}
	return r.logIn(ctx, holder)
}

// repeatLate answers a registration whose email was free at first: another request was
// faster. The registration has been charged and hashed. If the faster one is running in
// this process, it has proven the password; else this one takes a second hash.
func (r registration) repeatLate(ctx context.Context) (LoginResult, error) {
	holder, err := r.passwords.users.ByEmail(ctx, r.in.Email)
	if err != nil || !r.mayRepeat(holder) {
		return LoginResult{}, errEmailTaken
	}
	var out LoginResult
	if r.proven.Check(holder, r.in.Password) {
		r.caller.User, r.caller.Audit = holder, store.AuditLogin
		out, err = r.logIn(ctx, holder)
	} else {
		out, err = r.repeat(ctx, holder)
	}
	if errors.Is(err, errNoRepeat) {
		err = errEmailTaken
	}
	if err == nil {
		r.budgets.refund(r.charges()) // the faster request has paid for both
	}
	return out, err
}

// logIn starts a login session for a repeated registration.
func (r registration) logIn(ctx context.Context, holder store.User) (LoginResult, error) {
	user, err := r.settle(ctx, holder)
	if err != nil {
		return LoginResult{}, err
	}
	c := r.caller
	c.User = user
	defer r.proven.Prove(user, r.in.Password)()
	out, err := r.completeLogin(ctx, c, r.in.Device, r.method(), nil)
	if err != nil {
		r.auditor.recordFailure(ctx, c, err)
		return LoginResult{}, takenUnlessRight(err)
	}
	r.auditor.recordSuccess(ctx, c, out.Session.ID)
	return out, nil
}

// settle waits while the first request may still be signing the account up, and returns
// the user. If ConnectyCube refuses the account, the user is removed, and the error is
// errNoRepeat. A user may stay without an account for a while if the settings permit it,
// so the client then waits for one call to ConnectyCube at most.
func (r registration) settle(ctx context.Context, holder store.User) (store.User, error) {
	end := holder.Created.Add(r.upstreamTimeout)
	if r.registerWhileAway {
		end = holder.Created.Add(r.upstreamTimeout / 3)
	}
	for {
		user, err := r.passwords.users.ByID(ctx, holder.ID)
		if errors.Is(err, store.ErrNotFound) || err == nil && user.Deleting {
			return store.User{}, errNoRepeat
		}
		if err != nil {
			return store.User{}, err
		}
		running, late := user.CubeID == 0 && user.Account.Lease != "", !time.Now().Before(end)
		if running && late && !r.registerWhileAway { // it will be removed
			return store.User{}, fmt.Errorf("%w: the first request is still signing the account up", provisioning.ErrPending)
		}
		if !running || late {
			return user, nil
		}
		select {
		case <-ctx.Done():
			return store.User{}, ctx.Err()
		case <-time.After(settlePoll):
		}
	}
}

// takenUnlessRight hides from a client that does not know the password, or no longer
// does, that the email was registered lately.
func takenUnlessRight(err error) error {
	if errors.Is(err, tokens.ErrWrongPassword) || errors.Is(err, errDisabled) {
		return errEmailTaken
	}
	return err
}

// maxAttempts bounds the registrations that a process remembers, of about 100 bytes each.
const maxAttempts = 10_000

// attempts remembers for [repeatWindow] which registrations have been charged, so that a
// repeated one passes when the budget of its network is spent. Past its bound it forgets
// nothing and learns nothing. It is safe for concurrent use.
type attempts struct {
	mu sync.Mutex
	at map[string]time.Time
}

func newAttempts() *attempts { return &attempts{at: map[string]time.Time{}} }

func (a *attempts) add(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if len(a.at) >= maxAttempts {
		for key, at := range a.at {
			if now.Sub(at) > repeatWindow {
				delete(a.at, key)
			}
		}
	}
	if len(a.at) < maxAttempts {
		a.at[key] = now
	}
}

func (a *attempts) has(key string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, ok := a.at[key]
	return ok && time.Since(at) <= repeatWindow
}
