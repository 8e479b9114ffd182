package provisioning

import (
	"unicode/utf8"

	"cubegate/store"
	"cubegate/tokens"
)

// Lengths of a password that ConnectyCube takes, in characters
// (docs/connectycube.md, Users).
const (
	minPasswordChars = 6
	maxPasswordChars = 40
)

func fitsConnectyCube(password string) bool {
	n := utf8.RuneCountInString(password)
	return n >= minPasswordChars && n <= maxPasswordChars
}

// canShare reports whether the user's own password is at hand and may be the account's.
func (p passwords) canShare() bool {
	return p.mode == SharedPasswords && fitsConnectyCube(p.shared().text)
}

// shared is the user's own password in the form that an account gets today.
func (p passwords) shared() passwordCandidate {
	return passwordCandidate{store.PasswordShared, tokens.NormalizePassword(p.own)}
}

// asSent is the user's own password in the form that the NestJS original and older
// releases of this server gave to an account.
func (p passwords) asSent() passwordCandidate {
	return passwordCandidate{store.PasswordAsSent, p.own}
}

// formsDiffer reports whether the client sent the user's own password in another form
// than an account gets today.
func (p passwords) formsDiffer() bool { return p.shared().text != p.own }

// ownForms are the forms of the user's own password to try: first that in which the
// account was made, as far as this is known, then the other one. ConnectyCube compares
// a password character by character.
func (p passwords) ownForms() []passwordCandidate {
	switch {
	case p.own == "":
		return nil
	case !p.formsDiffer(), !fitsConnectyCube(p.own) && fitsConnectyCube(p.shared().text):
		return []passwordCandidate{p.shared()}
	case p.kind == "", p.kind == store.PasswordAsSent:
		return []passwordCandidate{p.asSent(), p.shared()}
	}
	return []passwordCandidate{p.shared(), p.asSent()}
}

// needsRotation reports whether the account should get another password. An account of
// the original has the user's own, and nothing says so.
//
// The form of an account follows that of the hash: a password that users may type on
// any keyboard must open both. While the hash is of the password as it was sent, so is
// the account, because the original may still run beside this server.
func (r *reconciliation) needsRotation() bool {
	p := r.passwords()
	has, want := p.kind, p.desired().kind
	switch {
	case r.usesTickets() || has == want:
		return false
	case want != store.PasswordShared || has != "" && has != store.PasswordAsSent:
		return true
	case p.formsDiffer():
		return r.user.PasswordForm == tokens.PasswordForm
	}
	return has == "" && !r.user.Account.Due.IsZero()
}
