package provisioning

import (
	"strings"
	"testing"
)

func TestNewReportsAllMissing(t *testing.T) {
	_, err := New(Options{})
	if err == nil {
		t.Fatal("New accepts empty Options")
	}
	for _, name := range []string{"CubeUsers", "Database.Line", "Queues.Sweeps", "DerivePasswords", "Settings.PasswordMode", "Settings.ClockSkew", "Log"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%v: %s is missing, too", err, name)
		}
	}
}
