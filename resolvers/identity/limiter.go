package identity

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"cubegate/resolvers/apierror"

	"golang.org/x/time/rate"
)

// Budget limits the tokens that each key may spend. Check looks, Take takes a token,
// and Return gives it back. Check and Take return 0, or the time until the next token
// if none is left.
type Budget interface {
	Check(key string) time.Duration
	Take(key string) time.Duration
	Return(key string)
}

// budgetName names one of the budgets.
type budgetName string

const (
	// budgetPair counts wrong passwords of one account from one network.
	budgetPair budgetName = "account_and_network"
	// budgetAccount counts wrong passwords of one account from all networks (OWASP
	// ASVS 2.2.1: at most 100 an hour). It counts an email whether or not an account
	// has it, because the response must not tell.
	budgetAccount budgetName = "account"
	// budgetNetwork counts wrong passwords from one network for all accounts, and
	// for unknown emails. A budget of their own would distinguish unknown emails.
	budgetNetwork budgetName = "network"
	// budgetSite counts wrong passwords from the IPv6 /48 around a network.
	budgetSite budgetName = "site"
	// budgetDevice counts wrong passwords of a known device, instead of those above.
	budgetDevice budgetName = "known_device"
	// budgetKnownTurns counts passwords of one account, correct ones too, that were
	// hashed ahead of strangers'. It is never refunded.
	budgetKnownTurns budgetName = "known_turns"
	// budgetCallback counts wrong passwords of one account that ConnectyCube
	// presents. They all come from ConnectyCube's network.
	budgetCallback budgetName = "callback"
	// budgetRegister counts registrations from one network.
	budgetRegister budgetName = "registrations"
	// budgetRegisterSite counts registrations from the IPv6 /48 around a network.
	budgetRegisterSite budgetName = "site_registrations"
	// budgetInvalidToken counts tokens from one network that we have not issued.
	budgetInvalidToken budgetName = "invalid_tokens"
)

// BudgetNames lists the budgets that refuse requests. Known turns only decide who waits.
func BudgetNames() []string {
	var names []string
	for _, name := range []budgetName{budgetPair, budgetAccount, budgetNetwork, budgetSite, budgetDevice, budgetCallback, budgetRegister, budgetRegisterSite, budgetInvalidToken} {
		names = append(names, string(name))
	}
	return names
}

// BudgetBound is the size of one budget: Burst tokens at once, and one more each Every.
type BudgetBound struct {
	Burst int
	Every time.Duration
}

// Cost is something bounded that an operation takes. The zero value is none.
type Cost int

// The costs. Package resolvers lists those of each operation. An operation without a
// cost needs an access token, whose look-up is one read, or nothing at all.
const (
	CostGuess        Cost = iota + 1 // it compares a password
	CostRegistration                 // it creates an account
	CostCallback                     // it compares a password that ConnectyCube presents
	CostToken                        // it reads a token that may be invalid
)

// Budgets holds all budgets by name. A missing budget has no bound. Build it with
// [NewBudgets].
type Budgets struct {
	byName  map[budgetName]Budget
	observe bool // count and log, and refuse no request
	refused func(budget string)
	log     *slog.Logger

	observed atomic.Int64 // since the last line of the log
	lines    rate.Sometimes
}

// BudgetOptions are the sizes of the budgets. A burst of 0 means no bound.
type BudgetOptions struct {
	LoginFailures BudgetBound // of one account from one network, and of one known device
	PerAccount    BudgetBound // wrong passwords from everywhere except known devices
	Callbacks     BudgetBound // wrong passwords of one account that ConnectyCube presents
	PerNetwork    BudgetBound // wrong passwords for all accounts
	Registrations BudgetBound // from one network
	KnownTurns    BudgetBound // of one account
	InvalidTokens BudgetBound // from one network

	Observe bool // count and log, and refuse no request
	Log     *slog.Logger

	// Refused gets the name of the budget, one of BudgetNames, whenever one refuses a
	// request or would refuse it if limits were not only observed. Optional.
	Refused func(budget string)

	// New builds one budget.
	New func(BudgetBound) (Budget, error)
}

// siteFactor is how much more a /48 may spend than each /64 in it: a site has many
// users, and also 65,536 networks to guess from.
const siteFactor = 10

// NewBudgets builds the budgets.
func NewBudgets(o BudgetOptions) (*Budgets, error) {
	if o.Log == nil || o.New == nil {
		return nil, errors.New("identity.BudgetOptions lack Log or New")
	}
	if o.Refused == nil {
		o.Refused = func(string) {}
	}
	b := &Budgets{byName: map[budgetName]Budget{}, observe: o.Observe, refused: o.Refused, log: o.Log, lines: rate.Sometimes{Interval: time.Second}}
	site := func(b BudgetBound) BudgetBound { return BudgetBound{siteFactor * b.Burst, b.Every / siteFactor} }
	for name, bound := range map[budgetName]BudgetBound{
		budgetPair: o.LoginFailures, budgetDevice: o.LoginFailures, budgetAccount: o.PerAccount,
		budgetCallback: o.Callbacks, budgetNetwork: o.PerNetwork, budgetSite: site(o.PerNetwork), budgetKnownTurns: o.KnownTurns,
		budgetRegister: o.Registrations, budgetRegisterSite: site(o.Registrations), budgetInvalidToken: o.InvalidTokens,
	} {
		if bound.Burst == 0 {
			continue
		}
		budget, err := o.New(bound)
		if err != nil {
			return nil, err
		}
		b.byName[name] = budget
	}
	return b, nil
}

