package lifecycle

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"cubegate/connectycube/sandbox"
	"cubegate/server"
	"cubegate/server/servertest"
)

// report is the output of "cubegate doctor --json".
type report struct {
	OK     bool
	Checks []struct {
		Check, State, Found, Cause, Cure string
		TookMS                           *float64 `json:"took_ms"`
	}
	Passwords struct {
		AtOnce          int     `json:"at_once"`
		LoginsPerSecond float64 `json:"logins_per_second"`
		Wanted          *struct {
			Memory      int `json:"PASSWORD_MEMORY"`
			Iterations  int `json:"PASSWORD_ITERATIONS"`
			Parallelism int `json:"PASSWORD_PARALLELISM"`
		}
	}
}

// diagnose runs the doctor. It checks that each finding has a cause and a cure, or else what
// was found, and that the exit status fits.
func diagnose(t *testing.T, settings map[string]string, args ...string) report {
	t.Helper()
	got := servertest.Run(t.Context(), servertest.Merge(servertest.QuickSettings, settings), append([]string{"doctor", "--json"}, args...)...)
	var r report
	if err := json.Unmarshal([]byte(got.Stdout), &r); err != nil {
		t.Fatalf("%+v: %v", got, err)
	}
	if r.OK != (got.Code == 0) || got.Code > 1 {
		t.Errorf("ok is %t, status %d", r.OK, got.Code)
	}
	failed := 0
	for _, c := range r.Checks {
		hasCause := c.State == "failed" || c.State == "warning"
		if c.State == "failed" {
			failed++
		}
		if hasCause != (c.Cause != "") || hasCause != (c.Cure != "") || hasCause == (c.Found != "") || c.TookMS == nil || strings.Contains(c.Cause+c.Cure+c.Found, "\n") {
			t.Errorf("%+v", c)
		}
	}
	if r.OK != (failed == 0) {
		t.Errorf("ok is %t with %d failed checks", r.OK, failed)
	}
	for name, value := range settings {
		if isSecret := strings.Contains(name, "SECRET") || strings.HasSuffix(name, "_KEY"); isSecret && value != "" && strings.Contains(got.Stdout+got.Stderr, value) {
			t.Errorf("the report shows %s", name)
		}
	}
	if found := regexp.MustCompile(`eyJ[\w-]+\.`).FindString(got.Stdout + got.Stderr); found != "" {
		t.Errorf("the report shows a token: %s", found)
	}
	return r
}

// of returns the state and the text of a check.
func (r report) of(check string) (state, text string) {
	for _, c := range r.Checks {
		if c.Check == check {
			return c.State, c.Found + c.Cause
		}
	}
	return "missing", ""
}

func (r report) want(t *testing.T, check, state, text string) {
	t.Helper()
	if gotState, got := r.of(check); gotState != state || !strings.Contains(got, text) {
		t.Errorf("%s is %s: %s\nwant %s: %s", check, gotState, got, state, text)
	}
}

// usersAt counts the users at ConnectyCube, of which the doctor leaves none.
func usersAt(u *servertest.Upstream) int { return len(u.State().Users) }

// patient is a server of its own beside an Upstream, with the settings of its doctor.
func patient(t *testing.T, more map[string]string) (*servertest.Upstream, *servertest.Process, map[string]string) {
	t.Helper()
	u := servertest.NewUpstream(t)
	settings := servertest.Merge(u.Settings(), more)
	p := servertest.Spawn(t, settings).WaitReady(t)
	settings = servertest.Merge(settings, map[string]string{"DATA_DIR": p.Cmd.Dir + "/data", "PUBLIC_URL": p.URL})
	return u, p, settings
}

