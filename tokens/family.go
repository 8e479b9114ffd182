package tokens

import (
	"crypto/sha256"
	"errors"
	"slices"
	"time"
)

// ErrReplayed means that a refresh token was used long after it had been retired: two
// parties have it.
var ErrReplayed = errors.New("refresh token is retired")

// StaleError means that a refresh token was used shortly after it had been retired: a
// network may have delivered the request late or twice.
type StaleError struct {
	After time.Duration // when the same token will count as replayed
}

func (*StaleError) Error() string { return "refresh token has just been retired" }

// RefreshFamily holds the hashes of the refresh tokens of one login session: the parent,
// which is the token that was used last, and the children that clients got for it. The
// parent stays valid until a child is used. All other tokens of the session are retired.
//
// A lost reply does no harm, because the parent gives a child again: the same one to the
// same client within a window, so that a request that is delivered twice, or sent by two
// tabs of an app, changes nothing; another one to any other client. If two parties have
// the same token, the second one to use its child is detected.
type RefreshFamily struct {
	Parent   string
	Children []string
	Exchange Exchange       // that opened the parent's window; zero = none yet, or not known
	Retired  []RetiredToken // within the window, at most maxRetired
}

// Exchange is the exchange of a refresh token for its successor. Salt is random; a
// secret, the salt and the token itself make the successor.
type Exchange struct {
	Salt   string
	At     time.Time
	Client string // a mark that equal clients share
}

// RetiredToken is the hash of a token, and when its successor or a sibling was used. The
// hash is in bytes, because a family may have many of them.
type RetiredToken struct {
	Hash [sha256.Size]byte
	At   time.Time
}

// Bounds of a family. The oldest children are retired first. They bound the number of
// lost replies and concurrent refreshes of other clients than the first.
const (
	maxChildren = 128
	maxRetired  = 16
)

// NewRefreshFamily returns the family of a new session with one token.
func NewRefreshFamily(hash string) RefreshFamily { return RefreshFamily{Parent: hash} }

// Use exchanges a token and returns the new family and the token's successor. The salt
// of now must be new. The error is a [StaleError] for a token that was retired within
// the window, and [ErrReplayed] for every older one.
func (f RefreshFamily) Use(p PresentedToken, now Exchange, window time.Duration) (RefreshFamily, RefreshToken, error) {
	if err := f.Check(p, now.At, window); err != nil {
		return f, RefreshToken{}, err
	}
	if p.Hash == f.Parent {
		return f.useAgain(p, now, window)
	}
	next := p.successors(now.Salt)[0]
	return RefreshFamily{Parent: p.Hash, Children: []string{next.Hash}, Exchange: now, Retired: f.retire(p.Hash, now.At, window)}, next, nil
}

// Check returns the error of [RefreshFamily.Use], without the exchange.
func (f RefreshFamily) Check(p PresentedToken, at time.Time, window time.Duration) error {
	switch {
	case p.Hash == "":
		return ErrReplayed
	case p.Hash == f.Parent, slices.Contains(f.Children, p.Hash):
		return nil
	}
	hash, ok := hashBytes(p.Hash)
	for _, r := range f.Retired {
		if ok && r.Hash == hash && within(r.At, at, window) {
			return &StaleError{After: window - at.Sub(r.At) + time.Millisecond}
		}
	}
	return ErrReplayed
}

// useAgain exchanges the parent. The first exchange opens a window, and so does the first
// one after a window: within it, only the client that opened it gets the same successor.
func (f RefreshFamily) useAgain(p PresentedToken, now Exchange, window time.Duration) (RefreshFamily, RefreshToken, error) {
	var next RefreshToken
	switch opened := f.Exchange; {
	case opened.At.IsZero() || !within(opened.At, now.At, window):
		f.Exchange, next = now, p.successors(now.Salt)[0]
	case opened.Client == now.Client:
		for _, same := range p.successors(opened.Salt) { // the current secret may have changed meanwhile
			if slices.Contains(f.Children, same.Hash) {
				return f, same, nil
			}
		}
		next = p.sibling()
	default:
		next = p.sibling()
	}
	f.Children = append(slices.Clone(f.Children), next.Hash)
	if over := len(f.Children) - maxChildren; over > 0 {
		f.Retired = f.remember(f.Children[:over], now.At, window)
		f.Children = f.Children[over:]
	}
	return f, next, nil
}

// retire returns the retired tokens once a child is used: its parent and its siblings,
// except those without room. The first child comes before other siblings, because the
// client that opened the window has it.
func (f RefreshFamily) retire(used string, at time.Time, window time.Duration) []RetiredToken {
	siblings := slices.Clone(f.Children)
	slices.Reverse(siblings[min(1, len(siblings)):]) // the newest of the others first
	siblings = slices.DeleteFunc(siblings, func(hash string) bool { return hash == used })
	return f.remember(append([]string{f.Parent}, siblings...), at, window)
}

// remember returns the retired tokens with more of them, the newest first, without those
// whose window is over.
func (f RefreshFamily) remember(hashes []string, at time.Time, window time.Duration) []RetiredToken {
	list := make([]RetiredToken, 0, len(hashes)+len(f.Retired))
	for _, text := range hashes {
		if hash, ok := hashBytes(text); ok {
			list = append(list, RetiredToken{hash, at})
		}
	}
	for _, r := range f.Retired {
		if within(r.At, at, window) {
			list = append(list, r)
		}
	}
	return slices.Clip(list[:min(len(list), maxRetired)])
}

// within reports whether a time lies within the window that another time opens. The
// clocks of replicas differ, so a window may begin in the future. A window of 0 is none.
func within(opened, at time.Time, window time.Duration) bool {
	return window > 0 && at.Sub(opened) <= window
}
