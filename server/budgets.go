package server

import (
	"time"

	"cubegate/middleware"
	"cubegate/resolvers"
)

// callbackFactor is how many times as many wrong passwords ConnectyCube may ask
// about, for one account from everywhere, as one network may try at ours.
const callbackFactor = 10

// budgetKeys is how many keys one budget remembers.
const budgetKeys = 100_000

// newBudgets makes the budgets that the settings want. LOGIN_FAILURES=0 turns
// all off that count wrong passwords.
func (s *setup) newBudgets() (*resolvers.Budgets, error) {
	login := resolvers.BudgetBound{Burst: s.cfg.Limits.LoginFailures, Every: s.cfg.Limits.LoginRetryEvery}
	o := resolvers.BudgetOptions{
		LoginFailures: login,
		// At most 100 in the first hour (OWASP ASVS 2.2.1), and 80 in each later one.
		PerAccount:    resolvers.BudgetBound{Burst: 20, Every: 45 * time.Second},
		PerNetwork:    resolvers.BudgetBound{Burst: 30, Every: 10 * time.Second},
		Callbacks:     resolvers.BudgetBound{Burst: callbackFactor * login.Burst, Every: login.Every},
		KnownTurns:    resolvers.BudgetBound{Burst: 30, Every: 2 * time.Second},
		Registrations: resolvers.BudgetBound{Burst: s.cfg.Limits.RegistrationsPerNetwork, Every: perHour(s.cfg.Limits.RegistrationsPerNetwork)},
		Rubbish:       resolvers.BudgetBound{Burst: 60, Every: time.Second},
		Observe:       s.cfg.Limits.Mode == "observe",
		Log:           s.log,
		New: func(b resolvers.BudgetBound) (resolvers.Budget, error) {
			return middleware.NewBudget(b.Every, b.Burst, budgetKeys)
		},
	}
	if login.Burst == 0 {
		o.PerAccount, o.PerNetwork = resolvers.BudgetBound{}, resolvers.BudgetBound{}
	}
	return resolvers.NewBudgets(o)
}

// perHour is the time between two of n an hour.
func perHour(n int) time.Duration { return time.Hour / time.Duration(max(1, n)) }
