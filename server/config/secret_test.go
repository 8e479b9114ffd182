package config

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"cubegate/tokens"
)

// A secret may be missing only if both stand-ins run, and a weak one is never accepted.
// Without JWT_SECRET, the original signed with a public one.
func TestJWTSecretMatrix(t *testing.T) {
	databases := map[string][]string{"embedded": nil, "mongo": {"MONGO_URI", "mongodb://h"}}
	cubes := map[string][]string{"sandbox": nil, "connectycube": {"APP_ID", "7", "AUTH_KEY", "key"}}
	secrets := []struct {
		name, value string
		strong      bool
	}{
		{"missing", "", false},
		{"short", strongSecret[:31], false},
		{"strong", strongSecret, true},
		{"original's fallback", "default_value", false},
		{"original's other fallback", "defaultSecret", false},
		{"template's", "your_jwt_secret", false},
		{"padded placeholder", "your_jwt_secret_your_jwt_secret_your_jwt_secret", false},
		{"changeme", strings.Repeat("changeme", 8), false},
		{"one letter", strings.Repeat("a", 64), false},
	}
	for database, mongo := range databases {
		for cube, app := range cubes {
			for _, secret := range secrets {
				t.Run(database+"/"+cube+"/"+secret.name, func(t *testing.T) {
					env := append(append([]string{"JWT_SECRET", secret.value}, mongo...), app...)
					c, err := Load(configYAML, from(env...), t.TempDir())
					if secret.strong || secret.value == "" && database == "embedded" && cube == "sandbox" {
						if err != nil || c.JWT.Secret.Reveal() != secret.value {
							t.Errorf("secret kept: %t, error %v", c.JWT.Secret.Reveal() == secret.value, err)
						}
						return
					}
					wantInError(t, err, "1 problem", "jwt.secret (JWT_SECRET", "openssl rand")
				})
			}
		}
	}
}

// inDir returns a Config without a secret, whose data_dir does not exist yet.
func inDir(t *testing.T) (*Config, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	c, err := Load(configYAML, from("DATA_DIR", dir), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &c, filepath.Join(dir, "jwt_secret")
}

func TestSecretIsCreatedOnce(t *testing.T) {
	c, path := inDir(t)
	if err := c.EnsureSecret(true); err != nil {
		t.Fatal(err)
	}
	if err := tokens.CheckSecret(c.JWT.Secret); err != nil {
		t.Error(err)
	}
	first := c.JWT.Secret
	c.JWT.Secret = ""
	if err := c.EnsureSecret(true); err != nil || c.JWT.Secret != first {
		t.Errorf("after a restart: same secret %t, error %v", c.JWT.Secret == first, err)
	}
	if runtime.GOOS != "windows" {
		for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700 | os.ModeDir} {
			if info, err := os.Stat(name); err != nil || info.Mode() != want {
				t.Errorf("mode of %s = %v, want %v; error %v", filepath.Base(name), info.Mode(), want, err)
			}
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("data_dir holds %v, want the secret alone; error %v", entries, err)
	}
}

func TestConcurrentStartsGetOneSecret(t *testing.T) {
	for range 20 {
		base, path := inDir(t)
		const starts = 8
		var secrets [starts]tokens.Secret
		var errs [starts]error
		var wg sync.WaitGroup
		for i := range starts {
			wg.Go(func() {
				c := *base
				errs[i] = c.EnsureSecret(true)
				secrets[i] = c.JWT.Secret
			})
		}
		wg.Wait()
		for i := range starts {
			if errs[i] != nil || secrets[i].IsZero() || secrets[i] != secrets[0] {
				t.Fatalf("start %d: agrees %t, error %v", i, secrets[i] == secrets[0], errs[i])
			}
		}
		if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
			t.Fatalf("data_dir holds %v, want the secret alone; error %v", entries, err)
		}
	}
}

func TestDamagedSecretIsRefused(t *testing.T) {
	tests := []struct {
		name string
		harm func(path string) error
		want string
	}{
		{"empty", func(path string) error { return os.Truncate(path, 0) }, "damaged"},
		{"cut short", func(path string) error { return os.Truncate(path, 40) }, "damaged"},
		{"overwritten", func(path string) error {
			return os.WriteFile(path, []byte(strings.Repeat(marker, 1000)), 0o600)
		}, "damaged"},
		{"zeroed", func(path string) error { return os.WriteFile(path, make([]byte, 65), 0o600) }, "damaged"},
		{"readable by the group", func(path string) error { return os.Chmod(path, 0o640) }, "readable by other users"},
		{"readable by the world", func(path string) error { return os.Chmod(path, 0o604) }, "readable by other users"},
		{"a link", func(path string) error {
			return errors.Join(os.Rename(path, path+"2"), os.Symlink(path+"2", path))
		}, "not a regular file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.HasPrefix(tt.name, "readable") {
				t.Skip("Windows has no such bits")
			}
			c, path := inDir(t)
			if err := c.EnsureSecret(true); err != nil {
				t.Fatal(err)
			}
			if err := tt.harm(path); err != nil {
				t.Fatal(err)
			}
			c.JWT.Secret = ""
			err := c.EnsureSecret(true)
			wantInError(t, err, tt.want, "data_dir", "JWT_SECRET")
			if strings.Contains(err.Error(), marker) || c.JWT.Secret != "" {
				t.Errorf("shown or used: %v", err)
			}
		})
	}
}

func TestNoNeedlessSecretIsCreated(t *testing.T) {
	c, path := inDir(t)
	c.ConnectyCube.AppID = 7
	wantInError(t, c.EnsureSecret(true), "jwt.secret (JWT_SECRET) must be set")
	c.ConnectyCube.AppID, c.JWT.Secret = 0, strongSecret
	if err := c.EnsureSecret(true); err != nil || c.JWT.Secret != strongSecret {
		t.Errorf("a secret that is set was replaced; error %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a secret was created needlessly")
	}
	c.JWT.Secret, c.DataDir = "", write(t, t.TempDir(), "file", "")
	wantInError(t, c.EnsureSecret(true), "data_dir", "JWT_SECRET")
}
