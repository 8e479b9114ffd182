package server

import (
	"time"

	"cubegate/middleware"
	"cubegate/resolvers/identity"
)

// callbackFailureFactor multiplies LOGIN_FAILURES for the callback, whose attempts for
// one account come from all networks through ConnectyCube.
const callbackFailureFactor = 10

// budgetKeys is the number of keys that one budget remembers.
const budgetKeys = 100_000

// newBudgets returns the budgets of the settings. LOGIN_FAILURES=0 turns off all
// budgets that count wrong passwords.
func (s *setup) newBudgets() (*identity.Budgets, error) {
	login := identity.BudgetBound{Burst: s.cfg.Limits.LoginFailures, Every: s.cfg.Limits.LoginRetryEvery}
	o := identity.BudgetOptions{
		LoginFailures: login,
		// At most 100 in the first hour (OWASP ASVS 2.2.1), and 80 in each later one.
		PerAccount:    identity.BudgetBound{Burst: 20, Every: 45 * time.Second},
		PerNetwork:    identity.BudgetBound{Burst: 30, Every: 10 * time.Second},
		Callbacks:     identity.BudgetBound{Burst: callbackFailureFactor * login.Burst, Every: login.Every},
		KnownTurns:    identity.BudgetBound{Burst: 30, Every: 2 * time.Second},
		Registrations: identity.BudgetBound{Burst: s.cfg.Limits.RegistrationsPerNetwork, Every: perHour(s.cfg.Limits.RegistrationsPerNetwork)},
		InvalidTokens: identity.BudgetBound{Burst: 60, Every: time.Second},
		Observe:       s.cfg.Limits.Mode == "observe",
		Refused:       s.metrics.budget,
		Log:           s.log,
		New: func(b identity.BudgetBound) (identity.Budget, error) {
			return middleware.NewBudget(b.Every, b.Burst, budgetKeys)
		},
	}
	if login.Burst == 0 {
		o.PerAccount, o.PerNetwork = identity.BudgetBound{}, identity.BudgetBound{}
	}
	return identity.NewBudgets(o)
}

// perHour returns the time between two events of a rate of n an hour.
func perHour(n int) time.Duration { return time.Hour / time.Duration(max(1, n)) }
