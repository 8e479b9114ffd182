package identitytest

import (
	"strings"

	"cubegate/store"
	"cubegate/tokens"
)

// Edit changes the user while requests run.
func (f *Users) Edit(edit func(*store.User)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	u := *f.User
	edit(&u)
	f.User = &u
}

// Remove removes the user.
func (f *Users) Remove() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.User = nil
}

// VerifyLogout also accepts a token such as "expired "+AdaID.
func (v Verifier) VerifyLogout(raw string) (tokens.Claims, error) {
	if subject, ok := strings.CutPrefix(raw, "expired "); ok {
		return tokens.Claims{Subject: subject, SessionID: "s1"}, nil
	}
	return v.VerifyAccess(raw)
}
