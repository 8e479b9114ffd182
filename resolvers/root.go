package resolvers

import (
	"context"

	"cubegate/store"
)

// root binds the schema's operations to the flows. Methods are found by name,
// regardless of case and underscores: LoginByToken is login_By_token.
type root struct {
	auth *Auth
}

func (r *root) Query() *query       { return &query{} }
func (r *root) Mutation() *mutation { return &mutation{r.auth} }

type query struct{}

func (*query) Hello() string { return "Hello from API!" }

type mutation struct {
	auth *Auth
}

// userType is UserType of the schema; its fields resolve themselves.
type userType struct {
	Email, FirstName, ID, LastName string
}

func newUserType(u store.User) *userType {
	return &userType{Email: u.Email, FirstName: u.FirstName, ID: u.ID, LastName: u.LastName}
}

type registerResponse struct {
	Message string
	User    *userType
}

type loginResponse struct {
	CcUserID        *float64
	Chat            *chat
	ChatStatus      *string
	ChatTicket      *string
	ConnectySession *string
	Message         string
	Token           *string
	User            *userType
}

// chat is Chat of the schema.
type chat struct {
	Domain, Endpoint, JID, MucDomain, WsEndpoint string
	UserID                                       float64
}

func (m *mutation) Register(ctx context.Context, args struct{ Body registerInput }) (*registerResponse, error) {
	user, err := m.auth.register(ctx, args.Body)
	if err != nil {
		return nil, err
	}
	return &registerResponse{Message: "user register successfully", User: newUserType(user)}, nil
}

func (m *mutation) Login(ctx context.Context, args struct{ Body loginInput }) (*loginResponse, error) {
	return m.answer(m.auth.login(ctx, args.Body, m.auth.openByPassword))
}

func (m *mutation) LoginByToken(ctx context.Context, args struct{ Body loginInput }) (*loginResponse, error) {
	return m.answer(m.auth.login(ctx, args.Body, m.auth.openByTicket))
}

func (m *mutation) answer(in loggedIn, err error) (*loginResponse, error) {
	if err != nil {
		return nil, err
	}
	chat, cubeID := string(in.chat), float64(in.user.CubeID)
	out := &loginResponse{
		ChatStatus: &chat,
		ChatTicket: &in.ticket,
		Message:    "Login successful",
		Token:      &in.access,
		User:       newUserType(in.user),
	}
	if cubeID != 0 {
		out.CcUserID, out.Chat = &cubeID, m.auth.Chat.of(in.user.CubeID)
	}
	if in.session.Token != "" {
		out.ConnectySession = &in.session.Token
	}
	return out, nil
}
