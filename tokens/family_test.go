package tokens_test

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"cubegate/tokens"
)

// stolen is one login session whose refresh token several devices have: the honest one,
// and thieves that have copied its secret store. Each continues with the token that it
// got last; if a reply is lost, it keeps its token.
type stolen struct {
	family  tokens.RefreshFamily
	over    bool
	issued  int
	holds   []string // by device: the token that it uses next
	retired map[string]bool
	parent  map[string]string
	used    map[string]bool
}

func newStolen(devices int) *stolen {
	s := &stolen{family: tokens.NewRefreshFamily("0"), retired: map[string]bool{}, parent: map[string]string{}, used: map[string]bool{"0": true}}
	for range devices {
		s.holds = append(s.holds, "0")
	}
	return s
}

// refresh makes a device use its token. It returns whether the device is still logged
// in, and compares the result with the rule.
func (s *stolen) refresh(t *testing.T, device int, lost bool) (loggedIn bool) {
	t.Helper()
	token := s.holds[device]
	if s.over {
		return false
	}
	s.issued++
	child := strconv.Itoa(s.issued)
	family, err := s.family.Use(token, child)
	if replay := s.retired[token]; replay != (err != nil) {
		t.Fatalf("token %s, retired %t: %v", token, replay, err)
	}
	if err != nil {
		s.over = true // at this request
		return false
	}
	s.family = family
	if !s.used[token] { // a child's first use retires its parent and its siblings
		s.used[token] = true
		for other, parent := range s.parent {
			if parent == s.parent[token] && other != token {
				s.retired[other] = true
			}
		}
		s.retired[s.parent[token]] = true
	}
	s.parent[child] = token
	if !lost {
		s.holds[device] = child
	}
	return true
}

// Every order in which up to three devices take six steps, each of which may lose its
// reply.
func TestEveryInterleavingOfRefreshes(t *testing.T) {
	const steps = 6
	runs, caught := 0, 0
	for devices := 1; devices <= 3; devices++ {
		ways := 1
		for range steps {
			ways *= 2 * devices
		}
		for way := range ways {
			s, rest := newStolen(devices), way
			for range steps {
				device, lost := rest%devices, rest/devices%2 == 1
				rest /= 2 * devices
				if !s.refresh(t, device, lost) && devices == 1 {
					t.Fatalf("way %d: an honest device is logged out", way)
				}
			}
			runs++
			if s.over {
				caught++
			}
		}
	}
	if runs != 64+4096+46656 || caught == 0 {
		t.Errorf("%d ways, %d ended sessions", runs, caught)
	}
	t.Logf("%d ways; in %d a device used a retired token and the session ended", runs, caught)
}

// A million random sessions with a fifth of the replies lost: a session with one device
// never ends, however many consecutive replies are lost.
func TestAMillionRandomRefreshes(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	honest, ended := 0, 0
	for n := 0; n < 1_000_000; {
		devices := 1 + dice.IntN(3)
		s := newStolen(devices)
		for range 1 + dice.IntN(40) {
			n++
			if s.refresh(t, dice.IntN(devices), dice.IntN(5) == 0) {
				continue
			}
			if devices == 1 {
				t.Fatalf("after %d refreshes an honest device is logged out", n)
			}
			ended++
			break
		}
		if devices == 1 {
			honest++
		}
	}
	t.Logf("%d honest lives, %d shared ones ended", honest, ended)
}
