package lifecycle

import (
	"cmp"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"cubegate/server/servertest"
)

// series matches one series: its name and its labels.
var series = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})?$`)

// labelName matches the name of a label before its value.
var labelName = regexp.MustCompile(`([a-z]+)="`)

// The names, the types and the labels of all metrics are frozen: dashboards and alerts of
// operators have them. After a change on purpose, write testdata/metrics.txt anew and name
// the change in docs/operations/metrics.md.
func TestNamesOfMetricsAreFrozen(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the metrics of a process depend on the system")
	}
	m := servertest.Start(t, servertest.OpsSettings).Scrape(t)
	lines := map[string]bool{}
	for one := range m.Series {
		part := series.FindStringSubmatch(one)
		if part == nil {
			t.Fatalf("series %q", one)
		}
		name, kind := part[1], m.Types[part[1]]
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base, ok := strings.CutSuffix(name, suffix); ok && kind == "" {
				name, kind = base, m.Types[base]
			}
		}
		var labels []string
		for _, l := range labelName.FindAllStringSubmatch(part[2], -1) {
			if l[1] != "le" && l[1] != "quantile" {
				labels = append(labels, l[1])
			}
		}
		slices.Sort(labels)
		lines[strings.TrimSpace(name+" "+cmp.Or(kind, "unknown")+" "+strings.Join(labels, ","))] = true
	}
	got := strings.Join(slices.Sorted(maps.Keys(lines)), "\n") + "\n"
	want, err := os.ReadFile(filepath.Join("testdata", "metrics.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the metrics are:\n%s", got)
	}
	for line := range lines {
		if !strings.HasPrefix(line, "cubegate_") {
			t.Errorf("metric %s begins with another word", line)
		}
	}
}

// Without a single request, each outcome and reason that an alert may name has a series.
func TestEverySeriesExistsFromTheStart(t *testing.T) {
	m := servertest.Start(t, servertest.OpsSettings).Scrape(t)
	for _, want := range []string{
		`cubegate_logins_total{outcome="ok",reason="none"}`, `cubegate_logins_total{outcome="refused",reason="wrong_password"}`,
		`cubegate_logins_total{outcome="refused",reason="hash_queue"}`, `cubegate_logins_total{outcome="failed",reason="database"}`,
		`cubegate_registrations_total{outcome="refused",reason="email_taken"}`, `cubegate_refreshes_total{outcome="refused",reason="replayed_token"}`,
		`cubegate_verifications_total{outcome="refused",reason="session_ended"}`, `cubegate_errors_total{code="INTERNAL_SERVER_ERROR"}`,
		`cubegate_budget_refusals_total{budget="account_and_network"}`, `cubegate_hash_refusals_total{class="known",reason="lane_full"}`,
		`cubegate_hash_queue_waiting{class="strangers"}`, `cubegate_hash_queue_lanes{class="known"}`, `cubegate_hash_wait_seconds_count{class="known"}`,
		`cubegate_hash_queue_waiting{class="callbacks"}`, `cubegate_hash_refusals_total{class="callbacks",reason="queue_full"}`,
		`cubegate_connectycube_requests_total{result="rate_limited"}`, `cubegate_connectycube_suspended`, `cubegate_provisioning_oldest_age_seconds`,
		`cubegate_provisioning_backlog{queue="revocations"}`, `cubegate_database_commands_total{command="find",outcome="failed"}`,
		`cubegate_audit_queue_waiting`, `cubegate_audit_lost_total`,
	} {
		if value, ok := m.Series[want]; !ok || value != 0 {
			t.Errorf("%s = %v, %v, want 0", want, value, ok)
		}
	}
	for _, want := range []string{`cubegate_stand_in{service="database"}`, `cubegate_stand_in{service="connectycube"}`, `cubegate_database_up`} {
		if m.Series[want] != 1 {
			t.Errorf("%s = %v, want 1", want, m.Series[want])
		}
	}
	if m.Series["cubegate_hash_slots"] < 1 || !strings.Contains(m.Text, `cubegate_build_info{goversion="`+runtime.Version()+`"`) {
		t.Errorf("hash slots or build info are wrong:\n%s", m.Text)
	}
}

