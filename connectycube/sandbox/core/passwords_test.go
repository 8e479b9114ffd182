package core

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/argon2id"
)

// openKept opens an application that keeps its state in file.
func openKept(t *testing.T, file string) *Application {
	t.Helper()
	s := New(Options{AppID: 1001})
	if err := s.Keep(file); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func closeKept(t *testing.T, s *Application) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// logIn logs in with a password.
func logIn(s *Application, login, password string) error {
	who := Params{"login": login, "password": password}
	if err := s.Recall(context.Background(), func() *User { return s.Registry.FindNamed(who) }, password); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Registry.Sweep(s.Now())
	_, err := s.UserByPassword(who, s.Now())
	return err
}

func seedUsers(t *testing.T, s *Application, logins ...string) {
	t.Helper()
	var seed Seed
	for _, login := range logins {
		seed.Users = append(seed.Users, SeedUser{Login: login, Password: "password of " + login})
	}
	if _, err := s.Seed(seed); err != nil {
		t.Fatal(err)
	}
}

// readKept returns the users of a data file by login.
func readKept(t *testing.T, file string) (version int, users map[string]savedUser, raw []byte) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var state savedState
	if err := json.Unmarshal(raw, &state); err != nil {
		t.Fatal(err)
	}
	users = map[string]savedUser{}
	for _, u := range state.Users {
		users[u.Login] = u
	}
	return state.Version, users, raw
}

// hasFast reports whether the file has a digest that can be guessed quickly: any
// base64 text of 32 bytes that is the SHA-256 of salt and password in some order.
func hasFast(raw []byte, u savedUser, password string) bool {
	for _, plain := range []string{password, string(u.Salt) + password, password + string(u.Salt)} {
		sum := sha256.Sum256([]byte(plain))
		if bytes.Contains(raw, []byte(base64.StdEncoding.EncodeToString(sum[:]))) {
			return true
		}
	}
	return false
}

func TestDataFileHasArgon2idOfPasswordsOnly(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sandbox.json")
	s := openKept(t, file)
	seedUsers(t, s, "ann")
	if err := logIn(s, "bob", "password of bob"); err != nil { // an unknown login creates a user
		t.Fatal(err)
	}
	closeKept(t, s)
	_, users, raw := readKept(t, file)
	for _, login := range []string{"ann", "bob"} {
		u := users[login]
		if !strings.HasPrefix(u.Password, "$argon2id$v=19$m=19456,t=2,p=1$") || len(u.Hash) > 0 || hasFast(raw, u, "password of "+login) {
			t.Errorf("%s is kept as %q, %x", login, u.Password, u.Hash)
		}
	}
	s = openKept(t, file)
	for _, login := range []string{"ann", "bob"} {
		if err := logIn(s, login, "password of bob!"); !errors.Is(err, errWrongPassword) {
			t.Errorf("a wrong password of %s: %v", login, err)
		}
		if err := logIn(s, login, "password of "+login); err != nil {
			t.Errorf("the password of %s: %v", login, err)
		}
	}
}

// oldFile writes a data file of version 1.
func oldFile(t *testing.T, logins ...string) (file string, before []byte) {
	t.Helper()
	var users []string
	for i, login := range logins {
		salt := bytes.Repeat([]byte{byte(i + 1)}, 16)
		sum := sha256.Sum256(append(bytes.Clone(salt), "password of "+login...))
		users = append(users, fmt.Sprintf(`{"id":%d,"oid":"o","login":%q,"salt":%q,"hash":%q,"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z"}`,
			i+1, login, base64.StdEncoding.EncodeToString(salt), base64.StdEncoding.EncodeToString(sum[:])))
	}
	none := base64.StdEncoding.EncodeToString(make([]byte, 32))
	users = append(users, fmt.Sprintf(`{"id":%d,"oid":"o","login":"guest_login_1","guest":true,"salt":"AAAAAAAAAAAAAAAAAAAAAA==","hash":%q,"created_at":%q,"updated_at":"2026-01-01T00:00:00Z"}`,
		len(logins)+1, none, time.Now().Format(time.RFC3339)))
	before = []byte(`{"version":1,"app_id":1001,"saved_at":"2026-01-01T00:00:00Z","clock_ahead_ns":0,"last_user_id":1,"last_id":1,` +
		`"users":[` + strings.Join(users, ",") + `],"sessions":[],"dialogs":[],"messages":[]}`)
	file = filepath.Join(t.TempDir(), "sandbox.json")
	if err := os.WriteFile(file, before, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, before
}

// A file of an earlier version is rewritten without a login.
func TestOldDataFileGetsArgon2idAtOnce(t *testing.T) {
	t.Parallel()
	file, before := oldFile(t, "ann", "bob")
	s := openKept(t, file)
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) { // the test reads the file like another process
		if now, err := os.ReadFile(file); err == nil && !bytes.Equal(now, before) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the file was not rewritten")
		}
	}
	version, users, raw := readKept(t, file)
	if version != savedVersion {
		t.Errorf("version %d", version)
	}
	for _, login := range []string{"ann", "bob"} {
		if u := users[login]; !strings.HasPrefix(u.Password, "$argon2id$") || hasFast(raw, u, "password of "+login) {
			t.Errorf("%s is kept as %q, %x", login, u.Password, u.Hash)
		}
	}
	if u := users["guest_login_1"]; u.Password != "" || len(u.Salt) > 0 {
		t.Errorf("a guest got the password %q", u.Password)
	}
	for range 2 { // before and after a restart
		if err := logIn(s, "ann", "password of ann"); err != nil {
			t.Error(err)
		}
		if err := logIn(s, "ann", "password of bob"); !errors.Is(err, errWrongPassword) {
			t.Errorf("the password of another user: %v", err)
		}
		for _, password := range []string{"\x00", string(make([]byte, 32))} {
			if err := logIn(s, "guest_login_1", password); err == nil {
				t.Errorf("a guest logs in with %q", password)
			}
		}
		closeKept(t, s)
		s = openKept(t, file)
	}
}

