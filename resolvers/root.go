package resolvers

import (
	_ "embed"
	"log/slog"
	"time"

	"cubegate/resolvers/transport"
	"cubegate/store"
)

//go:embed schema.graphql
var schemaText string

// NewGraphQL returns the handler of GraphQL requests over auth. It answers
// questions about the schema if introspection is true.
func NewGraphQL(auth *Auth, introspection bool, log *slog.Logger) (*transport.Handler, error) {
	return transport.New(transport.Options{
		Schema:        schemaText,
		Root:          &root{auth},
		Outward:       outward,
		QueryContext:  withSharedCaller,
		Introspection: introspection,
		Log:           log,
	})
}

// root binds the schema's operations to the flows. Methods are found by name,
// regardless of case and underscores: LoginByToken is login_By_token. They are
// in operations.go; here is what they answer.
type root struct {
	auth *Auth
}

func (r *root) Query() *query       { return &query{r.auth} }
func (r *root) Mutation() *mutation { return &mutation{r.auth} }

// userType is UserType of the schema; its fields resolve themselves.
type userType struct {
	Email     string `json:"email"`
	FirstName string `json:"firstName"`
	ID        string `json:"id"`
	LastName  string `json:"lastName"`
}

func newUserType(u store.User) *userType {
	return &userType{Email: u.Email, FirstName: u.FirstName, ID: u.ID, LastName: u.LastName}
}

// profile is Profile of the schema: a user, for the own eyes and an
// administrator's.
type profile struct {
	AccountStatus string   `json:"accountStatus"`
	CcUserID      *float64 `json:"ccUserId"`
	CreatedAt     string   `json:"createdAt"`
	Disabled      bool     `json:"disabled"`
	Email         string   `json:"email"`
	FirstName     string   `json:"firstName"`
	ID            string   `json:"id"`
	LastName      string   `json:"lastName"`
	Roles         []string `json:"roles"`
}

func newProfile(u store.User) *profile {
	out := &profile{
		AccountStatus: "ready",
		CreatedAt:     *instant(u.Created),
		Disabled:      u.Disabled,
		Email:         u.Email,
		FirstName:     u.FirstName,
		ID:            u.ID,
		LastName:      u.LastName,
		Roles:         append([]string{}, u.Roles...),
	}
	if u.Account.LastError != "" {
		out.AccountStatus = u.Account.LastError
	} else if u.CubeID == 0 || !u.Account.Due.IsZero() {
		out.AccountStatus = "pending"
	}
	if u.CubeID != 0 {
		id := float64(u.CubeID)
		out.CcUserID = &id
	}
	return out
}

// loginSession is Session of the schema.
type loginSession struct {
	Address   string `json:"address"`
	CreatedAt string `json:"createdAt"`
	Current   bool   `json:"current"`
	Device    string `json:"device"`
	ExpiresAt string `json:"expiresAt"`
	ID        string `json:"id"`
	UsedAt    string `json:"usedAt"`
}

func newLoginSession(s store.Session, current string) *loginSession {
	return &loginSession{
		Address: s.LastIP, CreatedAt: *instant(s.Created), Current: s.ID == current, Device: s.Device,
		ExpiresAt: *instant(s.Expires), ID: s.ID, UsedAt: *instant(s.LastUsed),
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
	Message         string    `json:"message"`
	RefreshToken    *string   `json:"refreshToken"`
	SessionID       *string   `json:"sessionId"`
	Token           *string   `json:"token"`
	User            *userType `json:"user"`
}

// chat is Chat of the schema.
type chat struct {
	Domain     string  `json:"domain"`
	Endpoint   string  `json:"endpoint"`
	ExpiresAt  *string `json:"expiresAt"`
	JID        string  `json:"jid"`
	MucDomain  string  `json:"mucDomain"`
	Password   *string `json:"password"`
	UserID     float64 `json:"userId"`
	WsEndpoint string  `json:"wsEndpoint"`
}

// answer is what a client gets that has signed in, or stays so.
func (a *Auth) answer(in signedIn, message string) *loginResponse {
	status := string(in.status)
	out := &loginResponse{
		Chat:         a.Chat.of(in.chat),
		ChatStatus:   &status,
		ChatTicket:   &in.ticket,
		ExpiresAt:    instant(in.expires),
		Message:      message,
		RefreshToken: &in.refresh,
		SessionID:    &in.session.ID,
		Token:        &in.access,
		User:         newUserType(in.user),
	}
	if in.user.CubeID != 0 {
		id := float64(in.user.CubeID)
		out.CcUserID = &id
	}
	if in.chat.Token != "" {
		out.ConnectySession = &in.chat.Token
	}
	if in.device != "" {
		out.DeviceToken = &in.device
	}
	return out
}

// done is Done of the schema: an answer with nothing to tell.
type done struct {
	Message string `json:"message"`
}

// instant is a moment as clients read it: RFC 3339, UTC, to the second.
func instant(t time.Time) *string {
	s := t.UTC().Truncate(time.Second).Format(time.RFC3339)
	return &s
}
