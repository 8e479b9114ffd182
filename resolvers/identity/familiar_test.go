package identity

import (
	"fmt"
	"testing"
)

// An account that is used from very many networks, as an IPv6 /48 has them, makes no other
// account's network unknown.
func TestOneAccountDoesNotMakeOthersUnfamiliar(t *testing.T) {
	f, err := newFamiliarNetworks()
	if err != nil {
		t.Fatal(err)
	}
	ada := familiarPair{"ada@example.org", "198.51.100.7"}
	f.note(ada)
	for i := range 3 * maxFamiliar {
		f.note(familiarPair{"eve@example.org", fmt.Sprintf("2001:db8:0:%x::/64", i)})
	}
	if !f.includes(ada) {
		t.Error("the network of another account is forgotten")
	}
	if newest := (familiarPair{"eve@example.org", fmt.Sprintf("2001:db8:0:%x::/64", 3*maxFamiliar-1)}); !f.includes(newest) {
		t.Error("the newest network is not familiar")
	}
	if f.includes(familiarPair{"eve@example.org", ada.network}) {
		t.Error("a network is familiar to an account that has not used it")
	}
}

func TestFamiliarNetworksAreBounded(t *testing.T) {
	f, err := newFamiliarNetworks()
	if err != nil {
		t.Fatal(err)
	}
	for account := range maxFamiliar + 10 {
		for network := range maxFamiliarPerAccount + 2 {
			f.note(familiarPair{fmt.Sprint(account), fmt.Sprint(network)})
		}
	}
	if f.accounts.Len() != maxFamiliar {
		t.Errorf("%d accounts, want %d", f.accounts.Len(), maxFamiliar)
	}
	last := fmt.Sprint(maxFamiliar)
	if known, _ := f.accounts.Peek(f.accounts.Keys()[0]); len(known) != maxFamiliarPerAccount {
		t.Errorf("%d networks of an account, want %d", len(known), maxFamiliarPerAccount)
	}
	if f.includes(familiarPair{last, "0"}) || !f.includes(familiarPair{last, fmt.Sprint(maxFamiliarPerAccount + 1)}) {
		t.Error("an account keeps its oldest network instead of its newest")
	}
}