// counted counts the argon2id computations of a sandbox that is not in use yet.
func counted(s *Application) (hashes, compares *atomic.Int64) {
	hashes, compares = &atomic.Int64{}, &atomic.Int64{}
	s.Passwords.hash = func(password string, p *argon2id.Params) (string, error) {
		hashes.Add(1)
		return argon2id.CreateHash(password, p)
	}
	s.Passwords.compare = func(password, hash string) (bool, *argon2id.Params, error) {
		compares.Add(1)
		return argon2id.CheckHash(password, hash)
	}
	return hashes, compares
}

func TestFirstRightLoginAlonePaysForArgon2id(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sandbox.json")
	s := openKept(t, file)
	seedUsers(t, s, "ann", "bob", "cid")
	closeKept(t, s)

	s = openKept(t, file)
	hashes, compares := counted(s)
	chat := Accounts{s}
	ann := s.Registry.ByLogin["ann"].ID
	for range 3 {
		if !chat.Login(ann, "password of ann") {
			t.Error("the chat refuses ann")
		}
		if err := logIn(s, "ann", "password of ann"); err != nil {
			t.Error(err)
		}
		if err := logIn(s, "ann", "password of bob"); !errors.Is(err, errWrongPassword) || chat.Login(ann, "password of bob") {
			t.Errorf("a wrong password: %v", err)
		}
	}
	if n := compares.Load(); n != 1 {
		t.Errorf("%d comparisons for logins of one user, want 1", n)
	}
	_ = logIn(s, "bob", "wrong")
	_ = logIn(s, "bob", "wrong")
	if n := compares.Load(); n != 3 {
		t.Errorf("%d comparisons, want one for each wrong password of a user before the first login", n)
	}
	if _, err := s.written(); err != nil || hashes.Load() != 0 {
		t.Errorf("%d hashes of passwords that have one, %v", hashes.Load(), err)
	}
}

