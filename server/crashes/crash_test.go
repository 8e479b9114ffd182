package crashes

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cubegate/server/servertest"
	"cubegate/store/embedded"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// A registration changes the database and ConnectyCube, and the server can die
// between any two steps. Afterwards the same user must get in, and both sides must
// have one user, who is the same. ConnectyCube outlives the server in these tests.
func TestKilledRegistrationLocksNoUserOut(t *testing.T) {
	t.Parallel()
	for _, cidp := range []bool{false, true} {
		t.Run(fmt.Sprintf("before the sign-up, cidp %t", cidp), func(t *testing.T) {
			u := servertest.NewUpstream(t)
			u.Override("POST", "/users", func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() })
			killDuringRegistration(t, u, cidp, func() bool { return len(u.Requests("POST", "/users")) == 1 })
		})
		t.Run(fmt.Sprintf("after the sign-up, cidp %t", cidp), func(t *testing.T) {
			u := servertest.NewUpstream(t)
			u.Override("POST", "/users", func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
				next.ServeHTTP(httptest.NewRecorder(), r) // the server gets no reply
				<-r.Context().Done()
			})
			killDuringRegistration(t, u, cidp, func() bool { return len(u.State().Users) == 1 })
		})
		t.Run(fmt.Sprintf("before the last write, cidp %t", cidp), func(t *testing.T) {
			killBeforeLastWrite(t, cidp)
		})
	}
}

