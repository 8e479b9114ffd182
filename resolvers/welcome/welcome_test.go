package welcome_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"cubegate/resolvers/welcome"
)

const secretOfTheOperator = "v1.2.3-of-the-operator"

func serve(f welcome.Facts, target string) *httptest.ResponseRecorder {
	f.Version, f.AppID = secretOfTheOperator, 98765
	f.Dashboard = func(r *http.Request) string { return "http://" + r.Host + ":3001" }
	w := httptest.NewRecorder()
	welcome.New(f).ServeHTTP(w, httptest.NewRequest("GET", target, nil))
	return w
}

// If something is real, the page shows its links only.
func TestPageOfARealServerSaysNothing(t *testing.T) {
	t.Parallel()
	body := serve(welcome.Facts{Playground: true}, "/").Body.String()
	for _, secret := range []string{secretOfTheOperator, "98765", "3001", "embedded", "sandbox", "MONGO", "Register", "<script"} {
		if strings.Contains(body, secret) {
			t.Errorf("it shows %s", secret)
		}
	}
	for _, link := range []string{`href="./api"`, `href="./docs"`} {
		if !strings.Contains(body, link) {
			t.Errorf("it lacks %s", link)
		}
	}
	if strings.Contains(serve(welcome.Facts{}, "/").Body.String(), "./api") {
		t.Error("it links to a playground that is off")
	}
}

func TestPageOfTheStandInsSaysWhatRuns(t *testing.T) {
	t.Parallel()
	w := serve(welcome.Facts{StandIns: true, Playground: true}, "/")
	body := w.Body.String()
	for _, part := range []string{secretOfTheOperator, "98765", "embedded", `href="http://example.com:3001/"`, "Register a first user"} {
		if !strings.Contains(body, part) {
			t.Errorf("it lacks %s", part)
		}
	}
	policy := w.Header().Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %s", policy)
	}
	if inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son\w+=|javascript:|<script(?: \w+)?>`).FindString(body); inline != "" {
		t.Errorf("the page contains %q, which its policy blocks", inline)
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="(welcome/[^"]*)"`).FindAllStringSubmatch(body, -1) {
		if asset := serve(welcome.Facts{StandIns: true}, "/"+m[1]); asset.Code != 200 || !strings.Contains(asset.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %s", m[1], asset.Code, asset.Header())
		}
	}
}

// The URL of the dashboard differs between clients, and so does the tag of the page.
func TestTagFollowsTheClient(t *testing.T) {
	t.Parallel()
	tag := func(host string) string {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "http://"+host+"/", nil)
		f := welcome.Facts{StandIns: true, Dashboard: func(r *http.Request) string { return "http://" + r.Host }}
		welcome.New(f).ServeHTTP(w, r)
		return w.Header().Get("ETag")
	}
	first, again, other := tag("a.example"), tag("a.example"), tag("b.example")
	if first == "" || first != again || first == other {
		t.Errorf("tags %s, %s and %s", first, again, other)
	}
}
