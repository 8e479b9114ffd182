package security

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cubegate/server"
	"cubegate/server/servertest"
)

// maxSeries bounds the series of one process. Each costs Prometheus memory for as long as
// it keeps data.
const maxSeries = 400

// No client adds a series or a text to the metrics, whatever it sends.
func TestMetricsHaveNothingOfAClient(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, servertest.Merge(servertest.OpsSettings, map[string]string{"LOGIN_FAILURES": "3"}))
	before := r.Scrape(t)
	const marker = "zebra7quartz"
	in := servertest.NewUser(marker + "@example.org")
	in["password"] = marker + " password"
	r.GraphQL(t, servertest.RegisterDocument, in)
	sendHostile(t, r, marker)
	after := r.Scrape(t)
	if n := len(after.Series); n > maxSeries {
		t.Errorf("%d series, want at most %d", n, maxSeries)
	}
	for one := range after.Series {
		if _, known := before.Series[one]; !known {
			t.Errorf("requests added the series %s", one)
		}
	}
	if len(after.Series) != len(before.Series) {
		t.Errorf("%d series, want the %d from the start", len(after.Series), len(before.Series))
	}
	if strings.Contains(strings.ToLower(after.Text), marker) {
		t.Error("the metrics have a text of a client")
	}
	counted := 0.0
	for one, value := range after.Series {
		if strings.HasPrefix(one, "cubegate_errors_total") {
			counted += value
		}
	}
	if counted < 100 {
		t.Errorf("%v errors are counted: the requests did not arrive", counted)
	}
}

// sendHostile sends a marker in every place of a request that a server could read.
func sendHostile(t *testing.T, r *servertest.Server, marker string) {
	t.Helper()
	email := `{"email":"` + marker + `@example.org","password":"` + marker + `-%d"}`
	paths := []string{"/", "/api", "/docs", "/metrics", "/auth/login", "/auth/me", "/auth/refresh", "/auth/sessions", server.VerifyPath, "/" + marker, "/auth/" + marker + "/x", "/readyz"}
	for i, path := range paths {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodHead, strings.ToUpper(marker), "M" + fmt.Sprint(i), "PROPFIND"} {
			r.Request(t, method, path+"?token="+marker+"&operationName="+marker, `{"`+marker+`":"`+marker+`"}`,
				"Authorization", "Bearer "+marker, "X-Request-Id", marker, "Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
				"User-Agent", marker, "X-Forwarded-For", marker, server.VerifyPath[1:5]+"-"+marker, marker)
		}
	}
	documents := []string{
		`{ ` + marker + ` }`, `query ` + marker + ` { hello }`, `mutation ` + marker + ` { ` + marker + `: login(body: {email: \"x\", password: \"y\"}) { message } }`,
		`mutation { logout(refreshToken: \"` + marker + `\") { message } }`, `{ __type(name: \"` + marker + `\") { name } }`, `{ hello @` + marker + ` }`, `subscription { ` + marker + ` }`, marker, ``,
	}
	for _, document := range documents {
		r.Request(t, http.MethodPost, "/api", `{"query":"`+document+`","operationName":"`+marker+`","extensions":{"code":"`+marker+`"}}`)
		r.Request(t, http.MethodPost, "/api", `{"query":"`+document+`"}`)
	}
	for i := range 12 {
		body := fmt.Sprintf(email, i)
		for _, path := range []string{"/auth/login", "/auth/login-by-token", "/auth/register", server.VerifyPath} {
			r.Request(t, http.MethodPost, path, body, slices.Concat(servertest.CallbackHeader, []string{"Content-Type", "application/json"})...)
		}
		r.Request(t, http.MethodPost, "/auth/refresh", fmt.Sprintf(`{"refreshToken":"%s%d"}`, marker, i))
		r.Request(t, http.MethodPost, r.SandboxURL+"/session.json", body)
	}
}