// The eight mistakes in the set-up of an identity provider that docs/connectycube.md lists,
// each reproduced at the sandbox and named by its cause.
func TestDoctorNamesMistakes(t *testing.T) {
	t.Parallel()
	answer := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if status == http.StatusPermanentRedirect {
				w.Header().Set("Location", "/elsewhere")
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
		}
	}
	hangsUp := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for name, tt := range map[string]struct {
		provider http.HandlerFunc // nil: our server
		edit     func(*sandbox.CIdP)
		isPublic bool // PUBLIC_URL is the provider's
		state    string
		cause    string
	}{
		"right":                             {nil, func(c *sandbox.CIdP) { c.ResponseParams["login"] = "#{user.id}" }, false, "ok", "ConnectyCube asks this server, and takes its answer"},
		"1 another field":                   {nil, func(c *sandbox.CIdP) { c.ResponseParams["uid"] = "#{uid}" }, false, "failed", "the response params name a field that the identity provider's answer does not have"},
		"1 another answer":                  {answer(200, `{"uid":1}`), nil, false, "failed", "the response params name a field that the identity provider's answer does not have"},
		"2 no parameter":                    {nil, func(c *sandbox.CIdP) { c.RequestParams = map[string]string{"jwt": "#{login}"}; c.Headers = nil }, false, "failed", "the token does not arrive where the identity provider looks for it (status 400)"},
		"2 a header by another name":        {answer(401, `{"name":"UnauthorizedError"}`), func(c *sandbox.CIdP) { c.Headers = map[string]string{"Authorization": "Bearer #{token}"} }, false, "failed", "the token does not arrive where the identity provider looks for it (status 401)"},
		"2 as the service answered in 2020": {answer(401, `{"name":"UnauthorizedError"}`), func(c *sandbox.CIdP) { c.Answers = "2020" }, false, "failed", "the token does not arrive where the identity provider looks for it (status 401)"},
		"4 on by mistake":                   {answer(404, ``), nil, false, "failed", "the identity provider is on, and no cubegate is at its URL (status 404): all logins of apps go there, with their passwords"},
		"4 as the service answered in 2020": {answer(404, ``), func(c *sandbox.CIdP) { c.Answers = "2020" }, false, "failed", "the identity provider is on, and no cubegate is at its URL (status 404)"},
		"5 the content type":                {answer(415, `Unsupported Media Type`), nil, false, "failed", "the identity provider does not take the content type that ConnectyCube sends (status 415)"},
		"6 localhost":                       {nil, func(c *sandbox.CIdP) { c.Outside = true }, false, "failed", "ConnectyCube gets no answer from the identity provider: PUBLIC_URL names this machine or a private network, which ConnectyCube cannot reach"},
		"6 a redirect":                      {answer(308, ``), nil, true, "failed", "the URL of the identity provider redirects (status 308), and ConnectyCube does not follow"},
		"7 no login":                        {nil, nil, false, "warning", "ConnectyCube calls new users custom_ and their ID: the response params have no login"},
		"8 it fails":                        {answer(503, `oh`), nil, false, "failed", "the identity provider fails (status 503)"},
		"8 it does not answer":              {hangsUp, nil, true, "failed", "ConnectyCube gets no answer from the identity provider: nothing answers at "},
		"8 as the service answered in 2020": {hangsUp, func(c *sandbox.CIdP) { c.Answers = "2020" }, true, "failed", "ConnectyCube gets no answer from the identity provider: nothing answers at "},
		"off":                               {nil, func(c *sandbox.CIdP) { c.Enabled = false }, false, "warning", "the Custom Identity Provider is off"},
		"another user":                      {answer(200, `{"user":{"id":"ada"}}`), func(c *sandbox.CIdP) { c.ResponseParams["login"] = "#{user.id}" }, false, "failed", "leads to another user"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, p, settings := patient(t, nil)
			at := p.URL
			if tt.provider != nil {
				provider := httptest.NewServer(tt.provider)
				t.Cleanup(provider.Close)
				at = provider.URL
			}
			if tt.isPublic {
				settings = servertest.Merge(settings, map[string]string{"PUBLIC_URL": at})
			}
			cidp := sandbox.CIdP{
				Enabled: true, Method: http.MethodPost, URL: at + server.VerifyPath,
				Headers:        map[string]string{"X-CIdP-Secret": servertest.OwnCallbackSecret},
				RequestParams:  map[string]string{"token": "#{login}", "email": "#{email}", "password": "#{password}"},
				ResponseParams: map[string]string{"uid": "#{user.id}"},
			}
			if tt.edit != nil {
				tt.edit(&cidp)
			}
			if err := u.SetCIdP(cidp); err != nil {
				t.Fatal(err)
			}
			r := diagnose(t, settings)
			r.want(t, "identity provider", tt.state, tt.cause)
			r.want(t, "connectycube key", "ok", "accepts the application and its key")
			if n := usersAt(u); n != 0 && name != "another user" { // whose account is not the doctor's to delete
				t.Errorf("%d users are left at ConnectyCube", n)
			}
		})
	}
}

