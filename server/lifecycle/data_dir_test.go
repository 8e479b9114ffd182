package lifecycle

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cubegate/server"
	"cubegate/server/config"
	"cubegate/server/servertest"
)

// usedFolder is the data of a program that ran, has a user, and was stopped.
func usedFolder(t *testing.T) (folder string) {
	t.Helper()
	cfg := servertest.Configure(t, nil)
	r, stop := servertest.StartUntil(t, cfg)
	r.Register(t, "ada@example.org")
	stop()
	return cfg.DataDir
}

// ranCommand runs a command with the data in a folder.
func ranCommand(t *testing.T, folder string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	env := servertest.Merge(servertest.QuickSettings, map[string]string{"DATA_DIR": folder})
	var out, log servertest.LogBuffer
	code = server.Main(t.Context(), servertest.ConfigYAML, args, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, &out, &log)
	return code, out.String(), log.String()
}

// Half of the data is no reason to make the other half anew: the program refuses to start,
// says why and what to do, and leaves the files as they are.
func TestHalfOfTheDataIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		harm func(database, secret string) error
		want []string
	}{
		{"empty database", func(database, _ string) error { return os.Truncate(database, 0) }, []string{"cubegate.db is empty", "restore", "delete"}},
		{"no database", func(database, _ string) error { return os.Remove(database) }, []string{"cubegate.db is missing", "restore", "delete"}},
		{"database cut short", func(database, _ string) error { return os.Truncate(database, 16<<10) }, []string{"cubegate.db", "truncated", "restore"}},
		{"a folder as database", func(database, _ string) error {
			return errors.Join(os.Remove(database), os.Mkdir(database, 0o700))
		}, []string{"cubegate.db", "not a regular file"}},
		{"another file as database", func(database, secret string) error {
			return os.WriteFile(database, bytes.Repeat([]byte("no database "), 5000), 0o600)
		}, []string{"cubegate.db", "first pages are invalid", "restore"}},
		{"no secret", func(_, secret string) error { return os.Remove(secret) }, []string{"jwt_secret is missing", "restore", "JWT_SECRET"}},
		{"empty secret", func(_, secret string) error { return os.Truncate(secret, 0) }, []string{"jwt_secret is damaged", "restore", "JWT_SECRET"}},
		{"a folder as secret", func(_, secret string) error {
			return errors.Join(os.Remove(secret), os.Mkdir(secret, 0o700))
		}, []string{"jwt_secret is not a regular file"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			folder := usedFolder(t)
			if err := tt.harm(filepath.Join(folder, "cubegate.db"), filepath.Join(folder, "jwt_secret")); err != nil {
				t.Fatal(err)
			}
			before := sizes(t, folder)
			code, _, said := ranCommand(t, folder)
			for _, want := range tt.want {
				if code != 1 || !strings.Contains(said, want) {
					t.Errorf("exit %d, %s; want %q", code, said, want)
				}
			}
			if after := sizes(t, folder); !slices.Equal(before, after) {
				t.Errorf("the folder has %v, want %v as before", after, before)
			}
		})
	}
}

// sizes lists the files in a folder.
func sizes(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		if info, err := e.Info(); err == nil && !strings.HasPrefix(e.Name(), "sandbox") {
			list = append(list, e.Name()+" "+info.Mode().String()+" "+info.ModTime().String())
		}
	}
	return list
}

// A first start that was cut off leaves a database without users, or an empty file, and no
// secret. The next one goes on from there.
func TestAFirstStartThatWasCutOffIsNoHalf(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(cfg config.Config) error{
		"an empty file": func(cfg config.Config) error { return write0(filepath.Join(cfg.DataDir, "cubegate.db")) },
		"a database without users": func(cfg config.Config) error {
			_, stop := servertest.StartUntil(t, cfg)
			stop()
			return os.Remove(cfg.SecretFile())
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := servertest.Configure(t, nil)
			if err := harm(cfg); err != nil {
				t.Fatal(err)
			}
			r, stop := servertest.StartUntil(t, cfg)
			defer stop()
			r.Register(t, "ada@example.org")
		})
	}
}

func write0(path string) error { return os.WriteFile(path, nil, 0o600) }

// A secret of one's own replaces the one that is lost.
func TestASecretThatIsSetReplacesALostOne(t *testing.T) {
	t.Parallel()
	folder := usedFolder(t)
	if err := os.Remove(filepath.Join(folder, "jwt_secret")); err != nil {
		t.Fatal(err)
	}
	r := servertest.Start(t, map[string]string{"DATA_DIR": folder, "JWT_SECRET": servertest.JWTSecret})
	r.Login(t, servertest.LoginDocument, "ada@example.org")
}

func TestCheckCommand(t *testing.T) {
	t.Parallel()
	folder := usedFolder(t)
	if code, out, log := ranCommand(t, folder, "check"); code != 0 || strings.Count(out, "\n") != 1 || !strings.Contains(out, "in order") || log != "" {
		t.Errorf("a good file: exit %d, %q, %q", code, out, log)
	}
	r, stop := servertest.StartUntil(t, servertest.Configure(t, map[string]string{"DATA_DIR": folder}))
	if code, out, log := ranCommand(t, folder, "check"); code != 1 || out != "" || strings.Count(log, "\n") != 1 || !strings.Contains(log, "in use by another process") {
		t.Errorf("beside a running server: exit %d, %q, %q", code, out, log)
	}
	r.Login(t, servertest.LoginDocument, "ada@example.org")
	stop()

	file := filepath.Join(folder, "cubegate.db")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	for at := 2 * page; at+page <= len(raw); at += page {
		raw[at+8] ^= 0x40 // the type of every page
	}
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, log := ranCommand(t, folder, "check"); code != 1 || !strings.HasPrefix(out, "page ") || !strings.Contains(log, "cubegate.db is damaged") {
		t.Errorf("a damaged file: exit %d, %q, %q", code, out, log)
	}
	if code, _, log := ranCommand(t, folder); code != 1 || !strings.Contains(log, "cubegate check") || strings.Contains(log, "goroutine ") {
		t.Errorf("starting on a damaged file: exit %d, %q", code, log)
	}
	if code, out, log := ranCommand(t, t.TempDir(), "check"); code != 1 || out != "" || !strings.Contains(log, "no such file") {
		t.Errorf("no file: exit %d, %q, %q", code, out, log)
	}
}
