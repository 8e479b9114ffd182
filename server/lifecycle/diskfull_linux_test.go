package lifecycle

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"cubegate/server/servertest"
	"cubegate/store"
	"cubegate/store/embedded"
)

// limitFiles bounds the size of the files that a process writes. Writes beyond the
// bound fail, as on a full disk.
func limitFiles(t *testing.T, p *servertest.Process, bytes uint64) {
	t.Helper()
	var limit syscall.Rlimit
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(p.Cmd.Process.Pid), syscall.RLIMIT_FSIZE, 0, uintptr(unsafe.Pointer(&limit)), 0, 0)
	if errno == 0 {
		limit.Cur = min(bytes, limit.Max)
		_, _, errno = syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(p.Cmd.Process.Pid), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	}
	if errno != 0 {
		t.Fatalf("limiting the size of files: %v", errno)
	}
}

const anyFileSize = ^uint64(0)

// On a full disk, the service refuses writes and answers reads. It loses nothing that
// it acknowledged, and recovers without a restart.
func TestFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	settings := map[string]string{"DATA_DIR": t.TempDir()}
	p := servertest.Spawn(t, settings).WaitReady(t)
	user := p.Register(t, "ada@example.org")
	servertest.Eventually(t, "the sandbox's state is on the disk", func() bool {
		raw, err := os.ReadFile(filepath.Join(settings["DATA_DIR"], "sandbox.json"))
		return err == nil && bytes.Contains(raw, []byte("ada@example.org"))
	})

	limitFiles(t, p, 0)
	for range 3 {
		if got := p.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("bob@example.org")); got.Code() != "SERVICE_UNAVAILABLE" {
			t.Errorf("register on a full disk: %s", got.Body)
		}
	}
	if got := p.Request(t, http.MethodPost, "/auth/login", `{"email":"ada@example.org","password":"correct horse"}`); got.Status != http.StatusServiceUnavailable || !strings.Contains(got.Body, "SERVICE_UNAVAILABLE") {
		t.Errorf("login on a full disk: %d %s", got.Status, got.Body)
	}
	if got := p.GraphQL(t, servertest.LoginDocument, map[string]string{"email": "ada@example.org", "password": "wrong horse"}); got.Code() != "UNAUTHENTICATED" {
		t.Errorf("a wrong password on a full disk: %s", got.Body)
	}
	for path, want := range map[string]int{"/readyz": http.StatusServiceUnavailable, "/healthz": http.StatusOK} {
		if got := p.Request(t, http.MethodGet, path, ""); got.Status != want {
			t.Errorf("%s on a full disk: %d %s, want %d", path, got.Status, got.Body, want)
		}
	}
	if got := p.Request(t, http.MethodPost, p.SandboxURL+"/_sandbox/seed", `{"users":[{"login":"carol","password":"correct horse"}]}`); got.Status/100 != 2 {
		t.Errorf("seeding the sandbox: %d %s", got.Status, got.Body)
	}
	servertest.Eventually(t, "the sandbox logs that it cannot save", func() bool { return strings.Contains(p.Log.String(), "state of the sandbox not written") })
	if kept, err := os.ReadFile(filepath.Join(settings["DATA_DIR"], "sandbox.json")); err != nil || !json.Valid(kept) || !bytes.Contains(kept, []byte("ada@example.org")) || bytes.Contains(kept, []byte("carol")) {
		t.Errorf("the sandbox's file on a full disk is not that from before: %d bytes, %v", len(kept), err)
	}

	limitFiles(t, p, anyFileSize)
	servertest.Eventually(t, "the server is ready again", func() bool { return p.Request(t, http.MethodGet, "/readyz", "").Status == http.StatusOK })
	p.Register(t, "bob@example.org")
	servertest.Eventually(t, "the sandbox has saved", func() bool {
		now, err := os.ReadFile(filepath.Join(settings["DATA_DIR"], "sandbox.json"))
		return err == nil && bytes.Contains(now, []byte("bob@example.org"))
	})
	p.Signal(t, syscall.SIGTERM)
	if status := p.ExitCode(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if refused := countRefusals(t, settings["DATA_DIR"], user.ID); refused == 0 {
		t.Error("the audit lacks the wrong password on the full disk")
	}

	p = servertest.Spawn(t, settings).WaitReady(t)
	if got := p.Login(t, servertest.LoginDocument, "ada@example.org"); got.User.ID != user.ID || got.ChatStatus != "READY" {
		t.Errorf("after a restart: %+v", got)
	}
	p.Login(t, servertest.LoginDocument, "bob@example.org")
}

// countRefusals counts the refused logins of a user in the database of a stopped
// server.
func countRefusals(t *testing.T, dir, userID string) (n int) {
	t.Helper()
	db, err := embedded.Start(embedded.Options{File: filepath.Join(dir, "cubegate.db"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := store.Open(t.Context(), store.Options{URI: db.URI(), Exchange: db.Exchange})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	events, err := s.Audit().Page(t.Context(), store.EventFilter{UserID: userID, Kind: "login"}, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events.Items {
		if e.Outcome == "refused" {
			n++
		}
	}
	return n
}
