package lifecycle

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cubegate/server/config"
	"cubegate/server/servertest"
	"cubegate/store/embedded"
)

// newUsedFolder returns the data folder of a stopped server with one user.
func newUsedFolder(t *testing.T) (folder string) {
	t.Helper()
	cfg := servertest.Configure(t, nil)
	r, stop := servertest.StartUntil(t, cfg)
	r.Register(t, "ada@example.org")
	stop()
	return cfg.DataDir
}

// runOn runs a command on a data folder.
func runOn(t *testing.T, folder string, args ...string) servertest.Outcome {
	t.Helper()
	return servertest.Run(t.Context(), servertest.Merge(servertest.QuickSettings, map[string]string{"DATA_DIR": folder}), args...)
}

// If a part of the data is missing, the server does not create it anew: it refuses to
// start, says why and what to do, and leaves the files unchanged.
func TestIncompleteDataIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		harm func(database, secret string) error
		want []string
	}{
		{"an empty database", func(database, _ string) error { return os.Truncate(database, 0) }, []string{"cubegate.db is empty", "restore", "delete"}},
		{"no database", func(database, _ string) error { return os.Remove(database) }, []string{"cubegate.db is missing", "restore", "delete"}},
		{"a truncated database", func(database, _ string) error { return os.Truncate(database, 16<<10) }, []string{"cubegate.db", "truncated", "restore"}},
		{"a folder as database", func(database, _ string) error {
			return errors.Join(os.Remove(database), os.Mkdir(database, 0o700))
		}, []string{"cubegate.db", "not a regular file"}},
		{"another file as database", func(database, secret string) error {
			return os.WriteFile(database, bytes.Repeat([]byte("no database "), 5000), 0o600)
		}, []string{"cubegate.db", "first pages are invalid", "restore"}},
		{"no secret", func(_, secret string) error { return os.Remove(secret) }, []string{"jwt_secret is missing", "restore", "JWT_SECRET"}},
		{"an empty secret", func(_, secret string) error { return os.Truncate(secret, 0) }, []string{"jwt_secret is damaged", "restore", "JWT_SECRET"}},
		{"a folder as secret", func(_, secret string) error {
			return errors.Join(os.Remove(secret), os.Mkdir(secret, 0o700))
		}, []string{"jwt_secret is not a regular file"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			folder := newUsedFolder(t)
			if err := tt.harm(filepath.Join(folder, "cubegate.db"), filepath.Join(folder, "jwt_secret")); err != nil {
				t.Fatal(err)
			}
			before := listFiles(t, folder)
			got := runOn(t, folder)
			for _, want := range tt.want {
				if got.Code != 1 || !strings.Contains(got.Stderr, want) {
					t.Errorf("exit %d, %s; want %q", got.Code, got.Stderr, want)
				}
			}
			if after := listFiles(t, folder); !slices.Equal(before, after) {
				t.Errorf("the folder has %v, want %v as before", after, before)
			}
		})
	}
}

// listFiles describes the files in a data folder, except those of the sandbox.
func listFiles(t *testing.T, folder string) []string {
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

// An interrupted first start leaves an empty file or a database without users, and no
// secret. The next start succeeds.
func TestInterruptedFirstStartIsRepeated(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(cfg config.Config) error{
		"an empty file": func(cfg config.Config) error {
			return os.WriteFile(filepath.Join(cfg.DataDir, "cubegate.db"), nil, 0o600)
		},
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

// A configured secret replaces a lost one.
func TestConfiguredSecretReplacesLostOne(t *testing.T) {
	t.Parallel()
	folder := newUsedFolder(t)
	if err := os.Remove(filepath.Join(folder, "jwt_secret")); err != nil {
		t.Fatal(err)
	}
	r := servertest.Start(t, map[string]string{"DATA_DIR": folder, "JWT_SECRET": servertest.JWTSecret})
	r.Login(t, servertest.LoginDocument, "ada@example.org")
}

func TestCheckCommand(t *testing.T) {
	t.Parallel()
	folder := newUsedFolder(t)
	if got := runOn(t, folder, "check"); got.Code != 0 || strings.Count(got.Stdout, "\n") != 1 || !strings.Contains(got.Stdout, "in order") || got.Stderr != "" {
		t.Errorf("an intact file: %+v", got)
	}
	insertIntoFile(t, folder, map[string]any{"_id": "odd", "email": "odd@example.org", "firstName": 5})
	if got := runOn(t, folder, "check"); got.Code != 1 || got.Stdout != "users: document with _id \"odd\": field _id is of type string, want objectID\n" || !strings.Contains(got.Stderr, "malformed documents: 1; the server skips them, so correct") {
		t.Errorf("a malformed document: %+v", got)
	}
	if got := runOn(t, folder, "passwords"); got.Code != 0 {
		t.Errorf("passwords with a malformed document: %+v", got)
	}
	r, stop := servertest.StartUntil(t, servertest.Configure(t, map[string]string{"DATA_DIR": folder}))
	if got := runOn(t, folder, "check"); got.Code != 1 || strings.Count(got.Stdout, "\n") != 2 || !strings.Contains(got.Stdout, "A server runs") || !strings.Contains(got.Stderr, "malformed documents: 1") {
		t.Errorf("beside a running server: %+v", got)
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
		raw[at+8] ^= 0x40 // damages the type of each page
	}
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := runOn(t, folder, "check"); got.Code != 1 || !strings.HasPrefix(got.Stdout, "page ") || !strings.Contains(got.Stderr, "cubegate.db is damaged") {
		t.Errorf("a damaged file: %+v", got)
	}
	if got := runOn(t, folder); got.Code != 1 || !strings.Contains(got.Stderr, "cubegate check") || strings.Contains(got.Stderr, "goroutine ") {
		t.Errorf("starting on a damaged file: %+v", got)
	}
	if got := runOn(t, t.TempDir(), "check"); got.Code != 1 || got.Stdout != "" || !strings.Contains(got.Stderr, "no such file") {
		t.Errorf("no file: %+v", got)
	}
}

// insertIntoFile adds documents to the users in the file of a stopped server.
func insertIntoFile(t *testing.T, folder string, documents ...map[string]any) {
	t.Helper()
	db, err := embedded.Start(embedded.Options{File: filepath.Join(folder, "cubegate.db"), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	servertest.InsertUsers(t, db, documents...)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestCheckCommandOnMongoDB checks that check reads a MongoDB while other programs use it.
func TestCheckCommandOnMongoDB(t *testing.T) {
	t.Parallel()
	db := servertest.StartDatabase(t)
	ada := servertest.OriginalUser(t, "ada@example.org", "correct horse")
	ada["connectyCubeId"] = "51941"
	servertest.InsertUsers(t, db, ada, servertest.OriginalUser(t, "bob@example.org", "correct horse"))
	got := servertest.Run(t.Context(), servertest.Merge(servertest.QuickSettings, map[string]string{"MONGO_URI": db.URI(), "JWT_SECRET": servertest.JWTSecret}), "check")
	if got.Code != 1 || strings.Count(got.Stdout, "\n") != 1 || !strings.HasPrefix(got.Stdout, "users: document with _id {") ||
		!strings.Contains(got.Stdout, "field connectyCubeId is of type string, want 32-bit integer") || !strings.Contains(got.Stderr, "malformed documents: 1; the server skips them, so correct") {
		t.Errorf("%+v", got)
	}
}