// A sign-up computes no argon2id during the request, and none at all without a data
// file.
func TestSignUpPaysNoArgon2id(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	hashes, compares := counted(s)
	for range 2 {
		if err := logIn(s, "ann", "password of ann"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.written(); err != nil || hashes.Load()+compares.Load() != 0 {
		t.Errorf("%d hashes, %d comparisons, %v", hashes.Load(), compares.Load(), err)
	}
	if s.Registry.ByLogin["ann"].Credential.pending != nil {
		t.Error("a digest waits for a hash without a data file")
	}
}

// written returns the state that would be written.
func (s *Application) written() (*savedState, error) {
	state, _, err := s.snapshot()
	saved, _ := state.(*savedState)
	return saved, err
}

// Thousands of new users are in the file after one save, and have full cost after a few.
func TestManyNewPasswordsDoNotHoldUpTheFile(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	s.Passwords.kept = true
	costs := map[*argon2id.Params]int{}
	s.Passwords.hash = func(password string, p *argon2id.Params) (string, error) {
		costs[p]++
		return fmt.Sprintf("$argon2id$%d$%x", p.Memory, password), nil
	}
	var logins []string
	for i := range 3*hashesPerSave - 1 {
		logins = append(logins, fmt.Sprintf("user%d", i))
	}
	seedUsers(t, s, logins...)
	for save := 1; save <= 4; save++ {
		state, again, err := s.snapshot()
		if err != nil {
			t.Fatal(err)
		}
		strong := 0
		for _, u := range state.(*savedState).Users {
			if u.Password == "" || len(u.Salt) == 0 {
				t.Fatalf("save %d: %s has no password", save, u.Login)
			}
			if strings.HasPrefix(u.Password, fmt.Sprintf("$argon2id$%d$", fullCost.Memory)) {
				strong++
			}
		}
		if want := min(save*hashesPerSave, len(logins)); strong != want || again != (want < len(logins)) {
			t.Errorf("save %d: %d at full cost, again %t, want %d of %d", save, strong, again, want, len(logins))
		}
	}
	if costs[fullCost] != len(logins) || costs[quickCost] != len(logins)-hashesPerSave {
		t.Errorf("%d hashes at full cost, %d quick ones, for %d users", costs[fullCost], costs[quickCost], len(logins))
	}
}

func TestQuickHashIsReplacedAfterALogin(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sandbox.json")
	s := openKept(t, file)
	seedUsers(t, s, "ann")
	u := s.Registry.ByLogin["ann"]
	quick, err := argon2id.CreateHash(string(u.Credential.digestOf("password of ann")[:]), quickCost)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	u.Credential.hash, u.Credential.pending = quick, nil
	s.mu.Unlock()
	closeKept(t, s)
	if _, users, _ := readKept(t, file); users["ann"].Password != quick {
		t.Fatalf("the file has %q", users["ann"].Password)
	}
	s = openKept(t, file)
	if err := logIn(s, "ann", "password of ann"); err != nil {
		t.Fatal(err)
	}
	closeKept(t, s)
	if _, users, _ := readKept(t, file); !strings.HasPrefix(users["ann"].Password, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the file has %q", users["ann"].Password)
	}
}

// A password that changes while its hash is computed does not get that hash.
func TestPasswordChangesWhileItIsHashed(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	s.Passwords.kept = true
	seedUsers(t, s, "ann")
	u := s.Registry.ByLogin["ann"]
	saved := s.save()
	u.Credential = s.Passwords.CredentialOf("another one")
	if _, err := s.harden(saved); err != nil {
		t.Fatal(err)
	}
	if u.Credential.hash != "" || u.Credential.pending == nil {
		t.Errorf("the new password has the hash %q", u.Credential.hash)
	}
	saved, err := s.written()
	if err != nil {
		t.Fatal(err)
	}
	d := u.Credential.digestOf("another one")
	if right, _, err := argon2id.CheckHash(string(d[:]), saved.Users[0].Password); !right {
		t.Errorf("the new password was not saved: %v", err)
	}
}

// unseen returns a sandbox whose only user's password this process has not seen.
func unseen(t *testing.T) *Application {
	t.Helper()
	s := New(Options{})
	s.Passwords.kept = true
	seedUsers(t, s, "ann")
	if _, err := s.written(); err != nil {
		t.Fatal(err)
	}
	s.Registry.ByLogin["ann"].Credential.isKnown = false
	return s
}

// The number of comparisons is bounded, and the sandbox answers other requests during
// them.
func TestComparisonsAreBoundedAndHoldNoLock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := unseen(t)
		var running, most, refused atomic.Int64
		release := make(chan struct{})
		s.Passwords.compare = func(string, string) (bool, *argon2id.Params, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			<-release
			return true, fullCost, nil
		}
		var all sync.WaitGroup
		for range maxHashQueue + 7 {
			all.Go(func() {
				if err := logIn(s, "ann", "password of ann"); errors.Is(err, errTooBusy) {
					refused.Add(1)
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if running.Load() != hashesAtOnce || refused.Load() != 7 {
			t.Errorf("%d comparisons at once, want %d; %d refused, want 7", running.Load(), hashesAtOnce, refused.Load())
		}
		if _, err := s.Seed(Seed{Users: []SeedUser{{Login: "bob", Password: "12345678"}}}); err != nil { // needs the lock
			t.Error(err)
		}
		time.Sleep(maxHashWait + time.Second) // of the fake clock: the waiting callers give up
		synctest.Wait()
		if n := refused.Load(); n != maxHashQueue+7-hashesAtOnce {
			t.Errorf("%d were refused after the longest wait", n)
		}
		close(release)
		all.Wait()
		if most.Load() > hashesAtOnce || s.Passwords.queue.Load() != 0 {
			t.Errorf("%d comparisons at once, %d counted afterwards", most.Load(), s.Passwords.queue.Load())
		}
	})
}
