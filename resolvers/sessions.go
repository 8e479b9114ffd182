package resolvers

import (
	"context"
	"fmt"
	"math"
	"time"

	"cubegate/resolvers/identity"
	"cubegate/resolvers/provisioning"
	"cubegate/resolvers/transport"
	"cubegate/store"
)

// sessionAPI serves clients that log in, and users who manage their login sessions.
type sessionAPI struct {
	logins *identity.Logins
	flows  *identity.Sessions
	chat   ChatEndpoints
}

// loginSession is Session of the schema.
type loginSession struct {
	Address   string `json:"address"`
	CreatedAt string `json:"createdAt"`
	Current   bool   `json:"current"`
	Device    string `json:"device"`
	ExpiresAt string `json:"expiresAt"`
	ExpiresIn int32  `json:"expiresIn"`
	ID        string `json:"id"`
	UsedAt    string `json:"usedAt"`
}

func newLoginSession(s store.Session, current string) *loginSession {
	return &loginSession{
		Address: s.LastIP, CreatedAt: *formatTime(s.Created), Current: s.ID == current, Device: s.Device,
		ExpiresAt: *formatTime(s.Expires), ExpiresIn: secondsUntil(s.Expires), ID: s.ID, UsedAt: *formatTime(s.LastUsed),
	}
}

// loginResponse is LoginResponse of the schema, and UserResgisterResponse.
type loginResponse struct {
	CcUserID        *float64  `json:"ccUserId"`
	Chat            *chat     `json:"chat"`
	ChatStatus      *string   `json:"chatStatus"`
	ChatTicket      *string   `json:"chatTicket"`
	ConnectySession *string   `json:"connectySession"`
	DeviceToken     *string   `json:"deviceToken"`
	ExpiresAt       *string   `json:"expiresAt"`
	ExpiresIn       *int32    `json:"expiresIn"`
	Message         string    `json:"message"`
	RefreshToken    *string   `json:"refreshToken"`
	SessionID       *string   `json:"sessionId"`
	Token           *string   `json:"token"`
	User            *userType `json:"user"`
}

func (e ChatEndpoints) newLoginResponse(ctx context.Context, op Operation, in identity.LoginResult, err error) (*loginResponse, error) {
	if err != nil {
		return nil, err
	}
	status := string(in.ChatStatus)
	return &loginResponse{
		CcUserID:        cubeID(in.User),
		Chat:            e.SeenBy(ctx).of(in.Cube),
		ChatStatus:      &status,
		ChatTicket:      &in.ChatTicket,
		ConnectySession: unlessEmpty(in.Cube.Token),
		DeviceToken:     unlessEmpty(in.DeviceToken),
		ExpiresAt:       formatTime(in.Expires),
		ExpiresIn:       new(secondsUntil(in.Expires)),
		Message:         op.Message,
		RefreshToken:    &in.RefreshToken,
		SessionID:       &in.Session.ID,
		Token:           &in.AccessToken,
		User:            &userType{Email: in.User.Email, FirstName: in.User.FirstName, ID: in.User.ID, LastName: in.User.LastName},
	}, nil
}

// unlessEmpty returns nil for "".
func unlessEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// chat is Chat of the schema.
type chat struct {
	Domain     string  `json:"domain"`
	Endpoint   string  `json:"endpoint"`
	ExpiresAt  *string `json:"expiresAt"`
	ExpiresIn  *int32  `json:"expiresIn"`
	JID        string  `json:"jid"`
	MucDomain  string  `json:"mucDomain"`
	Password   *string `json:"password"`
	UserID     float64 `json:"userId"`
	WsEndpoint string  `json:"wsEndpoint"`
}

// of returns one user's chat, or nil while the user's ID at ConnectyCube is unknown. The
// password is the token of the ConnectyCube session, which the chat accepts for every
// account; see docs/connectycube.md, Chat.
func (e ChatEndpoints) of(session provisioning.CubeSession) *chat {
	if session.UserID == 0 {
		return nil
	}
	out := &chat{
		Domain:     e.Domain,
		Endpoint:   e.APIURL,
		JID:        fmt.Sprintf("%d-%d@%s", session.UserID, e.AppID, e.Domain),
		MucDomain:  "muc." + e.Domain,
		UserID:     float64(session.UserID),
		WsEndpoint: e.URL,
	}
	if session.Token != "" {
		out.Password, out.ExpiresAt, out.ExpiresIn = &session.Token, formatTime(session.Expires), new(secondsUntil(session.Expires))
	}
	return out
}

