package identity

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"cubegate/resolvers/apierror"

	"golang.org/x/time/rate"
)

// Budget bounds what each key may spend. Check is a look; Take takes a token,
// and Return gives it back. Both return 0, or after how long there is a token.
type Budget interface {
	Check(key string) time.Duration
	Take(key string) time.Duration
	Return(key string)
}

// budgetName names one of the budgets.
type budgetName string

const (
	// budgetPair is for wrong passwords of one account from one network.
	budgetPair budgetName = "account and network"
	// budgetAccount is for wrong passwords of one account from everywhere
	// (OWASP ASVS 2.2.1: at most 100 an hour). It counts an email, whether an
	// account has it or not: the answer must not tell.
	budgetAccount budgetName = "account"
	// budgetNetwork is for wrong passwords from one network, for all accounts,
	// and for emails that no account has: a budget apart for those would tell
	// them from the others.
	budgetNetwork budgetName = "network"
	// budgetSite is for wrong passwords from the IPv6 /48 around a network.
	budgetSite budgetName = "site"
	// budgetDevice is for wrong passwords of a known device. It is spent
	// instead of those above.
	budgetDevice budgetName = "known device"
	// budgetKnownTurns is for passwords of one account, right ones too, that
	// were hashed ahead of strangers'. It is never refunded.
	budgetKnownTurns budgetName = "known turns"
	// budgetCallback is for wrong passwords of one account that ConnectyCube asks
	// about. All of those come from ConnectyCube's network.
	budgetCallback budgetName = "callback"
	// budgetRegister is for registrations from one network.
	budgetRegister budgetName = "registrations"
	// budgetRegisterSite is for registrations from the IPv6 /48 around a network.
	budgetRegisterSite budgetName = "site's registrations"
	// budgetRubbish is for tokens from one network that we have not issued.
	budgetRubbish budgetName = "rubbish"
)

// BudgetBound is what one budget allows: Burst at once, and one more each Every.
type BudgetBound struct {
	Burst int
	Every time.Duration
}

// costKind is what an operation asks for that is bounded.
type costKind int

const (
	costGuess        costKind = iota // a password is compared
	costRegistration                 // an account is made
	costCallback                     // a password is compared that ConnectyCube asks about
	costToken                        // a token is looked at that may be rubbish
)

// costs has one line for each operation of the schema, and one for the route
// that ConnectyCube calls back. An operation without a cost needs an access
// token, whose look-up is one read, or nothing at all. A test compares it with
// the schema.
var costs = map[string][]costKind{
	"hello":            {},
	"me":               {},
	"sessions":         {},
	"users":            {},
	"audit":            {},
	"register":         {costRegistration},
	"login":            {costGuess},
	"login_By_token":   {costGuess},
	"refresh":          {costToken},
	"logout":           {},
	"logoutEverywhere": {},
	"revokeSession":    {},
	"updateProfile":    {},
	"changePassword":   {costGuess},
	"changeEmail":      {costGuess},
	"deleteMyAccount":  {costGuess},
	"setRoles":         {},
	"disableUser":      {},
	"enableUser":       {},
	"deleteUser":       {},
	"verify":           {costCallback, costToken},
}

// Budgets are all budgets by name. One that is missing has no bound. Build it
// with [NewBudgets].
type Budgets struct {
	byName  map[budgetName]Budget
	observe bool // count and log, and refuse nobody
	log     *slog.Logger

	observed atomic.Int64 // since the last line of the log
	lines    rate.Sometimes
}

// BudgetOptions say what may be spent. A burst of 0 is no bound.
type BudgetOptions struct {
	LoginFailures BudgetBound // of one account from one network, and of one known device
	PerAccount    BudgetBound // wrong passwords from everywhere but known devices
	Callbacks     BudgetBound // wrong passwords of one account that ConnectyCube asks about
	PerNetwork    BudgetBound // wrong passwords for all accounts
	Registrations BudgetBound // from one network
	KnownTurns    BudgetBound // of one account
	Rubbish       BudgetBound // from one network

	Observe bool // count and log, and refuse nobody
	Log     *slog.Logger

	// New makes one budget.
	New func(BudgetBound) (Budget, error)
}

// siteFactor is how much more a /48 may spend than each /64 in it: a site has
// many people, and also 65,536 networks to guess from.
const siteFactor = 10