// The third mistake: ConnectyCube gets a login without a password.
func TestDoctorNamesABlankPassword(t *testing.T) {
	t.Parallel()
	u, p, settings := patient(t, nil)
	u.SetCallback(t, p.URL)
	u.Override(http.MethodPost, "/session", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		raw, _ := io.ReadAll(r.Body)
		bare := regexp.MustCompile(`,?"password":"[^"]*"`).ReplaceAllString(string(raw), "")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(bare)), int64(len(bare))
		next.ServeHTTP(w, r)
	})
	diagnose(t, settings).want(t, "identity provider", "failed", "the login was sent without a password")
}

// The doctor reads the dashboard's settings about unknown users and V1 look-ups, and deletes
// the users that its questions make.
func TestDoctorChecksTheApplication(t *testing.T) {
	t.Parallel()
	u, p, settings := patient(t, nil)
	for _, deny := range []bool{false, true} {
		body := fmt.Sprintf(`{"deny_auto_create":%t,"v1_users":%t}`, deny, !deny)
		if got, err := servertest.Try(http.MethodPut, u.URL+"/_sandbox/settings", body); err != nil || got.Status != http.StatusOK {
			t.Fatalf("%+v, %v", got, err)
		}
		r := diagnose(t, settings)
		if deny {
			r.want(t, "unknown users", "ok", "refused")
			r.want(t, "V1 look-ups", "ok", "forbidden")
		} else {
			r.want(t, "unknown users", "warning", "ConnectyCube makes a user for any unknown login")
			r.want(t, "V1 look-ups", "warning", "each app can list all users")
		}
		if n := usersAt(u); n != 0 {
			t.Errorf("deny %t: %d users are left", deny, n)
		}
	}
	u.SetCallback(t, p.URL)
	r := diagnose(t, servertest.Merge(settings, map[string]string{"CONNECTYCUBE_ADMIN_KEY": sandbox.DefaultAdminKey}))
	r.want(t, "admin key", "ok", "accepted")
	r = diagnose(t, servertest.Merge(settings, map[string]string{"CONNECTYCUBE_ADMIN_KEY": "wrong-admin-key"}))
	r.want(t, "admin key", "failed", "ConnectyCube refuses CONNECTYCUBE_ADMIN_KEY")
	r.want(t, "clean-up", "ok", "nothing is left")
	r.want(t, "unknown users", "ok", "the identity provider decides")
	if n := usersAt(u); n != 0 {
		t.Errorf("%d users are left", n)
	}
	r = diagnose(t, servertest.Merge(settings, map[string]string{"AUTH_KEY": "wrong-auth-key"}))
	r.want(t, "connectycube key", "failed", "AUTH_KEY: ")
	r.want(t, "identity provider", "skipped", `the check "connectycube key" has failed`)
	r = diagnose(t, servertest.Merge(settings, map[string]string{"APP_ID": "77"}))
	r.want(t, "connectycube key", "failed", "APP_ID: ")
}

// A doctor that is cut off leaves a user at ConnectyCube; the next one deletes it.
func TestDoctorThatWasCutOff(t *testing.T) {
	t.Parallel()
	u, p, settings := patient(t, nil)
	u.SetCallback(t, p.URL)
	reached := make(chan struct{}, 16)
	u.OverrideAll(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodDelete {
			reached <- struct{}{}
			<-r.Context().Done()
			return
		}
		next.ServeHTTP(w, r)
	})
	cut := servertest.Spawn(t, settings, "doctor")
	<-reached
	cut.Kill(t)
	u.Restore()
	if n := usersAt(u); n != 1 {
		t.Fatalf("%d users are left by the killed doctor, want 1", n)
	}
	diagnose(t, settings).want(t, "clean-up", "ok", "nothing is left")
	if n := usersAt(u); n != 0 {
		t.Errorf("%d users are left", n)
	}
}

