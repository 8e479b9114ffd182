package lifecycle

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cubegate/server/servertest"
)

// Each form of the command that the help and docs/keys.md show works from the command
// line, which also limits the number of arguments.
func TestKeysCommandTakesWhatItsHelpShows(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "keys")
	env := map[string]string{"JWT_KEYS": folder}
	var ids []string
	for _, args := range [][]string{
		{"new", "--in", "0s"},
		{"new"},
		{"new", "--alg", "ES256", "--in", "0s"},
		{"new", "--in", "1m", "--alg", "EdDSA"},
		{"new", "--alg=ES256", "--in=0s"},
	} {
		got := servertest.Run(t.Context(), env, append([]string{"keys"}, args...)...)
		id, _, _ := strings.Cut(got.Stdout, " ")
		if got.Code != 0 || !strings.Contains(got.Stdout, " signs from ") {
			t.Fatalf("keys %v: %+v", args, got)
		}
		ids = append(ids, id)
		list := servertest.Run(t.Context(), env, "keys", "list")
		if list.Code != 0 || strings.Count(list.Stdout, "\n") != len(ids)+1 || !strings.Contains(list.Stdout, id) {
			t.Errorf("keys list after keys %v: %+v", args, list)
		}
	}
	if got := servertest.Run(t.Context(), env, "keys", "retire", ids[0]); got.Code != 0 || !strings.Contains(got.Stdout, ids[0]) {
		t.Errorf("keys retire: %+v", got)
	}
	for _, args := range [][]string{{"list", "x"}, {"new", "--alg", "ES256", "--in", "0s", "x"}, {"new", "--in", "-1s"}} {
		if got := servertest.Run(t.Context(), env, append([]string{"keys"}, args...)...); got.Code != 2 {
			t.Errorf("keys %v: %+v", args, got)
		}
	}
}

// Without keys, the server and the commands end with one error, which names the
// command that makes the first key.
func TestErrorWithoutKeysSaysWhatToDo(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "README"), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"an empty folder": empty, "a folder of other files": other,
		"no folder": filepath.Join(t.TempDir(), "none"), "no folder, named like a file": filepath.Join(t.TempDir(), "none.json"),
	} {
		for _, args := range [][]string{{"serve"}, {"keys", "list"}, {"keys", "retire", "x"}} {
			env := servertest.Merge(servertest.QuickSettings, map[string]string{"JWT_KEYS": path, "DATA_DIR": t.TempDir(), "LOG_LEVEL": "error"})
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // ends a server that starts
			got := servertest.Run(ctx, env, args...)
			cancel()
			if got.Code != 1 || strings.Count(got.Stderr, "\n") != 1 || !strings.Contains(got.Stderr, path) || !strings.Contains(got.Stderr, `"cubegate keys new --in 0s"`) {
				t.Errorf("%s, %v: %+v", name, args, got)
			}
		}
		if got := servertest.Run(t.Context(), map[string]string{"JWT_KEYS": path}, "keys", "new", "--in", "0s"); got.Code != 0 {
			t.Errorf("%s: the command that the error names: %+v", name, got)
		}
	}
}

// Tokens that the secret signed end when the operator removes the secret from
// JWT_PREVIOUS_SECRETS, also after a change to JWT_KEYS.
func TestTokensOfTheSecretEndAfterChangeToKeys(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "keys")
	if _, err := runCommand(t, "keys", map[string]string{"JWT_KEYS": folder}, "new", "--in", "0s"); err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{"DATA_DIR": t.TempDir(), "JWT_SECRET": servertest.JWTSecret}
	r, stop := servertest.StartUntil(t, servertest.Configure(t, settings))
	in := *r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org")).Data.Register
	stop()
	refresh := in.RefreshToken
	for _, tt := range []struct {
		name  string
		more  map[string]string
		valid bool
	}{
		{"keys, and the secret listed", map[string]string{"JWT_KEYS": folder, "JWT_PREVIOUS_SECRETS": servertest.JWTSecret}, true},
		{"keys, and another secret listed", map[string]string{"JWT_KEYS": folder, "JWT_PREVIOUS_SECRETS": "X4m0q7-a-secret-of-another-time-8f2kq0Zx"}, false},
		{"keys alone", map[string]string{"JWT_KEYS": folder}, false},
		{"no keys", nil, true},
	} {
		r, stop := servertest.StartUntil(t, servertest.Configure(t, servertest.Merge(settings, tt.more)))
		if code := servertest.CodeOf(r.SendAs(t, in.Token, `{ me { id } }`, nil).Body); (code == "") != tt.valid {
			t.Errorf("%s: the access token: %q", tt.name, code)
		}
		for _, got := range r.Verify(t, in.ChatTicket) {
			if (got.Status == 200) != tt.valid {
				t.Errorf("%s: the chat ticket: %d", tt.name, got.Status)
			}
		}
		refresh = r.Refresh(t, refresh) // the secret makes refresh tokens, also with JWT_KEYS
		stop()
	}
}
