package sandbox_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cubegate/connectycube/sandbox"
)

func open(t *testing.T, file string) *sandbox.Sandbox {
	t.Helper()
	return openWith(t, sandbox.Options{DataFile: file})
}

func openWith(t *testing.T, o sandbox.Options) *sandbox.Sandbox {
	t.Helper()
	s, err := sandbox.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func shut(t *testing.T, s *sandbox.Sandbox) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// survivesRestarts starts the sandbox of a data file twice again, with login for each, and
// checks that look returns the same. It returns the last sandbox.
func survivesRestarts(t *testing.T, s *sandbox.Sandbox, file string, login func(*sandbox.Sandbox), look func() string) *sandbox.Sandbox {
	t.Helper()
	before := look()
	for range 2 {
		shut(t, s)
		s = open(t, file)
		login(s)
		if after := look(); after != before {
			t.Errorf("read back:\n%s, was:\n%s", after, before)
		}
	}
	return s
}

// furnish fills a sandbox with one of each item. It returns jane's token, and the requests
// of a client afterward with their answers.
func furnish(t *testing.T, s *sandbox.Sandbox) (token string, answers map[string]string) {
	t.Helper()
	c := in(t, s)
	john := c.signUp(`{"login":"john","email":"john@example.com","password":"22222222","external_id":"ext","tag_list":"a,b","timezone":-60,"custom_data":"{}"}`)
	token = c.open(jane)
	c.open(`{"guest":"1","full_name":"Visitor"}`)
	johns := c.open(`{"login":"john","password":"22222222"}`)
	group := c.send("POST", "/chat/Dialog", `{"type":2,"name":"Team","occupants_ids":"`+john+`","description":"d"}`, "CB-Token", token).str("_id")
	m := c.send("POST", "/chat/Message", `{"chat_dialog_id":"`+group+`","message":"one","attachments":[{"type":"image","id":"u"}],"big":9007199254740993,"nested":{"a":[1,null,true]}}`, "CB-Token", token).str("_id")
	c.send("POST", "/chat/Message", `{"recipient_id":`+john+`,"message":"two"}`, "CB-Token", token)
	c.send("PUT", "/chat/Message/"+m+"/reactions", `{"add":"👍"}`, "CB-Token", johns)
	c.send("PUT", "/chat/Message/"+m, `{"read":1,"chat_dialog_id":"`+group+`"}`, "CB-Token", johns)
	c.send("POST", "/chat/Message", `{"chat_dialog_id":"`+group+`","message":"three"}`, "CB-Token", token)
	answers = map[string]string{}
	for _, path := range []string{
		"/users/v2?id[in][]=" + john, "/chat/Dialog", "/chat/Message?mark_as_read=0&chat_dialog_id=" + group,
		"/chat/Message/unread", "/chat/Message/" + m + "/reactions",
	} {
		for _, who := range []string{token, johns} {
			answers[who+" "+path] = c.send("GET", path, "", "CB-Token", who).text
		}
	}
	return token, answers
}

func TestTheDataFileKeepsEverythingButSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sandbox.json")
	s := open(t, file)
	if err := s.Advance(time.Hour); err != nil {
		t.Fatal(err)
	}
	token, answers := furnish(t, s)
	before := s.State()
	shut(t, s)

	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"11111111", "22222222", token, strings.ToLower(token)} {
		if bytes.Contains(raw, []byte(secret)) {
			t.Errorf("%s is in the file", secret)
		}
	}
	for _, name := range []string{file, file + ".lock"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want it readable for its owner only", name, info.Mode(), err)
		}
	}

	for range 2 { // the state that was read is written again
		s = open(t, file)
		after := s.State()
		if len(after.Users) != 3 || after.Sessions != before.Sessions || after.Totals != before.Totals || after.Clock.Ahead != "1h0m0s" {
			t.Errorf("state = %+v, was %+v", after, before)
		}
		c := in(t, s)
		for question, want := range answers {
			who, path, _ := strings.Cut(question, " ")
			if g := c.send("GET", path, "", "CB-Token", who); withoutUse(g.text) != withoutUse(want) {
				t.Errorf("GET %s:\n%s\nwas\n%s", path, g.text, want)
			}
		}
		if g := c.send("GET", "/session", "", "CB-Token", token); g.str("session.token") != token {
			t.Errorf("session = %s", g.text)
		}
		c.open(jane) // a wrong password would be refused
		shut(t, s)
		before.Sessions++
	}

	s = open(t, file)
	if id := in(t, s).signUp(`{"login":"late","password":"11111111"}`); strings.Contains(answers[token+" /chat/Dialog"], id) {
		t.Errorf("id %s was used again", id)
	}
	if err := s.Advance(24 * time.Hour); err != nil {
		t.Fatal(err)
	}
	if after := s.State(); after.Sessions != 0 || len(after.Users) != 3 { // jane, john, late
		t.Errorf("after a day: %+v", after)
	}
}

// withoutUse removes the time of the last request, which a request changes.
func withoutUse(answer string) string {
	head, rest, found := strings.Cut(answer, `"last_request_at":`)
	if !found {
		return answer
	}
	_, rest, _ = strings.Cut(rest, ",")
	return head + withoutUse(rest)
}