// budgetKeys are the keys under which the budgets count a client.
type budgetKeys struct {
	email    string   // key of the email of the account concerned; empty = none
	device   string   // that is known to belong to the account; empty = a stranger
	networks []string // outermost first
}

func (k budgetKeys) network() string { return ClientInfo{Networks: k.networks}.network() }

// charge is one token of one budget.
type charge struct {
	budget budgetName
	key    string
}

// charges returns what an operation with these costs takes from the budgets.
func charges(costs []Cost, k budgetKeys) []charge {
	var list []charge
	for _, cost := range costs {
		switch {
		case cost == CostGuess && k.device != "":
			list = append(list, charge{budgetDevice, k.email + " " + k.device})
		case cost == CostGuess && k.email != "":
			list = append(list, charge{budgetPair, k.email + " " + k.network()}, charge{budgetAccount, k.email}, charge{budgetNetwork, k.network()})
			if len(k.networks) > 1 {
				list = append(list, charge{budgetSite, k.networks[0]})
			}
		case cost == CostCallback && k.email != "":
			list = append(list, charge{budgetCallback, k.email})
		case cost == CostRegistration:
			list = append(list, charge{budgetRegister, k.network()})
			if len(k.networks) > 1 {
				list = append(list, charge{budgetRegisterSite, k.networks[0]})
			}
		case cost == CostToken && k.email == "":
			list = append(list, charge{budgetInvalidToken, k.network()})
		}
	}
	return list
}

// check returns RATE_LIMITED if one of the budgets has too little for a charge. It
// takes nothing. It counts nothing if limits are only observed: the request goes on to
// take, which counts it, once.
func (b *Budgets) check(ctx context.Context, list []charge) error {
	if b.observe {
		return nil
	}
	spent, wait := b.spent(list)
	return b.limit(ctx, spent, wait)
}

// permits reports whether check would return nil. It is for a question that refuses no
// request.
func (b *Budgets) permits(list []charge) bool {
	_, wait := b.spent(list)
	return wait == 0 || b.observe
}

// spent returns the budget with too little for a charge that takes longest to recover,
// and that time, or 0 if all charges can be taken.
func (b *Budgets) spent(list []charge) (name budgetName, longest time.Duration) {
	for _, c := range list {
		if budget := b.byName[c.budget]; budget != nil {
			if wait := budget.Check(c.key); wait > longest {
				name, longest = c.budget, wait
			}
		}
	}
	return name, longest
}

// take takes all of the charges. If one budget has too little, it takes none and
// returns RATE_LIMITED. If limits are only observed, it takes those that are left, and
// counts the first budget that would refuse.
func (b *Budgets) take(ctx context.Context, list []charge) error {
	counted := false
	for i, c := range list {
		budget := b.byName[c.budget]
		if budget == nil {
			continue
		}
		if wait := budget.Take(c.key); wait > 0 && !counted {
			counted = true
			if err := b.limit(ctx, c.budget, wait); err != nil {
				b.refund(list[:i])
				return err
			}
		}
	}
	return nil
}

// allows takes one token and reports whether there was one. It refuses no request, so
// it is the same when limits are only observed.
func (b *Budgets) allows(name budgetName, key string) bool {
	budget := b.byName[name]
	return budget == nil || budget.Take(key) == 0
}

// refund gives back the tokens that take took.
func (b *Budgets) refund(list []charge) {
	for _, c := range list {
		if budget := b.byName[c.budget]; budget != nil {
			budget.Return(c.key)
		}
	}
}

// chargeInvalidToken charges a token that we have not issued. It returns err, or
// RATE_LIMITED if the network has sent too many.
func (b *Budgets) chargeInvalidToken(ctx context.Context, c Caller, err error) error {
	list := charges(c.Costs, budgetKeys{networks: c.Client.Networks})
	if len(list) == 0 {
		return errUnpriced
	}
	if spent := b.take(ctx, list); spent != nil {
		return spent
	}
	return err
}

// errUnpriced is a mistake in the table of operations, not of a client. A row without a
// cost must not open a way to guess without a limit.
var errUnpriced = errors.New("the operation has no cost for a guess or a registration")

// limit returns RATE_LIMITED for a budget that is spent for a time, unless limits are
// only observed.
func (b *Budgets) limit(ctx context.Context, spent budgetName, wait time.Duration) error {
	if wait == 0 {
		return nil
	}
	b.refused(string(spent))
	if b.observe {
		b.observed.Add(1)
		b.lines.Do(func() {
			b.log.LogAttrs(ctx, slog.LevelWarn, "limits are only observed: requests would have been refused",
				slog.Int64("requests", b.observed.Swap(0)), slog.String("last_budget", string(spent)))
		})
		return nil
	}
	return &apierror.Error{Code: apierror.RateLimited, Message: limitMessage(spent), RetryAfter: wait}
}

// limitMessage says what a client has done too often.
func limitMessage(spent budgetName) string {
	switch spent {
	case budgetRegister, budgetRegisterSite:
		return "Too many registrations from this network; try again later"
	case budgetInvalidToken:
		return "Too many invalid tokens from this network; try again later"
	}
	return "Too many wrong passwords; try again later"
}
