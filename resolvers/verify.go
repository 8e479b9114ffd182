package resolvers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/transport"
	"cubegate/store"
	"cubegate/tokens"
)

// VerifyConnectyCube answers ConnectyCube, which as Custom Identity Provider
// client asks who a login belongs to (contract 8.2):
// GET with ?token=, or POST with token, or with email and password, as JSON or
// as a form. A token may also come as bearer token in the header Authorization.
// A refusal is 401, 403 for a caller that may not ask, and 400 when nothing was
// asked.
//
// Any caller may ask about a token: the token itself is the proof. Only a
// caller with the callback secret may ask about a password, because a password
// can be guessed.
func (a *Auth) VerifyConnectyCube() http.HandlerFunc {
	type user struct {
		ID    string `json:"id"`
		Email string `json:"email"`
	}
	return func(w http.ResponseWriter, r *http.Request) {
		found, err := a.identify(r)
		if err != nil {
			apierror.Write(w, r, a.Log, outward(err))
			return
		}
		writeJSON(w, http.StatusOK, map[string]user{"user": {found.ID, found.Email}})
	}
}

func (a *Auth) identify(r *http.Request) (store.User, error) {
	asked, err := readProof(r)
	if err != nil {
		return store.User{}, err
	}
	if asked.Token == "" {
		if err := a.Callbacks.authorize(r.Header); err != nil {
			return store.User{}, err
		}
		in, err := loginInput{Email: asked.Email, Password: asked.Password}.clean()
		if err != nil {
			return store.User{}, err
		}
		return a.verifyPassword(r.Context(), in)
	}
	claims, err := a.Verifier.VerifyCallbackToken(asked.Token)
	if errors.Is(err, tokens.ErrInvalid) { // good ones pass whatever the network has spent
		return store.User{}, a.rubbish(r.Context(), "verify", err)
	}
	if err != nil {
		return store.User{}, err
	}
	user, err := a.shown(r.Context(), claims)
	if errors.Is(err, errSessionOver) { // a genuine token that outlives its login session may be stolen
		a.refused(r.Context(), store.AuditVerify, store.User{ID: claims.Subject}, err)
	}
	if err == nil && claims.External != "" { // the account goes by another id; see provisioning, relink.go
		user.ID = claims.External
	}
	return user, err
}

// verifyPassword finds the user who has this email and this password. It records
// the answer as [store.AuditVerify]. Tokens that are good are not recorded: apps
// show them at each start, and each belongs to a login that was recorded. It is
// only a look: the registration that ConnectyCube asks about on our own behalf may
// still fail, and must be undone then.
func (a *Auth) verifyPassword(ctx context.Context, in loginInput) (store.User, error) {
	if a.Callbacks.mayBeOurs(in) {
		user, ours, err := a.ownCallback(ctx, in)
		if ours || err != nil {
			return user, err
		}
	}
	user, _, err := a.check(ctx, "verify", in)
	switch {
	case err == nil:
		a.done(ctx, store.AuditVerify, user, "")
	case user.ID != "": // as for logins: guesses at an unknown email are for the log alone
		a.refused(ctx, store.AuditVerify, user, err)
	}
	return user, err
}

// ownCallback answers a question that a request of ours has caused, without a
// hash, without a limit and without a record, for that request has them. It
// reports whether the question was one.
func (a *Auth) ownCallback(ctx context.Context, in loginInput) (user store.User, ours bool, err error) {
	user, err = a.Users.ByEmail(ctx, in.Email)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.User{}, false, err
	}
	if a.Callbacks.isDerived(user, in.Password) && user.ID != "" {
		return store.User{}, true, fmt.Errorf("%w: it is the server's own", tokens.ErrWrongPassword)
	}
	if err != nil || !a.Callbacks.proven.Check(user, in.Password) {
		return store.User{}, false, nil
	}
	if user.Disabled {
		return store.User{}, true, errDisabled
	}
	return user, true, nil
}

// shown finds the user of a token that ConnectyCube was shown. A ticket of the
// server's own needs the user alone, even one who is being deleted: that is what
// it may be for. Everything else dies with its login session, and a ticket, which
// lives longer than an access token, with the session's record, too.
func (a *Auth) shown(ctx context.Context, claims tokens.Claims) (store.User, error) {
	if claims.Service {
		found, err := a.Users.ByID(ctx, claims.Subject)
		if errors.Is(err, store.ErrNotFound) {
			err = fmt.Errorf("%w: its user is gone", tokens.ErrInvalid)
		}
		return found, err
	}
	found, err := a.member(ctx, claims.Subject, claims.SessionID)
	if err != nil || !claims.Ticket {
		return found, err
	}
	_, err = a.Sessions.ByID(ctx, claims.SessionID)
	if errors.Is(err, store.ErrNotFound) {
		err = errSessionOver
	}
	return found, err
}

// proof is what ConnectyCube sends, by the names that its dashboard's request
// params give to the parts of a login.
type proof struct {
	Token    string `json:"token"`
	Email    string `json:"email"`
	Password string `json:"password"`
}

// readProof reads what is asked. A bearer token counts where there is no other
// token; ConnectyCube may be told to send either.
func readProof(r *http.Request) (proof, error) {
	bearer, _ := transport.BearerToken(r.Context()) // beside a malformed header, the token may stand elsewhere
	if r.Method != http.MethodPost {                // no password belongs into a URL
		p, err := proofFrom(url.Values{"token": r.URL.Query()["token"]})
		if err != nil {
			return proof{}, err
		}
		return p.complete(bearer, "token")
	}
	p, err := readProofBody(r, bearer != "")
	if err != nil {
		return proof{}, err
	}
	return p.complete(bearer, "token, or email and password,")
}

// readProofBody reads the body of a POST, which may be empty beside a bearer
// token.
func readProofBody(r *http.Request, mayBeEmpty bool) (proof, error) {
	media, err := transport.MediaType(r)
	if err != nil {
		return proof{}, err
	}
	raw, err := transport.ReadBody(r)
	if err != nil {
		return proof{}, err
	}
	switch {
	case len(raw) == 0 && mayBeEmpty:
		return proof{}, nil
	case media == transport.MediaJSON:
		var p proof
		err := transport.DecodeObject(raw, &p)
		return p, err
	case media == "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(raw))
		if err != nil {
			return proof{}, &apierror.Error{Code: apierror.BadUserInput, Message: "The body is not a form"}
		}
		return proofFrom(form)
	}
	return proof{}, &apierror.Error{Code: apierror.UnsupportedMediaType, Message: "Send " + transport.MediaJSON + " or a form"}
}

func proofFrom(values url.Values) (proof, error) {
	for _, name := range []string{"token", "email", "password"} {
		if len(values[name]) > 1 {
			return proof{}, &apierror.Error{Code: apierror.BadUserInput, Message: name + " is there more than once"}
		}
	}
	return proof{Token: values.Get("token"), Email: values.Get("email"), Password: values.Get("password")}, nil
}

// complete drops placeholders that were left as they are (what ConnectyCube
// sends for a part that a login lacks is not documented: contract 8.1, inf),
// adds the bearer token, and wants something to be left.
func (p proof) complete(bearer, wanted string) (proof, error) {
	for _, part := range []*string{&p.Token, &p.Email, &p.Password, &bearer} {
		if strings.HasPrefix(*part, "#{") && strings.HasSuffix(*part, "}") {
			*part = ""
		}
	}
	p.Token = cmp.Or(p.Token, bearer)
	if p == (proof{}) {
		return proof{}, &apierror.Error{Code: apierror.BadUserInput, Message: wanted + " is required"}
	}
	return p, nil
}
