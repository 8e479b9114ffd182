package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"time"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/provisioning"
	"cubegate/store"
	"cubegate/tokens"
)

// Refresh exchanges a refresh token for all that a login gives. A token that has just
// been retired is refused with STALE_REFRESH_TOKEN, because a network may have delivered
// the request late. Reusing an older token ends the login session, because the token was
// probably stolen.
func (s *Sessions) Refresh(ctx context.Context, c Caller, token string) (LoginResult, error) {
	presented, err := s.parseRefreshToken(ctx, c, token)
	if err != nil {
		return LoginResult{}, err
	}
	session, user, err := s.refreshable(ctx, c, presented)
	if err != nil {
		return LoginResult{}, err
	}
	upstream, cancel := detached(ctx, s.upstreamTimeout)
	defer cancel()
	// ConnectyCube comes first, so that one write has its answer and the exchange.
	extension := s.accounts.ExtendCubeSession(upstream, user, session)
	var next tokens.RefreshToken
	session, err = s.records.Update(ctx, session, func(session *store.Session) (err error) {
		extension.Record(session)
		next, err = s.exchange(c.Client, presented, session)
		return err
	})
	if err != nil {
		return LoginResult{}, s.refusal(ctx, c, tokens.Claims{Subject: user.ID, SessionID: presented.SessionID}, err)
	}
	s.familiar.note(familiarPair{store.EmailKey(user.Email), c.Client.network()})
	out, err := s.credentials.issueTokens(user, session)
	if err != nil {
		return LoginResult{}, err
	}
	out.RefreshToken, out.DeviceToken = next.Text, s.credentials.devices.renewedToken(user, session)
	out.ChatStatus = provisioning.ChatStatusOf(s.openCubeSession(upstream, &out, provisioning.LoginMethod{Extension: extension}))
	return out, nil
}

// refreshable returns the login session whose refresh token a client presents, and its
// user. Both are active, and the token is good.
func (s *Sessions) refreshable(ctx context.Context, c Caller, presented tokens.PresentedToken) (store.Session, store.User, error) {
	session, err := s.records.ByID(ctx, presented.SessionID)
	if err != nil {
		return store.Session{}, store.User{}, s.refusal(ctx, c, tokens.Claims{}, err)
	}
	s.auditor.noteUser(ctx, session.UserID)
	claims := tokens.Claims{Subject: session.UserID, SessionID: session.ID}
	err = familyOf(session.RefreshTokens).Check(presented, time.Now(), s.limits.Reuse)
	if errors.Is(err, tokens.ErrReplayed) { // even if the session is no longer listed
		return store.Session{}, store.User{}, s.refusal(ctx, c, claims, err)
	}
	user, ended := userOfSession(ctx, s.users, claims)
	if ended != nil {
		return store.Session{}, store.User{}, ended
	}
	return session, user, s.refusal(ctx, c, claims, err)
}

// refusal returns the error for the client whose refresh token cannot be exchanged.
func (s *Sessions) refusal(ctx context.Context, c Caller, claims tokens.Claims, err error) error {
	var stale *tokens.StaleError
	switch {
	case errors.Is(err, tokens.ErrReplayed):
		return s.endReplayedSession(ctx, c, claims, err)
	case errors.Is(err, store.ErrNotFound):
		return errSessionEnded
	case errors.As(err, &stale):
		return errStale(stale)
	}
	return err
}

// parseRefreshToken charges a token that we have not issued.
func (s *Sessions) parseRefreshToken(ctx context.Context, c Caller, token string) (tokens.PresentedToken, error) {
	presented, err := s.credentials.refresh.ParseRefreshToken(token)
	if err != nil {
		err = s.budgets.chargeInvalidToken(ctx, c, &apierror.Error{Code: apierror.Unauthenticated, Message: "The refresh token is not valid; log in again", Reason: apierror.ReasonInvalidToken, Cause: err})
	}
	return presented, err
}

// errStale is the error for a refresh token that was retired a moment ago.
func errStale(stale *tokens.StaleError) *apierror.Error {
	return &apierror.Error{
		Code: apierror.StaleRefreshToken, RetryAfter: stale.After, Cause: stale,
		Message: "Another request has replaced the refresh token a moment ago; use the newest one that the app has stored",
	}
}

// exchange uses a refresh token in the record of its login session, which it changes.
// [SessionStore] may call it several times for one request.
func (s *Sessions) exchange(client ClientInfo, presented tokens.PresentedToken, session *store.Session) (tokens.RefreshToken, error) {
	now := time.Now()
	family, next, err := familyOf(session.RefreshTokens).Use(presented, tokens.Exchange{Salt: rand.Text(), At: now, Client: clientMark(client)}, s.limits.Reuse)
	if err != nil {
		return tokens.RefreshToken{}, err
	}
	session.RefreshTokens = saved(family)
	session.LastUsed, session.LastIP = now, client.IP
	if session.Expires = now.Add(s.limits.Idle); session.Expires.After(session.AbsoluteExpiry) {
		session.Expires = session.AbsoluteExpiry
	}
	return next, nil
}

// clientMark is equal for two requests of one app on one network. It is a hash, because
// an app may send a user agent of any length.
func clientMark(c ClientInfo) string {
	sum := sha256.Sum256([]byte(c.network() + "\x00" + c.UserAgent))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// familyOf returns the family of the refresh tokens in a record.
func familyOf(r store.RefreshTokens) tokens.RefreshFamily {
	f := tokens.RefreshFamily{Parent: r.Parent, Children: r.Children, Exchange: tokens.Exchange(r.Exchange), Retired: make([]tokens.RetiredToken, 0, len(r.Retired))}
	for _, retired := range r.Retired {
		f.Retired = append(f.Retired, tokens.RetiredToken(retired))
	}
	return f
}

// saved returns what the record of a login session has of a family.
func saved(f tokens.RefreshFamily) store.RefreshTokens {
	r := store.RefreshTokens{Parent: f.Parent, Children: f.Children, Exchange: store.RefreshExchange(f.Exchange), Retired: make([]store.RetiredToken, 0, len(f.Retired))}
	for _, retired := range f.Retired {
		r.Retired = append(r.Retired, store.RetiredToken(retired))
	}
	return r
}

// endReplayedSession ends the login session of a refresh token that was reused too
// late, and returns the error for the client.
func (s *Sessions) endReplayedSession(ctx context.Context, c Caller, claims tokens.Claims, cause error) error {
	ended, err := s.active.RevokeSession(ctx, claims.Subject, claims.SessionID)
	if err != nil {
		return err
	}
	if ended {
		s.accounts.Wake()
		s.log.LogAttrs(ctx, slog.LevelWarn, "older refresh token reused; login session ended", slog.String("user_id", claims.Subject))
		s.auditor.record(ctx, c, store.Event{
			Outcome: store.OutcomeRefused, UserID: claims.Subject, Session: claims.SessionID,
			Detail: "an older refresh token was reused: the login session has ended",
		})
	}
	return &apierror.Error{Code: errSessionEnded.Code, Message: errSessionEnded.Message, Reason: apierror.ReasonReplayedToken, Cause: cause}
}
