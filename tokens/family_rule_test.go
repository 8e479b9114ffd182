package tokens_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"cubegate/tokens"
)

// rule is what a family must do, in its simplest form: it remembers everything.
type rule struct {
	parent  map[string]string // of each token
	retired map[string]time.Time
	used    map[string]bool
	windows map[string]window
}

// window is the last window that an exchange of a token opened.
type window struct {
	opened time.Time
	client string
	child  string
}

// accepts returns what the rule says of a token: the error, the successor if it must be
// a certain one, and whether the successor must be new.
func (r *rule) accepts(token, client string, now time.Time) (same string, err error) {
	if at, ok := r.retired[token]; ok {
		if now.Sub(at) <= reuse {
			return "", &tokens.StaleError{}
		}
		return "", tokens.ErrReplayed
	}
	if w, ok := r.windows[token]; ok && now.Sub(w.opened) <= reuse && w.client == client {
		return w.child, nil
	}
	return "", nil
}

// record remembers that a token became a child.
func (r *rule) record(token, client, child string, now time.Time) {
	if !r.used[token] {
		r.used[token] = true
		if parent, has := r.parent[token]; has {
			r.retired[parent] = now
			for sibling, of := range r.parent {
				if of == parent && sibling != token {
					r.retired[sibling] = now
				}
			}
		}
	}
	if w, ok := r.windows[token]; !ok || now.Sub(w.opened) > reuse {
		r.windows[token] = window{now, client, child}
	}
	if _, known := r.parent[child]; !known {
		r.parent[child] = token
	}
}

// step is one request: a token, by its number among the issued ones, a client, and the
// time since the step before.
type step struct {
	pick   int
	client string
	wait   time.Duration
}

// Every order of five requests, each with one of the tokens issued before, from the same
// client, at once or after the window, or from another client at once, gives the result
// of the rule.
func TestFamilyAgreesWithTheRule(t *testing.T) {
	runs, ends := 0, map[string]int{}
	var walk func(path []step)
	walk = func(path []step) {
		runs++
		l, first := newLife()
		r := &rule{parent: map[string]string{}, retired: map[string]time.Time{}, used: map[string]bool{first: true}, windows: map[string]window{}}
		issued := []string{first}
		for i, s := range path {
			l.now = l.now.Add(s.wait)
			token := issued[s.pick]
			same, want := r.accepts(token, s.client, l.now)
			child, err := l.use(token, s.client)
			if stale(err) != stale(want) || errors.Is(err, tokens.ErrReplayed) != errors.Is(want, tokens.ErrReplayed) || (err == nil) != (want == nil) {
				t.Fatalf("%+v: step %d gives %v, the rule says %v", path, i, err, want)
			}
			switch {
			case stale(err):
				ends["stale"]++
				continue
			case err != nil:
				ends["replayed"]++
				return // the session is over
			case same != "" && child != same, same == "" && slices.Contains(issued, child):
				t.Fatalf("%+v: step %d: another successor than the rule's", path, i)
			}
			r.record(token, s.client, child, l.now)
			if !slices.Contains(issued, child) {
				issued = append(issued, child)
			}
		}
		if len(path) == 5 {
			return
		}
		for pick := range issued {
			if len(path) == 0 { // which client is first makes no difference
				walk([]step{{pick, "home", time.Second}})
				continue
			}
			for _, next := range []step{{pick, "home", time.Second}, {pick, "elsewhere", time.Second}, {pick, "home", reuse + time.Second}} {
				walk(append(slices.Clone(path), next))
			}
		}
	}
	walk(nil)
	if runs < 5_000 || ends["stale"] == 0 || ends["replayed"] == 0 {
		t.Errorf("%d orders were tried: %v", runs, ends)
	}
}
