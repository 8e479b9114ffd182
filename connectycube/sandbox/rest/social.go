package rest

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"
	"time"

	"cubegate/connectycube/sandbox/core"
)

var phoneLike = regexp.MustCompile(`^\+?[0-9]{5,20}$`)

// socialClaim reads a login with another service's token. It asks no service and
// believes any token, which is useful in a test and a reason to keep the sandbox
// away from the internet. named is false for the flat spelling of a Firebase login
// in https://developers.connectycube.com/js/authentication-and-users: the SDK drops
// it, so the result is an application session.
func socialClaim(p core.Params) (c claim, named bool, err error) {
	provider := p.Text("provider")
	var token string
	switch provider {
	case "facebook", "twitter":
		token = p.Object("keys").Text("token")
	case "firebase_phone", "firebase_email":
		nested := p.Object(provider)
		if nested == nil {
			return claim{}, false, nil
		}
		token = nested.Text("access_token")
	default:
		return claim{}, false, errNotImitated
	}
	if strings.TrimSpace(token) == "" {
		return claim{}, false, errBlankToken
	}
	return claim{socialProfile(provider, token), bySocial}, true, nil
}

// socialProfile returns the fields of a user for a token. The identity is the subject
// of a JWT, such as Firebase's, or else the whole text. A text that is a phone number
// or an email becomes that field.
func socialProfile(provider, token string) core.Params {
	claims := unverified(token)
	id := cmp.Or(claims.Text("user_id"), claims.Text("sub"), token)
	sum := sha256.Sum256([]byte(id))
	hash := hex.EncodeToString(sum[:10])
	fields := core.Params{"login": provider + "_" + hash}
	if name := claims.Text("name"); name != "" && len(name) <= 200 {
		fields["full_name"] = name
	}
	if len(id) > 255 {
		id = hash
	}
	switch provider {
	case "facebook", "twitter":
		fields[provider+"_id"] = id
	case "firebase_phone":
		if phone := cmp.Or(claims.Text("phone_number"), token); phoneLike.MatchString(phone) {
			fields["phone"] = phone
		}
	case "firebase_email":
		if email := core.NormalEmail(cmp.Or(claims.Text("email"), token)); len(email) <= 255 && core.EmailLike.MatchString(email) {
			fields["email"] = email
		}
	}
	return fields
}

// unverified returns the claims of a JWT without checking its signature, or nil for
// any other text.
func unverified(token string) core.Params {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	claims, err := decodeJSON(raw)
	if err != nil {
		return nil
	}
	return claims
}

// userOfSocial finds the user by the token's claims, or creates it. Deny does not stop
// that, as with the identity provider (assumed). The caller holds the lock.
func (s *API) userOfSocial(fields core.Params, now time.Time) (*core.User, error) {
	if u := s.Registry.ByLogin[fields.Text("login")]; u != nil {
		return u, nil
	}
	if u := s.Registry.ByEmail[fields.Text("email")]; u != nil {
		return u, nil
	}
	for _, field := range []string{"facebook_id", "twitter_id", "phone"} {
		if u := oldestUser(&s.Registry, field, fields.Text(field)); u != nil {
			return u, nil
		}
	}
	p, err := core.Profile{}.With(fields)
	if err != nil {
		return nil, err
	}
	u := &core.User{Profile: p}
	return u, s.Registry.Add(u, now)
}
