package identity

import (
	"fmt"
	"hash/maphash"

	lru "github.com/hashicorp/golang-lru/v2"
)

// maxFamiliar bounds the pairs in a familiarNetworks, of about 100 bytes each.
const maxFamiliar = 20_000

// familiarNetworks remembers from which networks the owners of accounts have logged in
// or refreshed since the process started. It decides only whether a login is worth its
// look-ups while the hash queue is full: the login sessions decide the rest. It is safe
// for concurrent use.
type familiarNetworks struct {
	seed  maphash.Seed
	pairs *lru.Cache[uint64, struct{}]
}

func newFamiliarNetworks() (*familiarNetworks, error) {
	pairs, err := lru.New[uint64, struct{}](maxFamiliar)
	if err != nil {
		return nil, fmt.Errorf("creating the list of familiar networks: %w", err)
	}
	return &familiarNetworks{maphash.MakeSeed(), pairs}, nil
}

// familiarPair is an account and a network.
type familiarPair struct{ emailKey, network string }

func (f *familiarNetworks) note(p familiarPair) {
	f.pairs.Add(maphash.Comparable(f.seed, p), struct{}{})
}

func (f *familiarNetworks) includes(p familiarPair) bool {
	return f.pairs.Contains(maphash.Comparable(f.seed, p))
}
