package lifecycle

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cubegate/server"
	"cubegate/server/servertest"
)

// Each form that the help and the README show does its work from the command
// line, where the limit on the number of arguments holds as well.
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
		got := typed(t, env, append([]string{"keys"}, args...)...)
		id, _, _ := strings.Cut(got.stdout, " ")
		if got.code != 0 || !strings.Contains(got.stdout, " signs from ") {
			t.Fatalf("keys %v: %+v", args, got)
		}
		ids = append(ids, id)
		list := typed(t, env, "keys", "list")
		if list.code != 0 || strings.Count(list.stdout, "\n") != len(ids)+1 || !strings.Contains(list.stdout, id) {
			t.Errorf("keys list after keys %v: %+v", args, list)
		}
	}
	if got := typed(t, env, "keys", "retire", ids[0]); got.code != 0 || !strings.Contains(got.stdout, ids[0]) {
		t.Errorf("keys retire: %+v", got)
	}
	for _, args := range [][]string{{"list", "x"}, {"new", "--alg", "ES256", "--in", "0s", "x"}, {"new", "--in", "-1s"}} {
		if got := typed(t, env, append([]string{"keys"}, args...)...); got.code != 2 {
			t.Errorf("keys %v: %+v", args, got)
		}
	}
}

// A folder without keys stops the server and the commands with one error, which
// names the command that makes the first key.
func TestFolderWithoutKeysSaysWhatToDo(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "README"), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	set := filepath.Join(t.TempDir(), "set.json")
	if err := os.WriteFile(set, []byte(`{"keys":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"an empty folder": empty, "a folder of other files": other,
		"no folder": filepath.Join(t.TempDir(), "none"), "an empty set": set, "no set": filepath.Join(t.TempDir(), "none.json"),
	} {
		for _, args := range [][]string{{"serve"}, {"keys", "list"}, {"keys", "retire", "x"}} {
			env := servertest.Merge(servertest.QuickSettings, map[string]string{"JWT_KEYS": path, "DATA_DIR": t.TempDir(), "LOG_LEVEL": "error"})
			var stdout, stderr bytes.Buffer
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // a server that starts would run on
			code := server.Main(ctx, servertest.ConfigYAML, args, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, &stdout, &stderr)
			cancel()
			text := stderr.String()
			if code != 1 || strings.Count(text, "\n") != 1 || !strings.Contains(text, path) || !strings.Contains(text, `"cubegate keys new --in 0s"`) {
				t.Errorf("%s, %v: exit %d: %s", name, args, code, text)
			}
		}
		env := map[string]string{"JWT_KEYS": path}
		var stdout, stderr bytes.Buffer
		if code := server.Main(t.Context(), servertest.ConfigYAML, []string{"keys", "new", "--in", "0s"}, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, &stdout, &stderr); code != 0 {
			t.Errorf("%s: the command that the error names: %s", name, stderr.String())
		}
	}
}

// Tokens of the secret end when the operator removes it from
// JWT_PREVIOUS_SECRETS, also when JWT_KEYS has taken its place.
func TestTokensOfTheSecretEndAfterAChangeToKeys(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "keys")
	if _, err := operated(t, "keys", map[string]string{"JWT_KEYS": folder}, "new", "--in", "0s"); err != nil {
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
		lives bool
	}{
		{"keys, and the secret listed", map[string]string{"JWT_KEYS": folder, "JWT_PREVIOUS_SECRETS": servertest.JWTSecret}, true},
		{"keys, and another secret listed", map[string]string{"JWT_KEYS": folder, "JWT_PREVIOUS_SECRETS": "X4m0q7-a-secret-of-another-time-8f2kq0Zx"}, false},
		{"keys alone", map[string]string{"JWT_KEYS": folder}, false},
		{"no keys", nil, true},
	} {
		r, stop := servertest.StartUntil(t, servertest.Configure(t, servertest.Merge(settings, tt.more)))
		if code := servertest.CodeOf(r.As(t, in.Token, `{ me { id } }`, nil).Body); (code == "") != tt.lives {
			t.Errorf("%s: the access token: %q", tt.name, code)
		}
		for _, got := range r.Verify(t, in.ChatTicket) {
			if (got.Status == 200) != tt.lives {
				t.Errorf("%s: the chat ticket: %d", tt.name, got.Status)
			}
		}
		refresh = r.Refresh(t, refresh) // refresh tokens are made from the secret, with keys and without
		stop()
	}
}
