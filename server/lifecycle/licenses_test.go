package lifecycle

import (
	"os"
	"path/filepath"
	"testing"

	"cubegate/server/servertest"
)

// The command prints the notices also with wrong settings.
func TestLicensesCommand(t *testing.T) {
	t.Parallel()
	notices, err := os.ReadFile(filepath.Join(servertest.ModuleRoot, "server/licenses.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if got := servertest.Run(t.Context(), wrongSettings, "licenses"); got.Code != 0 || got.Stdout != string(notices) {
		t.Errorf("exit status %d, %d bytes, want 0 and licenses.txt; %s", got.Code, len(got.Stdout), got.Stderr)
	}
}
