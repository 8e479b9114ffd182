package lifecycle

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cubegate/server/servertest"
)

// A setting that ConnectyCube does not accept does not stop the start. An ERROR line and
// the banner name it, a registration says so and leaves nothing, and who has an account
// logs in.
func TestSettingsThatConnectyCubeRefuses(t *testing.T) {
	u := servertest.NewUpstream(t)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>Welcome</html>")) }))
	t.Cleanup(page.Close)
	for name, tt := range map[string]struct {
		settings map[string]string
		setting  string
	}{
		"another key":         {map[string]string{"AUTH_KEY": "Zebra7Quartz"}, "AUTH_KEY"},
		"unknown application": {map[string]string{"APP_ID": "99"}, "APP_ID"},
		"another path":        {map[string]string{"CONNECTYCUBE_API_URL": u.URL + "/nowhere"}, "CONNECTYCUBE_API_URL"},
		"a web site":          {map[string]string{"CONNECTYCUBE_API_URL": page.URL}, "CONNECTYCUBE_API_URL"},
		"a plain server":      {map[string]string{"CONNECTYCUBE_API_URL": strings.Replace(u.URL, "http:", "https:", 1)}, "CONNECTYCUBE_API_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			p := servertest.Spawn(t, servertest.Merge(u.Settings(), tt.settings)).WaitReady(t)
			if want := "not ready: ConnectyCube does not accept " + tt.setting + "."; !strings.Contains(inOneLine(p.Stdout.String()), want) {
				t.Errorf("the banner lacks %q:\n%s", want, p.Stdout)
			}
			p.WaitLog(t)
			if log := p.Log.String(); strings.Count(log, `"level":"ERROR"`) != 1 || !strings.Contains(log, `"setting":"`+tt.setting+`"`) || strings.Contains(log, "Zebra7Quartz") {
				t.Errorf("want one ERROR line with %s and without the key: %s", tt.setting, log)
			}
			r := &servertest.Server{URL: p.URL, Log: p.Log}
			for range 2 { // the first leaves nothing, so the email is not taken
				got := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org"))
				if got.Code() != "UPSTREAM_UNAVAILABLE" || !strings.Contains(got.Body, "The chat service is not configured for this server") {
					t.Errorf("register: %s", got.Body)
				}
			}
			if got := u.Requests(http.MethodPost, "/users"); len(got) != 0 {
				t.Errorf("%d sign-ups were sent", len(got))
			}
		})
	}
}

// A user who has an account logs in while the key is refused, and gets to chat once it
// is right.
func TestLoginWhileKeyIsRefused(t *testing.T) {
	u := servertest.NewUpstream(t)
	data := map[string]string{"DATA_DIR": t.TempDir()}
	first := servertest.Spawn(t, servertest.Merge(u.Settings(), data)).WaitReady(t)
	(&servertest.Server{URL: first.URL, Log: first.Log}).Register(t, "ada@example.org")
	first.Kill(t)
	if log := first.Log.String(); strings.Contains(log, `"level":"ERROR"`) || strings.Contains(inOneLine(first.Stdout.String()), "not ready") {
		t.Errorf("with the right settings: %s", log)
	}
	second := servertest.Spawn(t, servertest.Merge(servertest.Merge(u.Settings(), data), map[string]string{"AUTH_KEY": "another"})).WaitReady(t)
	r := &servertest.Server{URL: second.URL, Log: second.Log}
	if got := r.Login(t, servertest.LoginDocument, "ada@example.org"); got.Token == "" || got.ChatStatus != "UNAVAILABLE" {
		t.Errorf("login: %+v, want a token and chatStatus UNAVAILABLE", got)
	}
}

// A service that is away is no wrong setting: the server starts, and registrations wait.
// When the service comes and refuses the key, that is told then, and when it accepts it,
// the accounts follow.
func TestStartWhileConnectyCubeIsAway(t *testing.T) {
	u := servertest.NewUpstream(t)
	u.Respond(http.MethodPost, "/session", http.StatusServiceUnavailable, `{"errors":["down"]}`)
	r := u.Start(t, false, nil)
	if log := r.Log.String(); strings.Contains(log, `"level":"ERROR"`) || !strings.Contains(log, "ConnectyCube does not tell yet") {
		t.Errorf("log: %s", log)
	}
	u.Respond(http.MethodPost, "/session", http.StatusUnauthorized, `{"errors":["Unauthorized"]}`)
	servertest.Eventually(t, "the refusal is told", func() bool {
		return strings.Contains(r.Log.String(), `"level":"ERROR"`) && strings.Contains(r.Log.String(), `"setting":"AUTH_KEY"`)
	})
	if got := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org")); got.Code() != "UPSTREAM_UNAVAILABLE" {
		t.Errorf("register while the key is refused: %s", got.Body)
	}
	u.Restore()
	servertest.Eventually(t, "the settings are accepted", func() bool { return strings.Contains(r.Log.String(), "ConnectyCube accepts the settings") })
	if got := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser("ada@example.org")); got.Code() != "" || got.Data.Register.ChatStatus != "READY" {
		t.Errorf("register with the right key: %s", got.Body)
	}
}

// Settings that the database refuses end the start with one line; see also the tests of
// store.Open.
func TestStartTellsWhyTheDatabaseIsRefused(t *testing.T) {
	for uri, want := range map[string]string{
		"mongodb://ada:Zebra7Quartz@x@127.0.0.1:1/app":         "has an unescaped @",
		"mongodb://ada:<db_password>@127.0.0.1:1/app":          "has a placeholder in place of its value",
		"postgres://ada:Zebra7Quartz@127.0.0.1:1/app":          "starts with mongodb://",
		"mongodb://ada:Zebra7Quartz@127.0.0.1:1/app?ssl=maybe": "MONGO_URI: invalid connection string: the option ssl has a wrong value",
	} {
		p := servertest.Spawn(t, map[string]string{"MONGO_URI": uri, "JWT_SECRET": servertest.JWTSecret})
		if code := p.ExitCode(t); code != 1 || !strings.Contains(p.Log.String(), want) || strings.Contains(p.Log.String(), "Zebra7Quartz") {
			t.Errorf("%s: exit status %d, want 1 with %q: %s", uri, code, want, p.Log)
		}
	}
}