func TestTheDataFileIsWrittenWhileTheSandboxRuns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sandbox.json")
	s := open(t, file)
	in(t, s).signUp(jane)
	eventually(t, func() bool {
		raw, _ := os.ReadFile(file)
		return bytes.Contains(raw, []byte(`"jane"`))
	})
	in(t, s).signUp(`{"login":"john","password":"11111111"}`)
	eventually(t, func() bool {
		raw, _ := os.ReadFile(file)
		return bytes.Contains(raw, []byte(`"john"`))
	})
	shut(t, s) // a write would have a third file for a moment
	if names, _ := filepath.Glob(filepath.Dir(file) + "/*"); len(names) != 2 {
		t.Errorf("files: %v", names)
	}
}

func eventually(t *testing.T, until func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !until(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the condition did not become true")
		}
	}
}

// TestReadingIsWrittenToo: of all GETs, only a list of messages changes the state.
func TestReadingIsWrittenToo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sandbox.json")
	both := people(t, open(t, file), "anna", "boris")
	anna, boris := both[0], both[1]
	dialog := anna.group(boris)
	anna.say(dialog, "hello")
	inFile := func(text string) func() bool {
		return func() bool {
			raw, _ := os.ReadFile(file)
			return strings.Contains(string(raw), text)
		}
	}
	eventually(t, inFile(`"read":[`+anna.id+`]`))
	boris.call(200, "GET /chat/Message?chat_dialog_id="+dialog, "")
	eventually(t, inFile(`"read":[`+anna.id+`,`+boris.id+`]`))
}

func TestTheDataFileIsForOneProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sandbox.json")
	s := open(t, file)
	if _, err := sandbox.Open(sandbox.Options{DataFile: file}); !errors.Is(err, sandbox.ErrInUse) {
		t.Errorf("error = %v, want ErrInUse", err)
	}
	shut(t, s)
	shut(t, s) // twice is no error
	shut(t, open(t, file))
}

func TestADamagedDataFileIsRefusedAndLeftAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sandbox.json")
	s := open(t, file)
	furnish(t, s)
	shut(t, s)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	damages := map[string]string{
		"empty":                    "",
		"no JSON":                  "hello",
		"another version":          strings.Replace(string(whole), `"version":5`, `"version":6`, 1),
		"another app":              strings.Replace(string(whole), `"app_id":1001`, `"app_id":7`, 1),
		"unknown field":            strings.Replace(string(whole), `"app_id"`, `"application_id"`, 1),
		"a user twice":             strings.Replace(string(whole), `"login":"john"`, `"login":"jane"`, 1),
		"an empty password":        strings.Replace(string(whole), `"password":"`, `"password":"","x":"`, 1),
		"a password cut off":       strings.Replace(string(whole), `"password":"$argon2id$v=19`, `"password":"$argon2id$`, 1),
		"a shorter salt":           strings.Replace(string(whole), `"salt":"`, `"salt":"QUJD","x":"`, 1),
		"4 TiB for a hash":         strings.Replace(string(whole), `$m=19456,`, `$m=4294967295,`, 1),
		"no passes":                strings.Replace(string(whole), `,t=2,p=1$`, `,t=0,p=1$`, 1),
		"a hash of before":         strings.Replace(string(whole), `"password":"`, `"hash":"QUJD","password":"`, 1),
		"passwords of then":        strings.Replace(string(whole), `"version":5`, `"version":1`, 1),
		"a dialog of none":         strings.Replace(string(whole), `"dialog":"`, `"dialog":"0`, 1),
		"a kind of dialog":         strings.Replace(string(whole), `"type":2`, `"type":5`, 1),
		"a clock run away":         strings.Replace(string(whole), `"clock_ahead_ns":0`, `"clock_ahead_ns":-1`, 1),
		"a session without a user": strings.Replace(string(whole), `"user_id":`, `"user_id":9`, 1),
	}
	for n := 1; n < len(whole)-1; n += len(whole) / 40 {
		damages[fmt.Sprint("cut at ", n)] = string(whole[:n])
	}
	for name, damaged := range damages {
		if damaged == string(whole) {
			t.Fatalf("%s: nothing was damaged", name)
		}
		if err := os.WriteFile(file, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := sandbox.Open(sandbox.Options{DataFile: file})
		if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "data file") {
			t.Errorf("%s: error = %v", name, err)
		}
		if now, _ := os.ReadFile(file); string(now) != damaged {
			t.Errorf("%s: the file was changed", name)
		}
	}
	if err := os.WriteFile(file, whole, 0o600); err != nil { // the lock was released each time
		t.Fatal(err)
	}
	shut(t, open(t, file))
}

func TestAFileThatCannotBeWrittenIsReported(t *testing.T) {
	if _, err := sandbox.Open(sandbox.Options{DataFile: filepath.Join(t.TempDir(), "no", "such.json")}); err == nil {
		t.Error("a missing folder is no error")
	}
	folder := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	log := &safeBuffer{}
	s, err := sandbox.Open(sandbox.Options{
		DataFile: filepath.Join(folder, "sandbox.json"),
		Log:      slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	in(t, s).signUp(jane)
	eventually(t, func() bool { return strings.Contains(log.String(), "state of the sandbox not written") })
	if err := s.Close(); err == nil {
		t.Error("closing is no error")
	}
}

// safeBuffer is a log for concurrent reads and writes.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *safeBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *safeBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
