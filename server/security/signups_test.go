package security

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"cubegate/server/servertest"
)

// registration is the result of one registration.
type registration struct {
	email, status, refresh string
}

// registerFrom registers over REST, with a client IP that the trusted proxy names.
func registerFrom(t *testing.T, r *servertest.Server, email, clientIP string) registration {
	body, err := json.Marshal(servertest.NewUser(email))
	if err != nil {
		t.Error(err)
	}
	got, err := servertest.Try(http.MethodPost, r.ResolveURL("/auth/register"), string(body), "X-Forwarded-For", clientIP)
	var in servertest.LoginReply
	if err == nil {
		err = json.Unmarshal([]byte(got.Body), &in)
	}
	if err != nil || in.RefreshToken == "" {
		t.Errorf("registering %s: %d %s, %v", email, got.Status, servertest.CodeOf(got.Body), err)
	}
	return registration{email, in.ChatStatus, in.RefreshToken}
}

// signUpRecorder records the accounts that ConnectyCube creates.
type signUpRecorder struct {
	mu     sync.Mutex
	emails []string
	last   time.Time
}

func (s *signUpRecorder) watch(u *servertest.Upstream) {
	u.Override(http.MethodPost, "/users", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		rw := &responseRecorder{ResponseWriter: w}
		next.ServeHTTP(rw, r)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.last = time.Now()
		s.emails = append(s.emails, rw.email())
	})
}

// responseRecorder keeps the body of a response that it forwards.
type responseRecorder struct {
	http.ResponseWriter
	body []byte
}

func (a *responseRecorder) Write(b []byte) (int, error) {
	a.body = append(a.body, b...)
	return a.ResponseWriter.Write(b)
}

// email returns the email of the created account, or "" without one.
func (a *responseRecorder) email() string {
	var created struct{ User struct{ Email string } }
	_ = json.Unmarshal(a.body, &created)
	return created.User.Email
}

// created returns the emails of the accounts in their order, and the time of the last.
func (s *signUpRecorder) created() ([]string, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.emails), s.last
}

// Twenty-nine users of one network register at once, and then one of another network. The
// budget is ten sign-ups a minute: ten accounts are ready, and twenty wait in the
// database, the one of the other network first. The next process has a larger budget and
// creates them at that rate.
func TestRegisterCrowdBeyondTheBudget(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	var cube signUpRecorder
	cube.watch(u)
	db := servertest.StartDatabase(t)
	settings := servertest.Merge(u.Settings(), map[string]string{
		"MONGO_URI": db.URI(), "TRUSTED_PROXIES": "127.0.0.1", "CONNECTYCUBE_SIGN_UPS_PER_MINUTE": "10",
	})
	r, stop := servertest.StartUntil(t, servertest.Configure(t, settings))
	begin := time.Now()
	var mu sync.Mutex
	var all []registration
	var crowd sync.WaitGroup
	for i := range 29 {
		crowd.Go(func() {
			got := registerFrom(t, r, fmt.Sprintf("crowd%d@example.org", i), "192.0.2.1")
			mu.Lock()
			defer mu.Unlock()
			all = append(all, got)
		})
	}
	crowd.Wait()
	before, _ := cube.created()
	all = append(all, registerFrom(t, r, "other@example.org", "198.51.100.1"))
	count := map[string]int{}
	for _, got := range all {
		count[got.status]++
	}
	refilled := func() int { return int(time.Since(begin) / (6 * time.Second)) } // the budget grows meanwhile
	if n := count["READY"]; n < 10 || n > 10+refilled() || n+count["PENDING"] != 30 || all[29].status != "PENDING" {
		t.Errorf("%v, and the last one is %s; want 10 READY", count, all[29].status)
	}
	stop()
	stopped, _ := cube.created()
	waiting := 30 - len(stopped)
	requireOneEach(t, u, len(stopped))
	// A token that came after the crowd may have gone to one of it, and each worker may
	// have tried one before the other network registered.
	const workers = 4
	order := append(stopped[len(before):], servertest.UsersInLine(t, db)...)
	if i := slices.Index(order, "other@example.org"); i < 0 || i > workers+refilled() {
		t.Errorf("the other network's account has place %d of those that did not get an account at once: %v", i, order)
	}

	restarted := time.Now()
	settings["CONNECTYCUBE_SIGN_UPS_PER_MINUTE"] = "600"
	r = servertest.Start(t, settings)
	servertest.Eventually(t, "ConnectyCube has all accounts", func() bool { return len(u.State().Users) == 30 })
	_, last := cube.created()
	const atOnce = 10 + 1 // the burst, and one for the time since the start of the process
	if least := time.Duration(waiting-atOnce) * 100 * time.Millisecond; last.Sub(restarted) < least {
		t.Errorf("%d accounts within %v, want at least %v", waiting, last.Sub(restarted), least)
	}
	requireOneEach(t, u, 30)
	for _, got := range all {
		waitReady(t, r, got)
	}
}

