package identity

import (
	"log/slog"
	"testing"
	"time"
)

func TestNewReportsAllThatIsMissing(t *testing.T) {
	_, err := New(Options{Log: slog.New(slog.DiscardHandler), Limits: Limits{Idle: time.Hour, PerUser: 1}})
	want := "identity.Options lack Stores.Users, Stores.Admin, Stores.Active, Stores.Sessions, Stores.EvictSession, Stores.LogOutEvicted, Stores.UpgradeHash, " +
		"Accounts.Opener, Accounts.Editor, Accounts.DerivedPasswords, " +
		"Tokens.Issuer, Tokens.Verifier, Tokens.Refresh, Tokens.Devices, " +
		"Hasher, Budgets, Auditor, Limits.Absolute, Limits.Reuse, Limits.MaxPasswordChars, NetworkOf, UpstreamTimeout"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if _, err := StartAuditor(AuditorOptions{}); err == nil {
		t.Error("an Auditor without a log of events starts")
	}
	if _, err := NewBudgets(BudgetOptions{}); err == nil {
		t.Error("Budgets are built without a constructor of budgets")
	}
}
