package tokens_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cubegate/tokens"
)

const reuse = 30 * time.Second

// begin is when the sessions of these tests begin.
var begin = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// life is one login session at its server.
type life struct {
	ring   *tokens.SecretRing
	family tokens.RefreshFamily
	now    time.Time
	salts  int
}

// newLife returns a login session with its first token.
func newLife(secrets ...tokens.Secret) (*life, string) {
	l := &life{now: begin}
	l.rotate(secrets...)
	first := l.ring.NewRefreshToken("session")
	l.family = tokens.NewRefreshFamily(first.Hash)
	return l, first.Text
}

// rotate replaces the secrets; the current one is the first.
func (l *life) rotate(secrets ...tokens.Secret) {
	if len(secrets) == 0 {
		secrets = []tokens.Secret{goodSecret}
	}
	l.ring = ring(secrets[0], secrets[1:]...)
}

// use presents a token. A valid one becomes another.
func (l *life) use(token, client string) (string, error) {
	p, err := l.ring.ParseRefreshToken(token)
	if err != nil {
		return "", err
	}
	l.salts++
	family, next, err := l.family.Use(p, tokens.Exchange{Salt: fmt.Sprint("salt ", l.salts), At: l.now, Client: client}, reuse)
	if err != nil {
		return "", err
	}
	l.family = family
	return next.Text, nil
}

func (l *life) must(t *testing.T, token, client string) string {
	t.Helper()
	next, err := l.use(token, client)
	if err != nil || next == token {
		t.Fatalf("a valid token: %v", err)
	}
	return next
}

func stale(err error) bool { _, ok := errors.AsType[*tokens.StaleError](err); return ok }

// Within the window, the client of the first exchange gets the same successor, as often
// as it asks; every other client gets another one, each time.
func TestTheSameClientGetsTheSameSuccessor(t *testing.T) {
	l, token := newLife()
	for range 2 { // the first token of a session, and a child
		first := l.must(t, token, "home")
		for _, age := range []time.Duration{0, time.Second, 29 * time.Second, reuse} {
			l.now = begin.Add(age)
			if again := l.must(t, token, "home"); again != first {
				t.Errorf("after %v: another successor", age)
			}
			seen := map[string]bool{first: true}
			for _, client := range []string{"elsewhere", "elsewhere", "another app"} {
				sibling := l.must(t, token, client)
				if seen[sibling] {
					t.Errorf("after %v: %s gets the successor of another exchange", age, client)
				}
				seen[sibling] = true
			}
		}
		l.now, token = begin, first
	}
}

// The first exchange after a window opens another window, with another successor.
func TestAWindowEnds(t *testing.T) {
	l, token := newLife()
	first := l.must(t, token, "home")
	l.now = begin.Add(reuse + time.Millisecond)
	second := l.must(t, token, "mobile")
	if second == first {
		t.Error("the successor is the same after the window")
	}
	if l.must(t, token, "home") == first {
		t.Error("the successor of the former window is given again")
	}
	if l.must(t, token, "mobile") != second {
		t.Error("the second window gives its client another successor")
	}
	if _, err := l.use(first, "home"); err != nil { // the answer came late
		t.Errorf("the successor of the former window: %v", err)
	}
}

// The successor depends on the token, the salt and the server's secret.
func TestTheSuccessorNeedsTokenSaltAndSecret(t *testing.T) {
	exchange := func(r *tokens.SecretRing, token, salt string) string {
		t.Helper()
		p, err := r.ParseRefreshToken(token)
		if err != nil {
			t.Fatal(err)
		}
		_, next, err := tokens.NewRefreshFamily(p.Hash).Use(p, tokens.Exchange{Salt: salt, At: begin}, reuse)
		if err != nil {
			t.Fatal(err)
		}
		return next.Text[:43] // without the session and the tag
	}
	r := ring(goodSecret)
	token := r.NewRefreshToken("session").Text
	one := exchange(r, token, "salt")
	if exchange(ring(goodSecret), token, "salt") != one {
		t.Error("two replicas make different successors")
	}
	for name, other := range map[string]string{
		"salt":   exchange(r, token, "another salt"),
		"token":  exchange(r, r.NewRefreshToken("session").Text, "salt"),
		"secret": exchange(ring(otherSecret, goodSecret), token, "salt"),
	} {
		if other == one {
			t.Errorf("the successor does not depend on the %s", name)
		}
	}
}

// A replica that has another secret by now gives the same successor, as long as it
// knows the former one.
func TestTheSuccessorSurvivesANewSecret(t *testing.T) {
	l, token := newLife()
	first := l.must(t, token, "home")
	l.rotate(otherSecret, goodSecret)
	if l.must(t, token, "home") != first {
		t.Error("with the former secret known: another successor")
	}
	l.must(t, l.must(t, first, "home"), "home") // whose tags come from both secrets

	// The replicas of a rotation: this one still knows the former secret alone.
	l, token = newLife()
	l.rotate(otherSecret, goodSecret)
	first = l.must(t, token, "home")
	l.rotate(goodSecret)
	sibling := l.must(t, token, "home") // it cannot make the other's
	l.rotate(otherSecret, goodSecret)
	if l.must(t, token, "home") != first {
		t.Error("back at the replica of the first exchange: another successor")
	}
	l.must(t, sibling, "home")

	l, token = newLife()
	l.must(t, token, "home")
	next := l.must(t, token, "mobile")
	l.rotate(otherSecret)
	if _, err := l.use(token, "home"); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("with the former secret gone: %v", err)
	}
	if _, err := l.use(next, "home"); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("with the former secret gone, a sibling: %v", err)
	}
}

