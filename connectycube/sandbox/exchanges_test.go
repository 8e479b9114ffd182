package sandbox_test

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"cubegate/connectycube/sandbox"
)

// exchanges are facts: a request in the SDKs' form, and the required parts of the answer.
// They come from the recorded traffic and the documentation.
//
//go:embed testdata/exchanges.json
var exchanges []byte

type exchange struct {
	Name    string
	Request string // method and path
	As      string // john, app, dead, empty, key, other key; "" = none
	JSON    json.RawMessage
	Form    string
	Raw     string
	V1      bool // the application has the first users API on

	Status  int
	Body    any            // the whole body
	Want    map[string]any // parts of it by path; see check
	Empty   bool
	Expires bool // the answer states when the session expires
	Ended   bool // it does not: the session has ended
}

// caller is a client of the sandbox with plain HTTP.
type caller struct {
	t    *testing.T
	base string
	http *http.Client
}

func in(t *testing.T, s *sandbox.Sandbox) caller {
	return caller{t, "http://sandbox.invalid", s.Client()}
}

type got struct {
	status int
	header http.Header
	text   string
	body   any
}

// send makes a request and fails the test if there is no answer.
func (c caller) send(method, path, body string, header ...string) got {
	c.t.Helper()
	answer, err := c.try(method, path, body, header...)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer
}

func (c caller) try(method, path, body string, header ...string) (got, error) {
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return got{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return got{}, err
	}
	g := got{status: resp.StatusCode, header: resp.Header, text: string(raw)}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	_ = dec.Decode(&g.body) // stays nil if the body is no JSON
	return g, nil
}

// at follows a path such as items.0.id.
func (g got) at(path string) (any, bool) {
	v := g.body
	for step := range strings.SplitSeq(path, ".") {
		switch node := v.(type) {
		case map[string]any:
			child, ok := node[step]
			if !ok {
				return nil, false
			}
			v = child
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(node) {
				return nil, false
			}
			v = node[i]
		default:
			return nil, false
		}
	}
	return v, true
}

func (g got) str(path string) string {
	v, _ := g.at(path)
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

const application = `{"application_id":1001,"auth_key":"sandbox-auth-key"`

// open returns the token of a new session; user is JSON, "" for none.
func (c caller) open(user string) string {
	c.t.Helper()
	body := application + "}"
	if user != "" {
		body = application + `,"user":` + user + "}"
	}
	g := c.send("POST", "/session", body)
	if g.status != 201 {
		c.t.Fatalf("POST /session: %d %s", g.status, g.text)
	}
	return g.str("session.token")
}

// signUp returns the ID of a new user.
func (c caller) signUp(user string) string {
	c.t.Helper()
	g := c.send("POST", "/users", `{"user":`+user+`}`, "CB-AuthKey", "sandbox-auth-key")
	if g.status != 201 {
		c.t.Fatalf("POST /users: %d %s", g.status, g.text)
	}
	return g.str("user.id")
}

func TestExchanges(t *testing.T) {
	var all []exchange
	dec := json.NewDecoder(bytes.NewReader(exchanges))
	dec.UseNumber()
	dec.DisallowUnknownFields()
	if err := dec.Decode(&all); err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		t.Run(e.Name, func(t *testing.T) {
			c := in(t, sandbox.New(sandbox.Options{V1Users: e.V1}))
			john := c.signUp(`{"login":"john","email":"john@example.com","password":"11111111","full_name":"John","phone":"1","external_id":"ext-1"}`)
			c.signUp(`{"login":"jane","password":"11111111","full_name":"Gabrielle Corcoran","phone":"44678162873","tag_list":["apple"],
				"facebook_id":"95610574","twitter_id":"83510562734","external_user_id":675373912}`)
			header := map[string][]string{
				"john":      {"CB-Token", c.open(`{"login":"john","password":"11111111"}`)},
				"app":       {"CB-Token", c.open("")},
				"dead":      {"CB-Token", strings.Repeat("A1", 18), "CB-AuthKey", "sandbox-auth-key"},
				"empty":     {"CB-Token", ""},
				"key":       {"CB-AuthKey", "sandbox-auth-key"},
				"other key": {"CB-AuthKey", "other-key"},
				"":          nil,
			}[e.As]
			method, path, _ := strings.Cut(e.Request, " ")
			path = strings.ReplaceAll(path, "{john}", john)
			g := c.send(method, path, string(e.JSON)+e.Form+e.Raw, append(header, "Content-Type", contentType(e, method))...)
			e.check(t, g, john)
		})
	}
}

// ContentType returns the Content-Type of the JS SDK for a method.
func contentType(e exchange, method string) string {
	if e.Form != "" || method == "GET" || method == "DELETE" {
		return "application/x-www-form-urlencoded; charset=UTF-8"
	}
	return "application/json;charset=utf-8"
}

var shapes = map[string]*regexp.Regexp{
	"token":       regexp.MustCompile(`^[0-9A-F]{36}$`),
	"oid":         regexp.MustCompile(`^[0-9a-f]{24}$`),
	"number":      regexp.MustCompile(`^[1-9][0-9]*$`),
	"millis":      regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`),
	"seconds":     regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`),
	"blob uid":    regexp.MustCompile(`^[0-9a-f]{34}$`),
	"upload link": regexp.MustCompile(`^http://sandbox\.invalid/sandbox-s3\?Content-Type=text%2Fplain&Expires=[^&+]*GMT&acl=[^&]*&key=[0-9a-f]{34}&success_action_status=201&x-amz-signature=[0-9a-f]{64}$`),
	"guest":       regexp.MustCompile(`^guest_login_[0-9a-f]{36}$`),
}

func (e exchange) check(t *testing.T, g got, john string) {
	t.Helper()
	if g.status != e.Status {
		t.Fatalf("status %d, want %d: %s", g.status, e.Status, g.text)
	}
	if e.Body != nil && !reflect.DeepEqual(g.body, e.Body) {
		t.Errorf("body = %s, want %v", g.text, e.Body)
	}
	if e.Empty != (g.text == "") {
		t.Errorf("body = %q", g.text)
	}
	if ct := g.header.Get("Content-Type"); !e.Empty && ct != "application/json; charset=utf-8" {
		t.Errorf("content type = %q", ct)
	}
	if at := g.header.Get("CB-Token-ExpirationDate"); e.Expires && !regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$`).MatchString(at) || at != "" && (e.Ended || e.Status > 299) {
		t.Errorf("expiration = %q", at)
	}
	if strings.Contains(g.text, "11111111") || strings.Contains(g.text, "petU4or!") {
		t.Error("the answer shows a password")
	}
	for path, want := range e.Want {
		v, present := g.at(path)
		shape := shapes[fmt.Sprint(want)]
		switch {
		case want == "absent":
			if present {
				t.Errorf("%s = %v, want none", path, v)
			}
		case want == "john" && !strings.HasSuffix(path, "login"):
			if fmt.Sprint(v) != john {
				t.Errorf("%s = %v, want john's id %s", path, v, john)
			}
		case shape != nil:
			if !shape.MatchString(fmt.Sprint(v)) {
				t.Errorf("%s = %v, want a %s", path, v, want)
			}
		case !present || v != want:
			t.Errorf("%s = %v, want %v", path, v, want)
		}
	}
}
