package servertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// Conversation is a series of requests to a server. A file holds it as pairs of a
// request and the wanted reply.
type Conversation struct {
	*Server
	Known map[string]string // values by name, as JSON text
}

// Replay sends one request and checks its reply.
func (c Conversation) Replay(t *testing.T, ask, want txtar.File) {
	t.Helper()
	lines := strings.Split(c.fill(ask.Name), " | ")
	method, url, _ := strings.Cut(lines[0], " ")
	var header []string
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		header = append(header, name, value)
	}
	got := c.Request(t, method, url, strings.TrimSuffix(c.fill(string(ask.Data)), "\n"), header...)
	if strconv.Itoa(got.Status) != want.Name {
		t.Fatalf("%s: %d, want %s: %s", ask.Name, got.Status, want.Name, got.Body)
	}
	if err := c.match(string(want.Data), got.Body); err != nil {
		t.Fatalf("%s: %v\n got %s\nwant %s", ask.Name, err, got.Body, want.Data)
	}
}

// fill replaces each {{name}} in a request with the known value.
func (c Conversation) fill(s string) string {
	for name, value := range c.Known {
		s = strings.ReplaceAll(s, "{{"+name+"}}", strings.Trim(value, `"`))
	}
	return s
}

// match compares a reply with the wanted one. Text that is not JSON must occur in
// the reply.
func (c Conversation) match(want, got string) error {
	if want = strings.TrimSpace(want); want == "" {
		return nil
	}
	var w, g any
	if json.Unmarshal([]byte(want), &w) != nil || json.Unmarshal([]byte(got), &g) != nil {
		if strings.Contains(got, want) {
			return nil
		}
		return errors.New("the reply lacks the wanted text")
	}
	return c.matchValue(w, g, "$")
}

func (c Conversation) matchValue(want, got any, path string) error {
	switch w := want.(type) {
	case string:
		name, isName := strings.CutPrefix(w, "{{")
		if isName {
			return c.matchName(strings.TrimSuffix(name, "}}"), got, path)
		}
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return fmt.Errorf("%s has different fields", path)
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
			return fmt.Errorf("%s has a different length", path)
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

// matchName compares a value with the one known under the name. The first value
// of a name becomes known; the name "_" matches each value except null.
func (c Conversation) matchName(name string, got any, path string) error {
	raw, err := json.Marshal(got)
	if err != nil || got == nil {
		return fmt.Errorf("%s is %v", path, got)
	}
	known, ok := c.Known[name]
	if ok && known != string(raw) {
		return fmt.Errorf("%s is %s, want %s as before", path, raw, known)
	}
	if name != "_" {
		c.Known[name] = string(raw)
	}
	return nil
}