// formatTime formats a time as clients read it: RFC 3339, UTC, whole seconds.
func formatTime(t time.Time) *string {
	s := t.UTC().Truncate(time.Second).Format(time.RFC3339)
	return &s
}

// secondsUntil returns the whole seconds until a time, for clients whose clock is wrong.
// It rounds down, so that a client renews too early rather than too late.
func secondsUntil(t time.Time) int32 {
	return int32(max(0, min(time.Until(t)/time.Second, math.MaxInt32)))
}

func (m *mutation) Login(ctx context.Context, args struct{ Body identity.LoginInput }) (*loginResponse, error) {
	return run(ctx, m.api, opLogin, args.Body, m.api.sessions.login)
}

func (a *sessionAPI) login(ctx context.Context, c identity.Caller, in identity.LoginInput) (*loginResponse, error) {
	out, err := a.logins.Login(ctx, c, in)
	return a.chat.newLoginResponse(ctx, opLogin, out, err)
}

func (m *mutation) LoginByToken(ctx context.Context, args struct{ Body identity.LoginInput }) (*loginResponse, error) {
	return run(ctx, m.api, opLoginByToken, args.Body, m.api.sessions.loginByToken)
}

func (a *sessionAPI) loginByToken(ctx context.Context, c identity.Caller, in identity.LoginInput) (*loginResponse, error) {
	out, err := a.logins.LoginByToken(ctx, c, in)
	return a.chat.newLoginResponse(ctx, opLoginByToken, out, err)
}

type refreshInput struct {
	RefreshToken string `json:"refreshToken"`
}

func (m *mutation) Refresh(ctx context.Context, args refreshInput) (*loginResponse, error) {
	return run(ctx, m.api, opRefresh, args, m.api.sessions.refresh)
}

func (a *sessionAPI) refresh(ctx context.Context, c identity.Caller, in refreshInput) (*loginResponse, error) {
	out, err := a.flows.Refresh(ctx, c, in.RefreshToken)
	return a.chat.newLoginResponse(ctx, opRefresh, out, err)
}

// logoutInput is what a client may send instead of an access token, or beside it.
type logoutInput struct {
	RefreshToken *string `json:"refreshToken"`
}

func (m *mutation) Logout(ctx context.Context, args logoutInput) (*doneResponse, error) {
	return run(ctx, m.api, opLogout, args, m.api.sessions.logout)
}

// logout proves itself: the access token may have expired, so it makes no caller.
func (a *sessionAPI) logout(ctx context.Context, c identity.Caller, in logoutInput) (*doneResponse, error) {
	var proof identity.LogoutProof
	proof.AccessToken, proof.HeaderErr = transport.BearerToken(ctx)
	if in.RefreshToken != nil {
		proof.RefreshToken = *in.RefreshToken
	}
	return newDone(opLogout, a.flows.Logout(ctx, c, proof))
}

func (m *mutation) LogoutEverywhere(ctx context.Context) (*doneResponse, error) {
	return run(ctx, m.api, opLogoutEverywhere, none{}, m.api.sessions.logoutEverywhere)
}

func (a *sessionAPI) logoutEverywhere(ctx context.Context, c identity.Caller, _ none) (*doneResponse, error) {
	return newDone(opLogoutEverywhere, a.flows.LogoutEverywhere(ctx, c))
}

// idInput is the input of an operation on one login session or user.
type idInput struct{ ID string }

func (m *mutation) RevokeSession(ctx context.Context, args idInput) (*doneResponse, error) {
	return run(ctx, m.api, opRevokeSession, args, m.api.sessions.revokeSession)
}

func (a *sessionAPI) revokeSession(ctx context.Context, c identity.Caller, in idInput) (*doneResponse, error) {
	return newDone(opRevokeSession, a.flows.Revoke(ctx, c, in.ID))
}

func (q *query) Sessions(ctx context.Context) ([]*loginSession, error) {
	return run(ctx, q.api, opSessions, none{}, q.api.sessions.list)
}

func (a *sessionAPI) list(ctx context.Context, c identity.Caller, _ none) ([]*loginSession, error) {
	list, err := a.flows.List(ctx, c)
	if err != nil {
		return nil, err
	}
	out := make([]*loginSession, len(list))
	for i, s := range list {
		out[i] = newLoginSession(s, c.SessionID)
	}
	return out, nil
}
