package lifecycle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cubegate/server"
	"cubegate/server/servertest"
)

func TestLicensesCommand(t *testing.T) {
	t.Parallel()
	notices, err := os.ReadFile(filepath.Join(servertest.ModuleRoot, "server/licenses.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr strings.Builder
	noSettings := func(string) (string, bool) { return "", false }
	if code := server.Main(t.Context(), servertest.ConfigYAML, []string{"licenses"}, noSettings, &stdout, &stderr); code != 0 || stdout.String() != string(notices) {
		t.Errorf("exit status %d, %d bytes, want 0 and licenses.txt; %s", code, stdout.Len(), stderr.String())
	}
}