// NewBudgets makes the budgets.
func NewBudgets(o BudgetOptions) (*Budgets, error) {
	b := &Budgets{byName: map[budgetName]Budget{}, observe: o.Observe, log: o.Log, lines: rate.Sometimes{Interval: time.Second}}
	site := func(b BudgetBound) BudgetBound { return BudgetBound{siteFactor * b.Burst, b.Every / siteFactor} }
	for name, bound := range map[budgetName]BudgetBound{
		budgetPair: o.LoginFailures, budgetDevice: o.LoginFailures, budgetAccount: o.PerAccount,
		budgetCallback: o.Callbacks, budgetNetwork: o.PerNetwork, budgetSite: site(o.PerNetwork), budgetKnownTurns: o.KnownTurns,
		budgetRegister: o.Registrations, budgetRegisterSite: site(o.Registrations), budgetRubbish: o.Rubbish,
	} {
		if bound.Burst == 0 {
			continue
		}
		made, err := o.New(bound)
		if err != nil {
			return nil, err
		}
		b.byName[name] = made
	}
	return b, nil
}

// asker is a client in the words of the budgets.
type asker struct {
	email    string   // of the account that it asks for; a key, in one case
	device   string   // of the account that it is known to belong to; empty = a stranger
	networks []string // outermost first
}

func (q asker) network() string {
	if len(q.networks) == 0 {
		return ""
	}
	return q.networks[len(q.networks)-1]
}

// charge is one token of one budget.
type charge struct {
	budget budgetName
	key    string
}

// charges are what an operation takes from an asker's budgets.
func charges(operation string, q asker) []charge {
	var list []charge
	for _, kind := range costs[operation] {
		switch {
		case kind == costGuess && q.device != "":
			list = append(list, charge{budgetDevice, q.email + " " + q.device})
		case kind == costGuess && q.email != "":
			list = append(list, charge{budgetPair, q.email + " " + q.network()}, charge{budgetAccount, q.email}, charge{budgetNetwork, q.network()})
			if len(q.networks) > 1 {
				list = append(list, charge{budgetSite, q.networks[0]})
			}
		case kind == costCallback && q.email != "":
			list = append(list, charge{budgetCallback, q.email})
		case kind == costRegistration:
			list = append(list, charge{budgetRegister, q.network()})
			if len(q.networks) > 1 {
				list = append(list, charge{budgetRegisterSite, q.networks[0]})
			}
		case kind == costToken && q.email == "":
			list = append(list, charge{budgetRubbish, q.network()})
		}
	}
	return list
}

// check returns RATE_LIMITED if one of the charges cannot be paid now. It takes
// nothing.
func (b *Budgets) check(ctx context.Context, list []charge) error {
	var longest time.Duration
	var spent budgetName
	for _, c := range list {
		if budget := b.byName[c.budget]; budget != nil {
			if wait := budget.Check(c.key); wait > longest {
				longest, spent = wait, c.budget
			}
		}
	}
	return b.refuse(ctx, spent, longest)
}

// take takes all of the charges, or none and returns RATE_LIMITED.
func (b *Budgets) take(ctx context.Context, list []charge) error {
	for i, c := range list {
		budget := b.byName[c.budget]
		if budget == nil {
			continue
		}
		if wait := budget.Take(c.key); wait > 0 {
			if err := b.refuse(ctx, c.budget, wait); err != nil {
				b.refund(list[:i])
				return err
			}
		}
	}
	return nil
}

// allows takes one token, and reports whether there was one. It refuses no
// request, so that it does not matter whether limits are only observed.
func (b *Budgets) allows(name budgetName, key string) bool {
	budget := b.byName[name]
	return budget == nil || budget.Take(key) == 0
}

// refund gives back what take took.
func (b *Budgets) refund(list []charge) {
	for _, c := range list {
		if budget := b.byName[c.budget]; budget != nil {
			budget.Return(c.key)
		}
	}
}

// refuse is the error of a budget that is spent for a time.
func (b *Budgets) refuse(ctx context.Context, spent budgetName, wait time.Duration) error {
	if wait == 0 {
		return nil
	}
	if b.observe {
		b.observed.Add(1)
		b.lines.Do(func() {
			b.log.LogAttrs(ctx, slog.LevelWarn, "limits are only observed: requests would have been refused",
				slog.Int64("requests", b.observed.Swap(0)), slog.String("last_budget", string(spent)))
		})
		return nil
	}
	return &apierror.Error{Code: apierror.RateLimited, Message: messages[spent], RetryAfter: wait}
}

// messages say what a client has done too often.
var messages = map[budgetName]string{
	budgetPair:     "Too many wrong passwords; try again later",
	budgetAccount:  "Too many wrong passwords; try again later",
	budgetNetwork:  "Too many wrong passwords; try again later",
	budgetSite:     "Too many wrong passwords; try again later",
	budgetDevice:   "Too many wrong passwords; try again later",
	budgetCallback: "Too many wrong passwords; try again later",
	budgetRegister: "Too many registrations from this network; try again later", budgetRegisterSite: "Too many registrations from this network; try again later",
	budgetRubbish: "Too many invalid tokens from this network; try again later",
}
