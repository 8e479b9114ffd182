package resolvers

import (
	"context"

	"cubegate/resolvers/identity"
	"cubegate/store"
)

// userAPI serves users who register, and users who look at or change themselves.
type userAPI struct {
	logins   *identity.Logins
	profiles *identity.Profiles
	chat     ChatEndpoints
}

// userType is UserType of the schema.
type userType struct {
	Email     string `json:"email"`
	FirstName string `json:"firstName"`
	ID        string `json:"id"`
	LastName  string `json:"lastName"`
}

// profile is Profile of the schema.
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

func newProfile(u store.User, err error) (*profile, error) {
	if err != nil {
		return nil, err
	}
	out := &profile{
		AccountStatus: "ready",
		CcUserID:      cubeID(u),
		CreatedAt:     *formatTime(u.Created),
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
	return out, nil
}

// cubeID returns the user's ID at ConnectyCube as clients read it, or nil while it is
// unknown.
func cubeID(u store.User) *float64 {
	if u.CubeID == 0 {
		return nil
	}
	id := float64(u.CubeID)
	return &id
}

// doneResponse is Done of the schema.
type doneResponse struct{ Message string }

func newDone(op Operation, err error) (*doneResponse, error) {
	if err != nil {
		return nil, err
	}
	return &doneResponse{op.Message}, nil
}

func (q *query) Me(ctx context.Context) (*profile, error) {
	return run(ctx, q.api, opMe, none{}, q.api.users.me)
}

func (a *userAPI) me(_ context.Context, c identity.Caller, _ none) (*profile, error) {
	return newProfile(c.User, nil)
}

func (m *mutation) Register(ctx context.Context, args struct{ Body identity.RegisterInput }) (*loginResponse, error) {
	return run(ctx, m.api, opRegister, args.Body, m.api.users.register)
}

func (a *userAPI) register(ctx context.Context, c identity.Caller, in identity.RegisterInput) (*loginResponse, error) {
	out, err := a.logins.Register(ctx, c, in)
	return a.chat.newLoginResponse(ctx, opRegister, out, err)
}

func (m *mutation) UpdateProfile(ctx context.Context, args identity.NameInput) (*profile, error) {
	return run(ctx, m.api, opUpdateProfile, args, m.api.users.updateProfile)
}

func (a *userAPI) updateProfile(ctx context.Context, c identity.Caller, in identity.NameInput) (*profile, error) {
	return newProfile(a.profiles.Rename(ctx, c, in))
}

func (m *mutation) ChangePassword(ctx context.Context, args identity.PasswordInput) (*doneResponse, error) {
	return run(ctx, m.api, opChangePassword, args, m.api.users.changePassword)
}

func (a *userAPI) changePassword(ctx context.Context, c identity.Caller, in identity.PasswordInput) (*doneResponse, error) {
	return newDone(opChangePassword, a.profiles.ChangePassword(ctx, c, in))
}

func (m *mutation) ChangeEmail(ctx context.Context, args identity.EmailInput) (*profile, error) {
	return run(ctx, m.api, opChangeEmail, args, m.api.users.changeEmail)
}

func (a *userAPI) changeEmail(ctx context.Context, c identity.Caller, in identity.EmailInput) (*profile, error) {
	return newProfile(a.profiles.ChangeEmail(ctx, c, in))
}

func (m *mutation) DeleteMyAccount(ctx context.Context, args struct{ Password string }) (*doneResponse, error) {
	return run(ctx, m.api, opDeleteMyAccount, args.Password, m.api.users.deleteMyAccount)
}

func (a *userAPI) deleteMyAccount(ctx context.Context, c identity.Caller, password string) (*doneResponse, error) {
	return newDone(opDeleteMyAccount, a.profiles.Delete(ctx, c, password))
}
