package resolvers

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/identity"
	"cubegate/resolvers/transport"
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

// verifyResponse names the user by the names that ConnectyCube's dashboard reads.
type verifyResponse struct {
	User struct {
		ID    string `json:"id"`
		Email string `json:"email"`
	} `json:"user"`
}

// verify answers ConnectyCube, which as a client of this Custom Identity Provider asks
// to which user a login belongs; see docs/connectycube.md, Identity provider.
func (a *verifyAPI) verify(ctx context.Context, c identity.Caller, in identity.CallbackRequest) (*verifyResponse, error) {
	user, err := a.auth.VerifyCallback(ctx, c, in)
	if err != nil {
		return nil, err
	}
	out := &verifyResponse{}
	out.User.ID, out.User.Email = user.ID, user.Email
	return out, nil
}

// read reads ConnectyCube's question: a GET with ?token=, or a POST with a token,
// or with email and password, as JSON or as a form. A token may also be the bearer token
// of the header Authorization.
//
// Every client may ask about a token, because the token itself is the proof. Only a
// client with the callback secret may ask about a password, because a password can be
// guessed.
func (a *verifyAPI) read(r *http.Request) (identity.CallbackRequest, error) {
	p, err := readCallbackRequest(r)
	if err == nil && p.Token == "" {
		err = a.secret.check(r.Header)
	}
	return p, err
}

// readCallbackRequest reads the token, or the email and the password. It uses the bearer
// token if there is no other token; ConnectyCube can be configured to send either.
func readCallbackRequest(r *http.Request) (identity.CallbackRequest, error) {
	bearer, _ := transport.BearerToken(r.Context()) // with a malformed header, the token may be elsewhere
	if r.Method != http.MethodPost {                // a URL must not contain a password
		p, err := callbackFromForm(url.Values{"token": r.URL.Query()["token"]})
		if err != nil {
			return identity.CallbackRequest{}, err
		}
		return completeCallback(p, bearer, "token")
	}
	p, err := readCallbackBody(r, bearer != "")
	if err != nil {
		return identity.CallbackRequest{}, err
	}
	return completeCallback(p, bearer, "token, or email and password,")
}

// readCallbackBody reads the body of a POST, which may be empty if there is a bearer
// token.
func readCallbackBody(r *http.Request, mayBeEmpty bool) (identity.CallbackRequest, error) {
	media, err := transport.MediaType(r)
	if err != nil {
		return identity.CallbackRequest{}, err
	}
	raw, err := transport.ReadBody(r)
	if err != nil {
		return identity.CallbackRequest{}, err
	}
	switch {
	case len(raw) == 0 && mayBeEmpty:
		return identity.CallbackRequest{}, nil
	case media == transport.MediaJSON:
		var p identity.CallbackRequest
		err := transport.DecodeObject(raw, &p)
		return p, err
	case media == "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(raw))
		if err != nil {
			return identity.CallbackRequest{}, &apierror.Error{Code: apierror.BadUserInput, Message: "The body must be a form"}
		}
		return callbackFromForm(form)
	}
	return identity.CallbackRequest{}, &apierror.Error{Code: apierror.UnsupportedMediaType, Message: "Send " + transport.MediaJSON + " or a form"}
}

func callbackFromForm(values url.Values) (identity.CallbackRequest, error) {
	for _, name := range []string{"token", "email", "password"} {
		if len(values[name]) > 1 {
			return identity.CallbackRequest{}, &apierror.Error{Code: apierror.BadUserInput, Message: name + " occurs more than once"}
		}
	}
	return identity.CallbackRequest{Token: values.Get("token"), Email: values.Get("email"), Password: values.Get("password")}, nil
}

// completeCallback drops placeholders that were not replaced, adds the bearer token, and
// returns an error if nothing is left. It is not documented what ConnectyCube sends for
// a part that a login does not have; see docs/connectycube.md, Identity provider.
func completeCallback(p identity.CallbackRequest, bearer, wanted string) (identity.CallbackRequest, error) {
	for _, part := range []*string{&p.Token, &p.Email, &p.Password, &bearer} {
		if strings.HasPrefix(*part, "#{") && strings.HasSuffix(*part, "}") {
			*part = ""
		}
	}
	p.Token = cmp.Or(p.Token, bearer)
	if p == (identity.CallbackRequest{}) {
		return identity.CallbackRequest{}, &apierror.Error{Code: apierror.BadUserInput, Message: wanted + " is required"}
	}
	return p, nil
}
