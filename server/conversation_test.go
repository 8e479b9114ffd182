package server

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// TestConversations replays testdata/*.txtar against the whole program, each
// file against one of its own. A file is a conversation: a section named by
// method, path and headers is what a client sends, the section after it, named
// by a status, what it must get.
//
//	-- POST /api --
//	{"query": "{hello}"}
//	-- 200 --
//	{"data": {"hello": "Hello from API!"}}
//
// In an answer {{name}} stands for anything but null; from there on it stands
// for that very value, in requests too. {{_}} is anything each time, and
// {{sandbox}} is the sandbox's address, {{secret}} the callback secret.
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := start(t, knownCallback)
			c := conversation{running: r, known: map[string]string{"sandbox": r.box, "secret": ownCallbackSecret}}
			for i := 0; i+1 < len(archive.Files); i += 2 {
				c.turn(t, archive.Files[i], archive.Files[i+1])
			}
			if len(archive.Files)%2 != 0 {
				t.Error("the last request has no answer")
			}
		})
	}
}

type conversation struct {
	*running
	known map[string]string // as JSON text
}

func (c conversation) turn(t *testing.T, ask, want txtar.File) {
	t.Helper()
	lines := strings.Split(c.fill(ask.Name), " | ")
	method, url, _ := strings.Cut(lines[0], " ")
	var header []string
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		header = append(header, name, value)
	}
	got := c.request(t, method, url, strings.TrimSuffix(c.fill(string(ask.Data)), "\n"), header...)
	if strconv.Itoa(got.status) != want.Name {
		t.Fatalf("%s: %d, want %s: %s", ask.Name, got.status, want.Name, got.body)
	}
	if err := c.match(string(want.Data), got.body); err != nil {
		t.Fatalf("%s: %v\n got %s\nwant %s", ask.Name, err, got.body, want.Data)
	}
}

// fill writes known values into what is sent.
func (c conversation) fill(s string) string {
	for name, value := range c.known {
		s = strings.ReplaceAll(s, "{{"+name+"}}", strings.Trim(value, `"`))
	}
	return s
}

func (c conversation) match(want, got string) error {
	if want = strings.TrimSpace(want); want == "" {
		return nil
	}
	var w, g any
	if json.Unmarshal([]byte(want), &w) != nil || json.Unmarshal([]byte(got), &g) != nil {
		if strings.Contains(got, want) {
			return nil
		}
		return fmt.Errorf("the text is not in it")
	}
	return c.matchValue(w, g, "$")
}

func (c conversation) matchValue(want, got any, path string) error {
	switch w := want.(type) {
	case string:
		name, isName := strings.CutPrefix(w, "{{")
		if isName {
			return c.matchName(strings.TrimSuffix(name, "}}"), got, path)
		}
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return fmt.Errorf("%s has other fields", path)
		}
		for k := range w {
			if err := c.matchValue(w[k], g[k], path+"."+k); err != nil {
				return err
			}
		}
		return nil
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return fmt.Errorf("%s has another length", path)
		}
		for i := range w {
			if err := c.matchValue(w[i], g[i], path+"."+strconv.Itoa(i)); err != nil {
				return err
			}
		}
		return nil
	}
	if !reflect.DeepEqual(want, got) {
		return fmt.Errorf("%s is %v", path, got)
	}
	return nil
}

func (c conversation) matchName(name string, got any, path string) error {
	raw, err := json.Marshal(got)
	if err != nil || got == nil {
		return fmt.Errorf("%s is %v", path, got)
	}
	known, ok := c.known[name]
	if ok && known != string(raw) {
		return fmt.Errorf("%s is %s, not %s as before", path, raw, known)
	}
	if name != "_" {
		c.known[name] = string(raw)
	}
	return nil
}