// requireOneEach checks the number of accounts at ConnectyCube, each of another user.
func requireOneEach(t *testing.T, u *servertest.Upstream, want int) {
	t.Helper()
	users := u.State().Users
	ids := map[string]bool{}
	for _, user := range users {
		if user.ExternalID != nil {
			ids[*user.ExternalID] = true
		}
	}
	if len(users) != want || len(ids) != want {
		t.Errorf("ConnectyCube has %d accounts of %d users, want %d", len(users), len(ids), want)
	}
}

// waitReady refreshes until the user has a ConnectyCube session.
func waitReady(t *testing.T, r *servertest.Server, in registration) {
	t.Helper()
	servertest.Eventually(t, in.email+" has a ConnectyCube session", func() bool {
		got := r.Request(t, http.MethodPost, "/auth/refresh", fmt.Sprintf(`{"refreshToken":%q}`, in.refresh))
		var out servertest.LoginReply
		if err := json.Unmarshal([]byte(got.Body), &out); err != nil || out.RefreshToken == "" {
			t.Fatalf("refreshing %s: %d %s", in.email, got.Status, servertest.CodeOf(got.Body))
		}
		in.refresh = out.RefreshToken
		return out.ChatStatus == "READY"
	})
}

// If registrations may not wait, the server refuses a registration beyond the budget
// with Retry-After, and neither side keeps anything of it.
func TestRegisterBeyondTheBudgetIsRefused(t *testing.T) {
	t.Parallel()
	u := servertest.NewUpstream(t)
	r := u.Start(t, false, servertest.Merge(servertest.AllOrNothing, map[string]string{"CONNECTYCUBE_SIGN_UPS_PER_MINUTE": "2"}))
	for _, email := range []string{"a@example.org", "b@example.org"} {
		r.Register(t, email)
	}
	got := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("c@example.org"))
	if got.Code() != "SERVICE_UNAVAILABLE" {
		t.Errorf("GraphQL: %s", got.Body)
	}
	body, _ := json.Marshal(servertest.NewUser("c@example.org"))
	refused := r.Request(t, http.MethodPost, "/auth/register", string(body))
	if refused.Status != http.StatusServiceUnavailable || servertest.CodeOf(refused.Body) != "SERVICE_UNAVAILABLE" || refused.Header.Get("Retry-After") == "" {
		t.Errorf("REST: %d %s, Retry-After %q", refused.Status, refused.Body, refused.Header.Get("Retry-After"))
	}
	users, err := r.Store.Users().All(t.Context(), "", 10)
	if err != nil || len(users.Items) != 2 || len(u.State().Users) != 2 {
		t.Errorf("%d users at the server and %d at ConnectyCube, %v; want 2", len(users.Items), len(u.State().Users), err)
	}
	if login := r.Login(t, servertest.LoginDocument, "a@example.org"); login.ChatStatus != "READY" {
		t.Errorf("a login with an account: %s", login.ChatStatus)
	}
}

// With the server's own sandbox, registrations do not wait.
func TestRegisterInTheSandboxHasNoBudget(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, nil)
	for i := range 15 {
		if got := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser(fmt.Sprintf("ada%d@example.org", i))); got.Code() != "" || got.Data.Register.ChatStatus != "READY" {
			t.Fatalf("registration %d: %s", i, got.Body)
		}
	}
}
