package lifecycle

import (
	"os"
	"path/filepath"
	"testing"

	"cubegate/server/servertest"
)

// The notices are printed with wrong settings, too.
func TestLicensesCommand(t *testing.T) {
	t.Parallel()
	notices, err := os.ReadFile(filepath.Join(servertest.ModuleRoot, "server/licenses.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if got := typed(t, wrongSettings, "licenses"); got.code != 0 || got.stdout != string(notices) {
		t.Errorf("exit status %d, %d bytes, want 0 and licenses.txt; %s", got.code, len(got.stdout), got.stderr)
	}
}
