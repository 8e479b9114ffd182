package identity

import (
	"fmt"
	"hash/maphash"
	"slices"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Bounds of familiarNetworks: accounts, of about 150 bytes each, and networks of one
// account. A person logs in from few networks at a time.
const (
	maxFamiliar           = 20_000
	maxFamiliarPerAccount = 4
)

// familiarNetworks remembers from which networks the owners of accounts have logged in
// or refreshed since the process started. It decides only whether a login is worth its
// look-ups while the hash queue is full: the login sessions decide the rest.
//
// It forgets the least recently used accounts, and of one account the oldest networks. So an
// attacker who uses one account from very many networks does not make it forget those of
// others. It is safe for concurrent use.
type familiarNetworks struct {
	seed maphash.Seed

	mu       sync.Mutex
	accounts *simplelru.LRU[uint64, []uint64] // networks by account, the newest first; both are hashes
}

func newFamiliarNetworks() (*familiarNetworks, error) {
	accounts, err := simplelru.NewLRU[uint64, []uint64](maxFamiliar, nil)
	if err != nil {
		return nil, fmt.Errorf("creating the list of familiar networks: %w", err)
	}
	return &familiarNetworks{seed: maphash.MakeSeed(), accounts: accounts}, nil
}

// familiarPair is an account and a network.
type familiarPair struct{ emailKey, network string }

func (f *familiarNetworks) note(p familiarPair) {
	account, network := maphash.String(f.seed, p.emailKey), maphash.String(f.seed, p.network)
	f.mu.Lock()
	defer f.mu.Unlock()
	known, _ := f.accounts.Peek(account)
	networks := []uint64{network}
	for _, n := range known {
		if n != network && len(networks) < maxFamiliarPerAccount {
			networks = append(networks, n)
		}
	}
	f.accounts.Add(account, networks)
}

func (f *familiarNetworks) includes(p familiarPair) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	networks, _ := f.accounts.Peek(maphash.String(f.seed, p.emailKey))
	return slices.Contains(networks, maphash.String(f.seed, p.network))
}
