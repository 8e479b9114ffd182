package resolvers

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/identity"
	"cubegate/tokens"
)

// VerifyPath is the route that ConnectyCube calls back.
const VerifyPath = "/auth/verify-connectycube"

// CallbackSecretHeader is the request header with the callback secret. ConnectyCube's
// dashboard sends any header that it is configured to send; see docs/connectycube.md,
// Identity provider. The header Authorization is for tokens.
const CallbackSecretHeader = "X-CIdP-Secret"

// verifyAPI answers ConnectyCube's callbacks.
type verifyAPI struct {
	auth   *identity.Authenticator
	secret callbackSecret
}

// callbackSecret shows which callbacks ConnectyCube sends. The zero value permits none.
type callbackSecret struct {
	digest [sha256.Size]byte // a comparison of digests does not show the length
	isSet  bool
}

func newCallbackSecret(secret tokens.Secret) callbackSecret {
	return callbackSecret{sha256.Sum256([]byte(secret.Reveal())), !secret.IsZero()}
}

var (
	errNoCallbackSecret = &apierror.Error{Code: apierror.Forbidden, Message: "The server verifies no passwords; set CONNECTYCUBE_CIDP_SECRET"}
	errCallbackSecret   = &apierror.Error{Code: apierror.Forbidden, Message: "The server verifies passwords only for ConnectyCube; send the callback secret in the header " + CallbackSecretHeader}
)

// check returns an error unless a request has the secret, which permits it to ask about
// a password.
func (s callbackSecret) check(header http.Header) error {
	if !s.isSet {
		return errNoCallbackSecret
	}
	sent := header.Values(CallbackSecretHeader)
	if len(sent) != 1 {
		return errCallbackSecret
	}
	digest := sha256.Sum256([]byte(sent[0]))
	if subtle.ConstantTimeCompare(digest[:], s.digest[:]) != 1 {
		return errCallbackSecret
	}
	return nil
}

// verifyResponse describes the user by names that the response params of ConnectyCube's
// dashboard map: user.id, user.email and user.full_name. What the user does not have is
// left out, because ConnectyCube would not take an empty text.
type verifyResponse struct {
	User struct {
		ID       string `json:"id"`
		Email    string `json:"email,omitempty"`
		FullName string `json:"full_name,omitempty"`
	} `json:"user"`

	Client string `json:"client,omitempty"` // only for a check of the set-up: the client IP that the server sees
}

// verify answers ConnectyCube, which as a client of this Custom Identity Provider asks
// to which user a login belongs; see docs/connectycube.md, Identity provider.
func (a *verifyAPI) verify(ctx context.Context, c identity.Caller, in identity.CallbackRequest) (*verifyResponse, error) {
	user, err := a.auth.VerifyCallback(ctx, c, in)
	if err != nil {
		return nil, err
	}
	out := &verifyResponse{}
	out.User.ID = user.ID
	if user.ID == identity.ProbeID {
		out.Client = c.Client.IP
	}
	if !user.Deleting { // a tombstone has neither
		out.User.Email, out.User.FullName = user.Email, user.FullName()
	}
	return out, nil
}