// Each operation counts once, under its outcome and reason, over GraphQL and REST.
func TestOperationsAreCounted(t *testing.T) {
	r := servertest.Start(t, servertest.Merge(servertest.OpsSettings, servertest.CallbackSettings))
	r.Register(t, "ada@example.org")
	in := r.Login(t, servertest.LoginDocument, "ada@example.org")
	r.Login(t, servertest.ByTokenDocument, "ada@example.org")
	wrong := `{"email":"ada@example.org","password":"wrong password"}`
	r.Request(t, http.MethodPost, "/auth/login", wrong)
	r.Request(t, http.MethodPost, "/auth/login", strings.Replace(wrong, "ada", "unknown", 1))
	r.Request(t, http.MethodPost, "/auth/login", `{"email":7}`)
	r.GraphQL(t, servertest.LoginDocument, map[string]string{"email": "ada@example.org"})
	r.GraphQL(t, servertest.RegisterDocument, servertest.Merge(servertest.NewUser("ada@example.org"), map[string]string{"password": "another password"}))
	r.Request(t, http.MethodPost, "/auth/refresh", `{"refreshToken":"`+in.RefreshToken+`"}`)
	r.Request(t, http.MethodPost, "/auth/refresh", `{"refreshToken":"never issued"}`)
	before := r.Scrape(t).Series[`cubegate_verifications_total{outcome="ok",reason="none"}`]
	r.Request(t, http.MethodGet, "/auth/verify-connectycube?token="+in.Token, "")
	r.Request(t, http.MethodGet, "/auth/verify-connectycube?token=never.issued.here", "")
	r.Request(t, http.MethodPost, "/auth/verify-connectycube", wrong)
	r.Request(t, http.MethodPost, "/auth/verify-connectycube", wrong, servertest.CallbackHeader...)
	r.Request(t, http.MethodPost, "/auth/logout", "", "Authorization", "Bearer "+in.Token)
	r.Request(t, http.MethodGet, "/auth/verify-connectycube?token="+in.Token, "")
	const exchanges, durations = `cubegate_connectycube_requests_total{result="ok"}`, "cubegate_connectycube_request_duration_seconds_count"
	var m servertest.Metrics
	servertest.Eventually(t, "each request to ConnectyCube has a duration", func() bool { // the logout ends sessions there after its answer
		m = r.Scrape(t)
		return m.Series[exchanges] == m.Series[durations]
	})
	for one, want := range map[string]float64{
		`cubegate_logins_total{outcome="ok",reason="none"}`:                       2,
		`cubegate_logins_total{outcome="refused",reason="wrong_password"}`:        2,
		`cubegate_logins_total{outcome="refused",reason="invalid_input"}`:         2,
		`cubegate_registrations_total{outcome="ok",reason="none"}`:                1,
		`cubegate_registrations_total{outcome="refused",reason="email_taken"}`:    1,
		`cubegate_refreshes_total{outcome="ok",reason="none"}`:                    1,
		`cubegate_refreshes_total{outcome="refused",reason="invalid_token"}`:      1,
		`cubegate_verifications_total{outcome="ok",reason="none"}`:                before + 1,
		`cubegate_verifications_total{outcome="refused",reason="invalid_token"}`:  1,
		`cubegate_verifications_total{outcome="refused",reason="forbidden"}`:      1,
		`cubegate_verifications_total{outcome="refused",reason="wrong_password"}`: 1,
		`cubegate_hash_wait_seconds_count{class="callbacks"}`:                     1, // the callbacks of the logins above need no hash
		`cubegate_verifications_total{outcome="refused",reason="session_ended"}`:  1,
		`cubegate_errors_total{code="CONFLICT"}`:                                  1,
		`cubegate_errors_total{code="FORBIDDEN"}`:                                 1,
		`cubegate_errors_total{code="BAD_USER_INPUT"}`:                            2,
		`cubegate_errors_total{code="UNAUTHENTICATED"}`:                           6,
		`cubegate_hash_wait_seconds_count{class="known"}`:                         m.Series[`cubegate_hash_wait_seconds_bucket{class="known",le="+Inf"}`],
		`cubegate_database_commands_total{command="find",outcome="failed"}`:       0,
		`cubegate_logins_total{outcome="canceled",reason="canceled"}`:             0,
	} {
		if got, ok := m.Series[one]; !ok || got != want {
			t.Errorf("%s = %v, want %v", one, got, want)
		}
	}
	for _, one := range []string{
		`cubegate_hash_wait_seconds_count{class="known"}`, `cubegate_hash_wait_seconds_count{class="strangers"}`, exchanges,
		`cubegate_database_commands_total{command="find",outcome="ok"}`, `cubegate_database_commands_total{command="findAndModify",outcome="ok"}`,
		`cubegate_database_commands_total{command="insert",outcome="ok"}`, `cubegate_database_command_duration_seconds_count`,
	} {
		if m.Series[one] <= 0 {
			t.Errorf("%s = %v, want more than 0", one, m.Series[one])
		}
	}
}