// Each fault of the place where the server runs has its cause.
func TestDoctorChecksTheSurroundings(t *testing.T) {
	t.Parallel()
	u, p, settings := patient(t, map[string]string{"CORS_ORIGINS": "https://app.example.org"})
	u.SetCallback(t, p.URL)
	// proxied is a proxy in front of the server that edits what passes.
	proxied := func(edit func(w http.ResponseWriter, r *http.Request)) string {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			edit(w, r)
			out, _ := http.NewRequest(r.Method, p.URL+r.URL.Path, r.Body)
			out.Header = r.Header.Clone()
			answer, err := http.DefaultTransport.RoundTrip(out)
			if err != nil {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			defer answer.Body.Close()
			for name, values := range answer.Header {
				w.Header()[name] = append(w.Header()[name], values...)
			}
			w.WriteHeader(answer.StatusCode)
			_, _ = io.Copy(w, answer.Body)
		}))
		t.Cleanup(proxy.Close)
		return proxy.URL
	}
	db := servertest.StartDatabase(t)
	badGateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	t.Cleanup(badGateway.Close)
	open, file := filepath.Join(t.TempDir(), "open"), filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		settings           map[string]string
		check, state, text string
	}{
		"no PUBLIC_URL":        {map[string]string{"PUBLIC_URL": ""}, "public URL", "warning", "PUBLIC_URL is not set"},
		"no such name":         {map[string]string{"PUBLIC_URL": "https://cubegate.invalid"}, "public URL", "failed", "does not resolve"},
		"nothing there":        {map[string]string{"PUBLIC_URL": "http://127.0.0.1:1"}, "public URL", "failed", "nothing answers at http://127.0.0.1:1"},
		"another server":       {map[string]string{"PUBLIC_URL": u.URL}, "public URL", "failed", "no cubegate answers at "},
		"another secret":       {map[string]string{"JWT_SECRET": servertest.OtherJWTSecret}, "public URL", "failed", "does not accept a ticket made with these settings"},
		"another secret there": {map[string]string{"JWT_SECRET": servertest.OtherJWTSecret}, "identity provider", "failed", "the server that ConnectyCube asks does not accept a ticket"},
		"CORS":                 {nil, "CORS", "ok", "https://app.example.org may call the API"},
		"another origin":       {map[string]string{"CORS_ORIGINS": "https://other.example.org"}, "CORS", "failed", "the server does not permit https://other.example.org"},
		"CORS of the proxy, too": {map[string]string{"PUBLIC_URL": proxied(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Add("Access-Control-Allow-Origin", "https://app.example.org")
		})}, "CORS", "failed", "the proxy adds its own header"},
		"a proxy that eats OPTIONS": {map[string]string{"PUBLIC_URL": proxied(func(_ http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodOptions {
				r.Method = http.MethodGet
				r.Header.Del("Origin")
			}
		})}, "CORS", "failed", "the server does not permit https://app.example.org"},
		"a proxy before nothing":       {map[string]string{"PUBLIC_URL": badGateway.URL}, "public URL", "failed", "the proxy at " + badGateway.URL + " reaches no server (status 502)"},
		"no database":                  {map[string]string{"MONGO_URI": "mongodb://127.0.0.1:1/app", "MONGO_TIMEOUT": "2s"}, "database", "failed", "127.0.0.1:1 refuses connections"},
		"a database alone":             {map[string]string{"MONGO_URI": db.URI() + "&appName=x"}, "replica set", "warning", "the database is a server alone"},
		"no indexes":                   {map[string]string{"MONGO_URI": db.URI()}, "indexes", "warning", "indexes are missing: users.email_1, "},
		"a clock":                      {map[string]string{"MONGO_URI": db.URI()}, "clock", "ok", "within 5 s"},
		"a version":                    {map[string]string{"MONGO_URI": db.URI()}, "database version", "ok", "7."},
		"no callback secret":           {map[string]string{"CONNECTYCUBE_CIDP_SECRET": ""}, "secrets", "warning", "CONNECTYCUBE_CIDP_SECRET is not set"},
		"no server":                    {map[string]string{"DATA_DIR": t.TempDir(), "PORT": "1", "PUBLIC_URL": ""}, "server", "warning", "no server answers at http://127.0.0.1:1"},
		"no database yet":              {map[string]string{"DATA_DIR": t.TempDir()}, "database", "skipped", "the first start makes it"},
		"a folder that cannot be made": {map[string]string{"DATA_DIR": file + "/data"}, "data folder", "failed", "no file can be made in DATA_DIR=" + file + "/data: not a directory"},
		"an open folder":               {map[string]string{"DATA_DIR": open}, "data folder", "warning", "other users may enter"},
		"no keys":                      {map[string]string{"JWT_KEYS": open}, "signing keys", "failed", "has no key files (*.json): create the first key with \"cubegate keys new --in 0s\""},
		"the database of the server":   {nil, "database", "ok", "embedded, in "},
		"its indexes":                  {nil, "indexes", "ok", "all are there"},
		"the server":                   {nil, "server", "ok", "runs at " + p.URL},
		"a misspelled setting":         {map[string]string{"PORT": "many"}, "settings", "failed", "port (PORT, set in the environment): want a whole number"},
	} {
		t.Run(name, func(t *testing.T) {
			diagnose(t, servertest.Merge(settings, tt.settings)).want(t, tt.check, tt.state, tt.text)
		})
	}
}

