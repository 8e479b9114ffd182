package security

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"cubegate/server/servertest"
)

// filesIn returns the contents of all files in a folder, by their paths.
func filesIn(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(name)
		files[filepath.ToSlash(name[len(folder)+1:])] = raw
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A copy of DATA_DIR contains no password, no token and no session of ConnectyCube in
// plain text, and no secret, if JWT_SECRET is set and ConnectyCube is real. SECURITY.md
// says what such a copy allows nevertheless.
func TestCopyOfDataDirHasNoCredential(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"shared", "derived"} {
		t.Run(password, func(t *testing.T) {
			t.Parallel()
			u := servertest.NewUpstream(t)
			cfg := servertest.Configure(t, servertest.Merge(u.Settings(), map[string]string{"CONNECTYCUBE_PASSWORD": password, "CONNECTYCUBE_ADMIN_KEY": "sandbox-api-key"}))
			r, stop := servertest.StartUntil(t, cfg)
			defer stop()
			u.SetCallback(t, r.URL)
			r.Register(t, "ada@example.org")
			in := r.Login(t, servertest.LoginDocument, "ada@example.org")
			refreshed := r.Refresh(t, in.RefreshToken)
			stop()
			credentials := map[string]string{
				"password": "correct horse", "access token": in.Token, "refresh token": in.RefreshToken, "next refresh token": refreshed, "chat ticket": in.ChatTicket,
				"ConnectyCube session": in.ConnectySession, "secret": servertest.JWTSecret, "callback secret": servertest.OwnCallbackSecret,
				"key at ConnectyCube": servertest.OwnAuthKey, "administration key": "sandbox-api-key",
			}
			files := filesIn(t, cfg.DataDir)
			if !bytes.Contains(files["cubegate.db"], []byte("ada@example.org")) || !bytes.Contains(files["cubegate.db"], []byte("$argon2id$")) {
				t.Fatal("the database lacks the user, so the test proves nothing")
			}
			for name, raw := range files {
				for kind, value := range credentials {
					if value == "" || bytes.Contains(raw, []byte(value)) {
						t.Errorf("%s contains the %s %q", name, kind, value)
					}
				}
			}
		})
	}
}

// While the stand-ins run, DATA_DIR also contains the secret that signs tokens, so only the
// account of the server may read it. It contains no credential in plain text either.
func TestDataDirIsClosedToOtherAccounts(t *testing.T) {
	t.Parallel()
	cfg := servertest.Configure(t, map[string]string{"DATA_DIR": filepath.Join(t.TempDir(), "data")})
	r, stop := servertest.StartUntil(t, cfg)
	defer stop()
	r.Register(t, "ada@example.org")
	in := r.Login(t, servertest.LoginDocument, "ada@example.org")
	stop()
	files := filesIn(t, cfg.DataDir)
	for kind, value := range map[string]string{"password": "correct horse", "access token": in.Token, "refresh token": in.RefreshToken, "chat ticket": in.ChatTicket, "ConnectyCube session": in.ConnectySession} {
		for name, raw := range files {
			if bytes.Contains(raw, []byte(value)) {
				t.Errorf("%s contains the %s", name, kind)
			}
		}
	}
	for _, name := range []string{"cubegate.db", "jwt_secret", "sandbox.json"} {
		if files[name] == nil {
			t.Errorf("DATA_DIR lacks %s; it has %d files", name, len(files))
		}
	}
	names := []string{"."}
	for name := range files {
		names = append(names, name)
	}
	for _, name := range names {
		info, err := os.Stat(filepath.Join(cfg.DataDir, name))
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v, %v; want none for the group and others", name, info.Mode().Perm(), err)
		}
	}
}