// A spent budget counts each request that it refuses, also while limits are only observed.
func TestRefusalsByBudgetAreCounted(t *testing.T) {
	for mode, answers := range map[string]int{"enforce": http.StatusTooManyRequests, "observe": http.StatusUnauthorized} {
		t.Run(mode, func(t *testing.T) {
			r := servertest.Start(t, servertest.Merge(servertest.OpsSettings, map[string]string{"LOGIN_FAILURES": "2", "LIMITS": mode}))
			r.Register(t, "ada@example.org")
			status := 0
			for range 5 {
				status = r.Request(t, http.MethodPost, "/auth/login", `{"email":"unknown@example.org","password":"wrong password"}`).Status
			}
			m := r.Scrape(t)
			got := m.Series[`cubegate_budget_refusals_total{budget="account_and_network"}`]
			if status != answers || got != 3 {
				t.Errorf("status %d and %v refusals, want %d and 3", status, got, answers)
			}
			if got := m.Series[`cubegate_logins_total{outcome="refused",reason="budget"}`]; (mode == "enforce") != (got == 3) {
				t.Errorf("%v logins refused by a budget", got)
			}
			if got := m.Series[`cubegate_budget_refusals_total{budget="network"}`]; got != 0 {
				t.Errorf("%v refusals of another budget", got)
			}
		})
	}
}

// While ConnectyCube answers 429 or not at all, the metrics tell which of them, the state of
// the breaker, and how long the oldest account waits.
func TestTroubleAtConnectyCubeIsCounted(t *testing.T) {
	u := servertest.NewUpstream(t)
	r := u.Start(t, false, servertest.OpsSettings)
	var limited atomic.Bool // the server also asks by itself
	limited.Store(true)
	u.OverrideAll(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		if limited.Load() {
			w.Header().Set("Retry-After", "600") // the worker leaves the account alone
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		panic(http.ErrAbortHandler)
	})
	r.Register(t, "ada@example.org")
	m := r.Scrape(t)
	if m.Series[`cubegate_connectycube_requests_total{result="rate_limited"}`] < 1 || m.Series["cubegate_connectycube_suspended"] != 0 {
		t.Errorf("after a 429:\n%s", m.Text)
	}
	if m.Series[`cubegate_provisioning_backlog{queue="accounts"}`] != 1 || m.Series["cubegate_provisioning_oldest_age_seconds"] <= 0 {
		t.Errorf("the backlog lacks Ada:\n%s", m.Text)
	}
	limited.Store(false)
	for i := 0; m.Series["cubegate_connectycube_suspended"] == 0 && i < 50; i++ {
		r.GraphQL(t, servertest.LoginDocument, servertest.Credentials("ada@example.org"))
		m = r.Scrape(t)
	}
	if m.Series["cubegate_connectycube_suspended"] != 1 || m.Series[`cubegate_connectycube_requests_total{result="no_answer"}`] < 1 {
		t.Errorf("no answers do not suspend the calls:\n%s", m.Text)
	}
}