// The doctor prints what the machine carries, and settings of argon2id for a wanted time.
func TestDoctorMeasuresHashes(t *testing.T) {
	t.Parallel()
	settings := map[string]string{"DATA_DIR": t.TempDir()}
	r := diagnose(t, settings, "--hash-time", "20ms")
	if h := r.Passwords; h.AtOnce < 1 || h.LoginsPerSecond <= 0 || h.Wanted == nil || h.Wanted.Memory < 19456 || h.Wanted.Iterations < 1 || h.Wanted.Parallelism != 1 {
		t.Errorf("%+v", h)
	}
	if r := diagnose(t, settings); r.Passwords.Wanted != nil {
		t.Errorf("without a wanted time: %+v", r.Passwords)
	}
	got := servertest.Run(t.Context(), servertest.Merge(maps.Clone(servertest.QuickSettings), settings), "doctor", "--hash-time", "20ms")
	if got.Code != 0 || !strings.Contains(got.Stdout, "This machine carries about ") || !strings.Contains(got.Stdout, "\nFor 20 ms: PASSWORD_MEMORY=") {
		t.Errorf("%+v", got)
	}
}

// The cure of a wrong setting names its help.
func TestDoctorNamesTheHelpOfASetting(t *testing.T) {
	t.Parallel()
	for _, c := range diagnose(t, map[string]string{"PORT": "many", "LOG_LEVEL": "loud"}).Checks {
		name := map[bool]string{true: "PORT", false: "LOG_LEVEL"}[strings.HasPrefix(c.Cause, "port ")]
		if want := `correct it; "cubegate help ` + name + `" explains it`; c.Cure != want {
			t.Errorf("%s: cure %q, want %q", c.Cause, c.Cure, want)
		}
	}
}

// A trial run with the defaults has no faults and no warnings. Without its server, the
// report says once that no server runs, and lists the checks that need one.
func TestDoctorOfATrialRun(t *testing.T) {
	t.Parallel()
	p := servertest.Spawn(t, nil).WaitReady(t)
	settings := map[string]string{"DATA_DIR": p.Cmd.Dir + "/data"}
	for _, c := range diagnose(t, settings).Checks {
		if c.State != "ok" && c.Check != "proxy" {
			t.Errorf("%+v", c)
		}
	}
	p.Signal(t, syscall.SIGTERM)
	if code := p.ExitCode(t); code != 0 {
		t.Fatalf("the server ended with %d", code)
	}
	settings["PORT"] = "1"
	got := servertest.Run(t.Context(), servertest.Merge(maps.Clone(servertest.QuickSettings), settings), "doctor")
	const once = "  skipped  public URL, connectycube key, V1 look-ups, unknown users, identity provider, admin key (no server runs)\n"
	if got.Code != 0 || !strings.Contains(got.Stdout, once) || strings.Count(got.Stdout, "skipped") != 2 || strings.Count(got.Stdout, "warning") != 1 || !strings.Contains(got.Stdout, "  skipped  proxy (PUBLIC_URL is not set)\n") {
		t.Errorf("%+v", got)
	}
}