// A retired token ends nothing for the time of the window, and then the session.
func TestARetiredTokenIsStaleForAWhile(t *testing.T) {
	l, token := newLife()
	first := l.must(t, token, "home")
	sibling := l.must(t, token, "mobile")
	l.now = begin.Add(time.Hour)
	l.must(t, first, "home") // retires token and sibling
	for name, retired := range map[string]string{"the parent": token, "a sibling": sibling} {
		for _, age := range []time.Duration{0, 29 * time.Second, reuse} {
			l.now = begin.Add(time.Hour + age)
			before := l.family
			_, err := l.use(retired, "home")
			wait, ok := errors.AsType[*tokens.StaleError](err)
			if !ok || wait.After <= reuse-age || wait.After > reuse-age+time.Second {
				t.Errorf("%s after %v: %v, wait %+v", name, age, err, wait)
			}
			if before.Parent != l.family.Parent || !slices.Equal(before.Children, l.family.Children) {
				t.Errorf("%s after %v changes the family", name, age)
			}
		}
		l.now = begin.Add(time.Hour + reuse + time.Millisecond)
		if _, err := l.use(retired, "home"); !errors.Is(err, tokens.ErrReplayed) {
			t.Errorf("%s after the window: %v", name, err)
		}
	}
}

// A clock that is behind that of another replica sees windows that open in the future.
func TestAWindowMayOpenInTheFuture(t *testing.T) {
	l, token := newLife()
	first := l.must(t, token, "home")
	l.now = begin.Add(-time.Second)
	if l.must(t, token, "home") != first {
		t.Error("another successor")
	}
	l.must(t, first, "home")
	l.now = begin.Add(-2 * time.Second)
	if _, err := l.use(token, "home"); !stale(err) {
		t.Errorf("a retired token: %v", err)
	}
}

// Records of an earlier version have no exchange and no retired tokens.
func TestAFamilyOfAnEarlierVersion(t *testing.T) {
	l, token := newLife()
	lost := l.must(t, token, "home")
	l.family = tokens.RefreshFamily{Parent: l.family.Parent, Children: l.family.Children}
	again := l.must(t, token, "home")
	if again == lost || l.must(t, token, "home") != again {
		t.Error("the first exchange that is known does not open a window")
	}
	next := l.must(t, lost, "home") // whose answer came late
	l.family = tokens.RefreshFamily{Parent: l.family.Parent, Children: l.family.Children}
	if _, err := l.use(token, "home"); !errors.Is(err, tokens.ErrReplayed) {
		t.Errorf("a token that an earlier version retired: %v", err)
	}
	l.must(t, next, "home")
}

func TestFamilyIsBounded(t *testing.T) {
	l, token := newLife()
	first := l.must(t, token, "home")
	var last string
	for range 1000 {
		last = l.must(t, token, "elsewhere")
	}
	if len(l.family.Children) > 128 || len(l.family.Retired) > 16 {
		t.Errorf("%d children and %d retired tokens are kept", len(l.family.Children), len(l.family.Retired))
	}
	if _, err := l.use(first, "home"); err == nil {
		t.Error("the oldest child is still valid")
	}
	next := l.must(t, last, "elsewhere")
	if len(l.family.Retired) != 16 {
		t.Errorf("%d retired tokens are kept, want 16", len(l.family.Retired))
	}
	if _, err := l.use(token, "home"); !stale(err) {
		t.Errorf("the parent among many retired tokens: %v", err)
	}
	l.now = begin.Add(time.Hour)
	l.must(t, l.must(t, next, "home"), "home")
	if len(l.family.Retired) > 2 {
		t.Errorf("%d retired tokens are kept after their window", len(l.family.Retired))
	}
	if _, _, err := tokens.NewRefreshFamily("").Use(tokens.PresentedToken{}, tokens.Exchange{At: begin}, reuse); !errors.Is(err, tokens.ErrReplayed) {
		t.Errorf("an empty token of an empty family: %v", err)
	}
}

// The client that opened the window has the first child. It is remembered before the
// children of strangers.
func TestTheFirstChildIsRememberedBeforeStrangers(t *testing.T) {
	l, token := newLife()
	first := l.must(t, token, "home")
	var last string
	for range 50 {
		last = l.must(t, token, "elsewhere")
	}
	l.must(t, last, "elsewhere")
	for name, retired := range map[string]string{"the parent": token, "the first child": first} {
		if _, err := l.use(retired, "home"); !stale(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A setting of no window keeps the rule of earlier versions.
func TestWithoutAWindow(t *testing.T) {
	r := ring(goodSecret)
	first := r.NewRefreshToken("session")
	family := tokens.NewRefreshFamily(first.Hash)
	use := func(text string) (string, error) {
		p, err := r.ParseRefreshToken(text)
		if err != nil {
			t.Fatal(err)
		}
		next, child, err := family.Use(p, tokens.Exchange{Salt: text, At: begin}, 0)
		family = next
		return child.Text, err
	}
	child, err := use(first.Text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := use(child); err != nil {
		t.Fatal(err)
	}
	if _, err := use(first.Text); !errors.Is(err, tokens.ErrReplayed) {
		t.Errorf("a token that was just retired: %v", err)
	}
}

func TestTokensAreHidden(t *testing.T) {
	l, token := newLife()
	p, err := l.ring.ParseRefreshToken(token)
	if err != nil {
		t.Fatal(err)
	}
	made := l.ring.NewRefreshToken("session")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if shown := fmt.Sprintf(verb, p); strings.Contains(shown, fmt.Sprintf("%q", token[:10])) || strings.Contains(shown, string(goodSecret)) {
			t.Errorf("%s shows a presented token: %s", verb, shown)
		}
		if verb != "%#v" && strings.Contains(fmt.Sprintf(verb, made), made.Text) {
			t.Errorf("%s shows a new token", verb)
		}
	}
}
