package server

import (
	"strings"
	"testing"
)

func TestLicensesCommand(t *testing.T) {
	t.Parallel()
	var stdout, stderr strings.Builder
	noSettings := func(string) (string, bool) { return "", false }
	if code := Main(t.Context(), configYAML, []string{"licenses"}, noSettings, &stdout, &stderr); code != 0 || stdout.String() != licensesText {
		t.Errorf("exit status %d, %d bytes, want 0 and licenses.txt; %s", code, stdout.Len(), stderr.String())
	}
}