// killDuringRegistration kills the server during a registration, once the condition
// due holds, and starts it again on the same data.
func killDuringRegistration(t *testing.T, u *servertest.Upstream, cidp bool, due func() bool) {
	t.Helper()
	settings := servertest.Merge(u.Settings(), map[string]string{"DATA_DIR": t.TempDir()})
	p := spawnFor(t, u, cidp, settings)
	unfinished := p.StartRequest(http.MethodPost, "/api", servertest.RequestBody(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org")))
	servertest.Eventually(t, "the registration is at the step of the kill", due)
	p.Kill(t)
	if got := <-unfinished; got.Err == nil {
		t.Fatalf("the killed server replied %s", got.Body)
	}
	u.Restore()

	p = spawnFor(t, u, cidp, settings)
	p.WaitRegistered(t, "ada@example.org")
	u.SetCallback(t, p.URL)
	user := p.RequireOneIdentity(t, "ada@example.org").User
	p.Signal(t, syscall.SIGTERM)
	if code := p.ExitCode(t); code != 0 {
		t.Errorf("exit %d: %s", code, p.Log)
	}
	// With an identity provider, the server cannot log in to the orphaned account
	// with a password, and creates another account.
	if all := u.State().Users; !cidp && len(all) != 1 {
		t.Errorf("ConnectyCube has %+v", all)
	}
	if all := exportUsers(t, settings); len(all) != 1 || !strings.Contains(all[0], user.ID) {
		t.Errorf("the database has %v, want only the user %s", all, user.ID)
	}
}

// spawnFor starts a server that uses the given ConnectyCube.
func spawnFor(t *testing.T, u *servertest.Upstream, cidp bool, settings map[string]string) *servertest.Process {
	t.Helper()
	p := servertest.Spawn(t, settings).WaitReady(t)
	p.SandboxURL = u.URL
	if cidp {
		u.SetCallback(t, p.URL)
	}
	return p
}

// exportUsers returns the users in the embedded database of a stopped server.
func exportUsers(t *testing.T, settings map[string]string) []string {
	t.Helper()
	p := servertest.Spawn(t, settings, "export")
	if code := p.ExitCode(t); code != 0 {
		t.Fatalf("export: exit %d: %s", code, p.Log)
	}
	return strings.Split(strings.TrimSpace(p.Stdout.String()), "\n")
}

// killBeforeLastWrite kills the server when only the write of the account's ID is
// missing. The database is a separate one, where the lease of the dead server could
// belong to another process and stays until it expires.
func killBeforeLastWrite(t *testing.T, cidp bool) {
	t.Helper()
	u, db := servertest.NewUpstream(t), servertest.StartDatabase(t)
	relay := servertest.NewRelay(t, db.Addr())
	settings := servertest.Merge(u.Settings(), map[string]string{"MONGO_URI": relay.URI()})
	p := spawnFor(t, u, cidp, settings)
	u.Override("POST", "/users", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		relay.Set(servertest.Mute)
		next.ServeHTTP(w, r)
	})
	unfinished := p.StartRequest(http.MethodPost, "/api", servertest.RequestBody(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org")))
	servertest.Eventually(t, "the server writes the account's ID", func() bool { return relay.HasSwallowed("connectyCubeId") })
	p.Kill(t)
	if got := <-unfinished; got.Err == nil {
		t.Fatalf("the killed server replied %s", got.Body)
	}
	u.Restore()
	relay.Set(servertest.Relaying)
	expireLeases(t, db)

	p = spawnFor(t, u, cidp, settings)
	p.WaitRegistered(t, "ada@example.org")
	u.SetCallback(t, p.URL)
	p.RequireOneIdentity(t, "ada@example.org")
	if got := p.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org")); got.Code() != "" || got.Data.Register.ChatStatus != "READY" {
		t.Errorf("the same registration again: %s", got.Body)
	}
	other := servertest.NewUser("ada@example.org")
	other["password"] = "another horse"
	if got := p.GraphQL(t, servertest.RegisterDocument, other); got.Code() != "CONFLICT" {
		t.Errorf("registering again: %s", got.Body)
	}
	if all := p.AllCubeUsers(t); len(all) != 1 {
		t.Errorf("ConnectyCube has %+v", all)
	}
}

// expireLeases makes the lease of the dead server end now.
func expireLeases(t *testing.T, db *embedded.Server) {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(db.URI()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(context.Background()) }()
	leased := bson.D{{Key: "account.lease", Value: bson.D{{Key: "$exists", Value: true}}}}
	got, err := client.Database("test").Collection("users").UpdateMany(t.Context(), leased, bson.D{{Key: "$set", Value: bson.D{{Key: "account.due", Value: time.Now()}}}})
	if err != nil || got.MatchedCount != 1 {
		t.Fatalf("expiring the lease: %+v, %v", got, err)
	}
}

// An acknowledged registration survives a SIGKILL, and a registration without a
// reply does not lock its user out.
func TestAcknowledgedRegistrationsSurviveKills(t *testing.T) {
	t.Parallel()
	const rounds, clients = 6, 8
	u := servertest.NewUpstream(t)
	settings := servertest.Merge(u.Settings(), map[string]string{"DATA_DIR": t.TempDir()})
	for round := range rounds {
		p := spawnFor(t, u, true, settings)
		enough, idle := make(chan struct{}), make(chan struct{})
		var mu sync.Mutex
		acknowledged, replies := map[string]bool{}, 0
		var busy sync.WaitGroup
		for client := range clients {
			busy.Go(func() {
				for ok, n := true, 0; ok; n++ {
					email := fmt.Sprintf("ada%d.%d.%d@example.org", round, client, n)
					got, err := servertest.Try(http.MethodPost, p.ResolveURL("/api"), servertest.RequestBody(t, servertest.RegisterDocument, servertest.NewUser(email)))
					ok = err == nil && strings.Contains(got.Body, "user register successfully")
					mu.Lock()
					acknowledged[email] = ok
					if replies++; replies == 20+7*round {
						close(enough)
					}
					mu.Unlock()
				}
			})
		}
		go func() { busy.Wait(); close(idle) }()
		select {
		case <-enough:
		case <-idle:
			t.Fatalf("registrations fail before the kill: %s", p.Log)
		}
		p.Kill(t)
		<-idle

		p = spawnFor(t, u, true, settings)
		for email, ok := range acknowledged {
			if !ok {
				if got := p.GraphQL(t, servertest.RegisterDocument, servertest.NewUser(email)); got.Code() != "" {
					t.Errorf("registering %s again: %s", email, got.Code())
				}
			}
			p.WaitRegistered(t, email)
		}
		p.Kill(t)
	}
}

// A registration that waits for ConnectyCube ends with the shutdown's deadline. It is
// not acknowledged, and the same user can register afterwards.
func TestShutdownDoesNotWaitForever(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	settings := servertest.Merge(u.Settings(), map[string]string{"DATA_DIR": t.TempDir(), "SHUTDOWN_TIMEOUT": "300ms"})
	p := spawnFor(t, u, true, settings)
	u.Override("POST", "/users", func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() })
	unfinished := p.StartRequest(http.MethodPost, "/api", servertest.RequestBody(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org")))
	servertest.Eventually(t, "the registration is under way", func() bool { return len(u.Requests("POST", "/users")) == 1 })
	p.Signal(t, syscall.SIGTERM)
	if code := p.ExitCode(t); code != 0 || !strings.Contains(p.Log.String(), "closing open requests") {
		t.Errorf("exit %d: %s", code, p.Log)
	}
	if got := <-unfinished; got.Err == nil {
		t.Errorf("the server replied %s", got.Body)
	}
	u.Restore()
	p = spawnFor(t, u, true, settings)
	p.WaitRegistered(t, "ada@example.org")
	p.RequireOneIdentity(t, "ada@example.org")
}
