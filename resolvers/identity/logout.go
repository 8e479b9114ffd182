package identity

import (
	"context"
	"errors"

	"cubegate/resolvers/apierror"
	"cubegate/store"
	"cubegate/tokens"
)

// LogoutProof is what a client shows to end its login session: an access token, a
// refresh token, or both. The access token may have expired, because a client that was
// offline must be able to log out. No other operation accepts an expired token.
type LogoutProof struct {
	AccessToken  string // empty = none
	HeaderErr    error  // of a header Authorization in another form; nil = none
	RefreshToken string // empty = none
}

var errNoProof = &apierror.Error{Code: apierror.Unauthenticated, Message: `Send "Authorization: Bearer <access token>", or the refresh token`}

// Logout ends one login session: that of the refresh token if it is active, else that of
// the access token. The worker ends its session at ConnectyCube. A session that is
// unknown or has ended is no error, and neither is a refresh token that we have not
// issued (RFC 7009, section 2.2). An access token that we have not signed, or that has
// another use, is one.
func (s *Sessions) Logout(ctx context.Context, c Caller, proof LogoutProof) error {
	genuine := false
	if proof.RefreshToken != "" {
		claims, err := s.ownerOf(ctx, c, proof.RefreshToken)
		switch {
		case err == nil:
			if ended, err := s.endOwn(ctx, c, claims); ended || err != nil {
				return err
			}
			genuine = true
		case errors.Is(err, store.ErrNotFound):
			if ended, err := s.endEvicted(ctx, c, store.LateLogout{SessionID: claims.SessionID}); ended || err != nil {
				return err
			}
			genuine = true
		case !errors.Is(err, tokens.ErrInvalid):
			return err
		}
	}
	claims, err := s.accessClaims(proof)
	if err == nil {
		_, err = s.endOwn(ctx, c, claims)
		return err
	}
	if genuine || proof.RefreshToken != "" && errors.Is(err, errNoProof) {
		return nil
	}
	return err
}

// ownerOf returns the login session of a refresh token, and its user. If the session has
// ended, the error is [store.ErrNotFound] and the user is not known. A token that was replaced long ago names
// its session, too.
func (s *Sessions) ownerOf(ctx context.Context, c Caller, refreshToken string) (tokens.Claims, error) {
	presented, err := s.parseRefreshToken(ctx, c, refreshToken)
	if err != nil {
		return tokens.Claims{}, err
	}
	session, err := s.records.ByID(ctx, presented.SessionID)
	return tokens.Claims{Subject: session.UserID, SessionID: presented.SessionID}, err
}

// accessClaims returns the claims of the access token of a logout.
func (s *Sessions) accessClaims(proof LogoutProof) (tokens.Claims, error) {
	switch {
	case proof.HeaderErr != nil:
		return tokens.Claims{}, proof.HeaderErr
	case proof.AccessToken == "":
		return tokens.Claims{}, errNoProof
	}
	return s.verifier.VerifyLogout(proof.AccessToken)
}

// endOwn ends the login session of a token, and reports whether this call did. One that
// ended before because the user had too many has not ended everything: now the user wants
// to leave the device.
func (s *Sessions) endOwn(ctx context.Context, c Caller, claims tokens.Claims) (bool, error) {
	c.User = store.User{ID: claims.Subject}
	if ended, err := s.end(ctx, c, claims.SessionID, s.active.RemoveSession); ended || err != nil {
		return ended, err
	}
	return s.endEvicted(ctx, c, store.LateLogout{SessionID: claims.SessionID, UserID: claims.Subject})
}

// endEvicted ends once more a login session that was evicted, so that its pushes and its
// session at ConnectyCube end as with any logout. It reports whether this call did.
func (s *Sessions) endEvicted(ctx context.Context, c Caller, l store.LateLogout) (bool, error) {
	userID, err := s.logOutEvicted(ctx, l)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	c.User = store.User{ID: userID}
	s.accounts.Wake()
	s.auditor.recordSuccess(ctx, c, l.SessionID)
	return true, nil
}
