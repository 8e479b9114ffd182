package resolvers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"cubegate/store"
	"cubegate/tokens"
)

// VerifyConnectyCube answers ConnectyCube, which as Custom Identity Provider
// client asks who a login belongs to (contract 8.2):
// GET with ?token=, or POST with token, or with email and password, as JSON or
// as a form. A refusal is 401, and 400 when nothing was asked.
//
// Anybody may call it: that a token is good or a password right is all that
// there is to learn, and wrong passwords are counted.
func (a *Auth) VerifyConnectyCube() http.HandlerFunc {
	type user struct {
		ID    string `json:"id"`
		Email string `json:"email"`
	}
	return func(w http.ResponseWriter, r *http.Request) {
		found, err := a.identify(w, r)
		if err != nil {
			WriteError(w, r, a.Log, err)
			return
		}
		writeJSON(w, http.StatusOK, map[string]user{"user": {found.ID, found.Email}})
	}
}

func (a *Auth) identify(w http.ResponseWriter, r *http.Request) (store.User, error) {
	asked, err := readProof(w, r)
	if err != nil {
		return store.User{}, err
	}
	if asked.Token == "" {
		in, err := loginInput{Email: asked.Email, Password: asked.Password}.clean()
		if err != nil {
			return store.User{}, err
		}
		// Only a look: the registration that ConnectyCube asks about on our own
		// behalf may still fail, and must be undone then.
		user, _, err := a.check(r.Context(), in, a.Asked, store.EmailKey(in.Email))
		return user, err
	}
	claims, err := a.Verifier.VerifyAny(asked.Token)
	if err != nil {
		return store.User{}, err
	}
	found, err := a.shown(r.Context(), claims)
	if err == nil && claims.External != "" { // the account goes by another id; see accounts.reunite
		found.ID = claims.External
	}
	return found, err
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

func readProof(w http.ResponseWriter, r *http.Request) (proof, error) {
	if r.Method != http.MethodPost { // no password belongs into an address
		return proofFrom(url.Values{"token": r.URL.Query()["token"]}, "token")
	}
	media, err := mediaType(r)
	if err != nil {
		return proof{}, err
	}
	raw, err := readBody(r)
	if err != nil {
		return proof{}, err
	}
	switch media {
	case mediaJSON:
		var p proof
		err := decodeObject(raw, &p)
		return p.filled(err, "token, or email and password,")
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(raw))
		if err != nil {
			return proof{}, &Error{Code: BadUserInput, Message: "The body is not a form"}
		}
		return proofFrom(form, "token, or email and password,")
	}
	return proof{}, &Error{Code: UnsupportedMedia, Message: "Send " + mediaJSON + " or a form"}
}

func proofFrom(values url.Values, wanted string) (proof, error) {
	for _, name := range []string{"token", "email", "password"} {
		if len(values[name]) > 1 {
			return proof{}, &Error{Code: BadUserInput, Message: name + " is there more than once"}
		}
	}
	p := proof{Token: values.Get("token"), Email: values.Get("email"), Password: values.Get("password")}
	return p.filled(nil, wanted)
}

// filled drops placeholders that were left as they are (what ConnectyCube
// sends for a part that a login lacks is not documented: contract 8.1, inf)
// and wants something to be left.
func (p proof) filled(err error, wanted string) (proof, error) {
	if err != nil {
		return proof{}, err
	}
	for _, part := range []*string{&p.Token, &p.Email, &p.Password} {
		if strings.HasPrefix(*part, "#{") && strings.HasSuffix(*part, "}") {
			*part = ""
		}
	}
	if p == (proof{}) {
		return proof{}, &Error{Code: BadUserInput, Message: wanted + " is required"}
	}
	return p, nil
}
