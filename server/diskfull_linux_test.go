package server

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"cubegate/store"
	"cubegate/store/embedded"
)

// limitFiles makes every write of the process beyond that many bytes into a file fail, as
// on a full disk, or lets it write again.
func (p *process) limitFiles(t *testing.T, bytes uint64) {
	t.Helper()
	var limit syscall.Rlimit
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(p.cmd.Process.Pid), syscall.RLIMIT_FSIZE, 0, uintptr(unsafe.Pointer(&limit)), 0, 0)
	if errno == 0 {
		limit.Cur = min(bytes, limit.Max)
		_, _, errno = syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(p.cmd.Process.Pid), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	}
	if errno != 0 {
		t.Fatalf("limiting the size of files: %v", errno)
	}
}

const anyFileSize = ^uint64(0)

// A full disk makes the service unavailable, and nothing worse: what it acknowledged
// stays, what only reads is answered, and it comes back by itself.
func TestFullDiskPassesWithoutALoss(t *testing.T) {
	t.Parallel()
	settings := map[string]string{"DATA_DIR": t.TempDir()}
	p := spawn(t, settings).ready(t)
	user := p.register(t, "ada@example.org")
	eventually(t, "the sandbox's state is on the disk", func() bool {
		raw, err := os.ReadFile(filepath.Join(settings["DATA_DIR"], "sandbox.json"))
		return err == nil && bytes.Contains(raw, []byte("ada@example.org"))
	})
	state, err := os.ReadFile(filepath.Join(settings["DATA_DIR"], "sandbox.json"))
	if err != nil {
		t.Fatal(err)
	}

	p.limitFiles(t, 0)
	for range 3 {
		if got := p.graphql(t, registerDocument, ada("bob@example.org")); got.code() != "SERVICE_UNAVAILABLE" {
			t.Errorf("register on a full disk: %s", got.text)
		}
	}
	if got := p.request(t, http.MethodPost, "/auth/login", `{"email":"ada@example.org","password":"correct horse"}`); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "SERVICE_UNAVAILABLE") {
		t.Errorf("login on a full disk: %d %s", got.status, got.body)
	}
	if got := p.graphql(t, loginDocument, map[string]string{"email": "ada@example.org", "password": "wrong horse"}); got.code() != "UNAUTHENTICATED" {
		t.Errorf("a wrong password on a full disk: %s", got.text)
	}
	for path, want := range map[string]int{"/readyz": http.StatusServiceUnavailable, "/healthz": http.StatusOK} {
		if got := p.request(t, http.MethodGet, path, ""); got.status != want {
			t.Errorf("%s on a full disk: %d %s, want %d", path, got.status, got.body, want)
		}
	}
	if got := p.request(t, http.MethodPost, p.box+"/_sandbox/seed", `{}`); got.status/100 != 2 {
		t.Errorf("seeding the sandbox: %d %s", got.status, got.body)
	}
	eventually(t, "the sandbox says that it cannot save", func() bool { return strings.Contains(p.log.String(), "state of the sandbox not written") })
	if now, err := os.ReadFile(filepath.Join(settings["DATA_DIR"], "sandbox.json")); err != nil || !bytes.Equal(now, state) {
		t.Errorf("the sandbox's file changed on a full disk: %d bytes, %v; want the %d from before", len(now), err, len(state))
	}

	p.limitFiles(t, anyFileSize)
	eventually(t, "the program is ready again", func() bool { return p.request(t, http.MethodGet, "/readyz", "").status == http.StatusOK })
	p.register(t, "bob@example.org")
	eventually(t, "the sandbox has saved", func() bool {
		now, err := os.ReadFile(filepath.Join(settings["DATA_DIR"], "sandbox.json"))
		return err == nil && bytes.Contains(now, []byte("bob@example.org"))
	})
	p.signal(t, syscall.SIGTERM)
	if status := p.exit(t); status != 0 {
		t.Errorf("stopped with status %d", status)
	}
	if refused := refusalsOf(t, settings["DATA_DIR"], user.ID); refused == 0 {
		t.Error("the wrong password on the full disk is not on record")
	}

	p = spawn(t, settings).ready(t)
	if got := p.login(t, loginDocument, "ada@example.org"); got.User.ID != user.ID || got.ChatStatus != "READY" {
		t.Errorf("after a restart: %+v", got)
	}
	p.login(t, loginDocument, "bob@example.org")
}

// refusalsOf counts the refused logins of a user in the database of a program
// that has stopped.
func refusalsOf(t *testing.T, dir, userID string) (n int) {
	t.Helper()
	db, err := embedded.Start(embedded.Options{File: filepath.Join(dir, "cubegate.db"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := store.Open(t.Context(), store.Options{URI: db.URI(), Dial: db.DialContext})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	events, err := s.Audit().Page(t.Context(), store.EventFilter{UserID: userID, Kind: "login"}, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Outcome == "refused" {
			n++
		}
	}
	return n
}
