package identity

import (
	"time"

	"cubegate/resolvers/provisioning"
	"cubegate/store"
	"cubegate/tokens"
)

// TokenIssuer signs the tokens of one login session.
type TokenIssuer interface {
	AccessToken(g tokens.Grant) (token string, expires time.Time, err error)
	ChatTicket(g tokens.Grant) (string, error) // ConnectyCube presents it to the verify route
}

// RefreshTokenCodec makes and reads refresh tokens. ParseRefreshToken returns
// [tokens.ErrInvalid] for a token that we have never issued.
type RefreshTokenCodec interface {
	NewRefreshToken(sessionID string) tokens.RefreshToken
	ParseRefreshToken(token string) (tokens.PresentedToken, error)
}

// credentials issues the tokens of login sessions.
type credentials struct {
	issuer   TokenIssuer
	refresh  RefreshTokenCodec
	devices  devices
	absolute time.Duration // after which a login session ends in any case
}

// issueTokens signs the access token and the chat ticket of a login session.
func (c credentials) issueTokens(user store.User, session store.Session) (LoginResult, error) {
	out := LoginResult{User: user, Session: session, Cube: provisioning.CubeSession{UserID: user.CubeID}}
	g := tokens.Grant{Subject: user.ID, Email: user.Email, SessionID: session.ID, Roles: user.Roles, Until: session.AbsoluteExpiry}
	if latest := time.Now().Add(c.absolute); g.Until.After(latest) { // the setting was longer when the session started
		g.Until = latest
	}
	var err error
	if out.ChatTicket, err = c.issuer.ChatTicket(g); err != nil {
		return LoginResult{}, err
	}
	g.Until = session.Expires
	out.AccessToken, out.Expires, err = c.issuer.AccessToken(g)
	return out, err
}
