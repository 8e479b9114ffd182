package provisioning

import (
	"cubegate/connectycube"
	"cubegate/store"
)

// step is an action that brings an account closer to what it should be. The order is
// that in which next returns the steps.
type step int

const (
	stepNone     step = iota
	stepFind          // ask ConnectyCube for the result of earlier attempts
	stepSignUp        // sign up the account, or adopt one
	stepUpdate        // email and name
	stepComplete      // what the account lacks: external ID, name, email
	stepRotate        // the password
	stepDelete        // the account, then the user's document
)

// known is what is known of a user's account.
type known struct {
	removed     bool   // the user's document is gone
	uncertain   bool   // an earlier attempt may have done more than was saved, and was not looked for
	cubeID      int64  // ID of the account; 0 = none
	hasBaseline bool   // email and name are known; false for an account of the original until it changes
	email, name string // as ConnectyCube has them
	confirmed   bool   // ConnectyCube has told the email, the name and the external ID; an empty one is missing
	externalID  string // as ConnectyCube has told it
	completed   bool   // stepComplete has run; it may have failed to complete the account
	password    store.PasswordKind
	rotated     bool // stepRotate has run; it may keep the old password
}

// wanted is what the user's document wants the account to be.
type wanted struct {
	deleted     bool
	id          string // the user's, which is the account's external ID
	email, name string
	password    store.PasswordKind // empty = the one that the account has
}

// next returns the step that brings known closer to wanted. It is pure: the caller
// performs the step, saves what it learned, and asks again until stepNone.
func next(k known, w wanted) step {
	switch {
	case k.removed:
		return stepNone
	case w.deleted:
		return stepDelete // looks for the account by itself
	case k.uncertain:
		return stepFind // a second sign-up could create a second account
	case k.cubeID == 0:
		return stepSignUp
	case k.emailDiffers(w.email) || k.nameDiffers(w.name):
		return stepUpdate
	case k.lacksAnything(w):
		return stepComplete
	case w.password != "" && w.password != k.password && !k.rotated:
		return stepRotate
	}
	return stepNone
}

// emailDiffers reports whether ConnectyCube is known to have another email. An email that
// is known to be missing is no other email.
func (k known) emailDiffers(email string) bool {
	return k.hasBaseline && (k.email != "" || !k.confirmed) && store.EmailKey(k.email) != store.EmailKey(email)
}

// nameDiffers reports whether ConnectyCube is known to have another name. A user of the
// original may have no name, which ConnectyCube would not take.
func (k known) nameDiffers(name string) bool {
	return k.hasBaseline && (k.name != "" || !k.confirmed) && name != "" && k.name != name
}

// lacksAnything reports whether the account is known to be incomplete.
func (k known) lacksAnything(w wanted) bool {
	return k.confirmed && !k.completed && (k.email == "" || k.name == "" && w.name != "" || k.externalID != w.id)
}

// told returns k after ConnectyCube has described the account.
func (k known) told(account connectycube.User) known {
	k.email, k.name, k.externalID, k.confirmed = account.Email, account.FullName, account.ExternalID, true
	return k
}
