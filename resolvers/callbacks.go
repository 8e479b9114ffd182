package resolvers

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"

	"cubegate/resolvers/apierror"
	"cubegate/store"
	"cubegate/tokens"
)

// CallbackSecretHeader is the request header in which ConnectyCube shows the
// callback secret. ConnectyCube's dashboard sends any header that it is told to
// (contract 8.1). Authorization is left to tokens.
const CallbackSecretHeader = "X-CIdP-Secret"

// Callbacks tells the verify route which questions come from ConnectyCube, and
// which of those a request of our own has caused.
type Callbacks struct {
	secret    [sha256.Size]byte // digest: a comparison does not show the length
	hasSecret bool
	derived   func(userID string) []tokens.DerivedPassword
	proven    *provenPasswords
}

// NewCallbacks needs the passwords that the server derives for accounts at
// ConnectyCube. Without a secret the verify route answers about no password.
func NewCallbacks(secret tokens.Secret, derived func(userID string) []tokens.DerivedPassword) *Callbacks {
	return &Callbacks{
		secret:    sha256.Sum256([]byte(secret.Reveal())),
		hasSecret: !secret.IsZero(),
		derived:   derived,
		proven:    newProvenPasswords(),
	}
}

var (
	errNoCallbackSecret = &apierror.Error{Code: apierror.Forbidden, Message: "Passwords are not verified here: the setting CONNECTYCUBE_CIDP_SECRET is empty"}
	errCallbackSecret   = &apierror.Error{Code: apierror.Forbidden, Message: "Passwords are verified for ConnectyCube alone: the header " + CallbackSecretHeader + " is missing or wrong"}
)

// authorize checks that a caller may ask about passwords.
func (c *Callbacks) authorize(header http.Header) error {
	if !c.hasSecret {
		return errNoCallbackSecret
	}
	shown := header.Values(CallbackSecretHeader)
	if len(shown) != 1 {
		return errCallbackSecret
	}
	digest := sha256.Sum256([]byte(shown[0]))
	if subtle.ConstantTimeCompare(digest[:], c.secret[:]) != 1 {
		return errCallbackSecret
	}
	return nil
}

// derivedLength is the length of every derived password, in bytes.
const derivedLength = 40

// mayBeOurs reports whether a request of ours may have caused a question.
func (c *Callbacks) mayBeOurs(in loginInput) bool {
	return len(in.Password) == derivedLength || c.proven.Expects(in.Email)
}

// isDerived reports whether a password is the server's own for the account of
// a user. Reconciliation tries it before the server knows that ConnectyCube asks an
// identity provider. It is never the user's.
func (c *Callbacks) isDerived(user store.User, password string) bool {
	return slices.ContainsFunc(c.derived(user.ID), func(d tokens.DerivedPassword) bool {
		return subtle.ConstantTimeCompare([]byte(d.Password), []byte(password)) == 1
	})
}
