package resolvers

import (
	"context"
	"math"

	"cubegate/store"
)

// query and mutation have one method for each operation of the schema; the
// flows do the work.
type (
	query    struct{ auth *Auth }
	mutation struct{ auth *Auth }
)

func (*query) Hello() string { return "Hello from API!" }

func (q *query) Me(ctx context.Context) (*profile, error) {
	user, _, err := q.auth.caller(ctx)
	if err != nil {
		return nil, err
	}
	return newProfile(user), nil
}

func (q *query) Sessions(ctx context.Context) ([]*loginSession, error) { return q.auth.mySessions(ctx) }

// pageInput is PageInput of the schema.
type pageInput struct {
	After *string
	Limit *int32
}

// bounds are the page's, or those of the first one.
func (p *pageInput) bounds() (after string, limit int) {
	limit = maxPage
	if p != nil && p.After != nil {
		after = *p.After
	}
	if p != nil && p.Limit != nil {
		limit = max(1, min(int(*p.Limit), maxPage))
	}
	return after, limit
}

type usersArgs struct {
	Filter *struct {
		Disabled *bool
		Role     *string
		Text     *string
	}
	Page *pageInput
}

func (q *query) Users(ctx context.Context, args usersArgs) (*userPage, error) {
	var f store.UserFilter
	if args.Filter != nil {
		f = store.UserFilter{Text: text(args.Filter.Text), Role: text(args.Filter.Role), Disabled: args.Filter.Disabled}
	}
	after, limit := args.Page.bounds()
	list, err := q.auth.listUsers(ctx, f, after, limit)
	if err != nil {
		return nil, err
	}
	out := &userPage{Items: make([]*profile, len(list))}
	for i, u := range list {
		out.Items[i] = newProfile(u)
	}
	if len(list) == limit {
		out.Next = &list[limit-1].ID
	}
	return out, nil
}

// userPage is UserPage of the schema.
type userPage struct {
	Items []*profile
	Next  *string
}

type auditArgs struct {
	Filter *struct {
		Kind   *string
		UserID *string
	}
	Page *pageInput
}

func (q *query) Audit(ctx context.Context, args auditArgs) (*eventPage, error) {
	var f store.EventFilter
	if args.Filter != nil {
		f = store.EventFilter{UserID: text(args.Filter.UserID), Kind: store.AuditKind(text(args.Filter.Kind))}
	}
	before, limit := args.Page.bounds()
	list, err := q.auth.listEvents(ctx, f, before, limit)
	if err != nil {
		return nil, err
	}
	out := &eventPage{Items: make([]*event, len(list))}
	for i, e := range list {
		out.Items[i] = &event{
			Actor: e.Actor, Address: e.ClientIP, At: *instant(e.At), Detail: e.Detail, ID: e.ID,
			Kind: string(e.Kind), Outcome: string(e.Outcome), SessionID: e.Session, UserID: e.UserID,
		}
		if e.Count > 0 {
			count := int32(min(e.Count, math.MaxInt32))
			out.Items[i].Count = &count
		}
	}
	if len(list) == limit {
		out.Next = &list[limit-1].ID
	}
	return out, nil
}

// eventPage is EventPage of the schema.
type eventPage struct {
	Items []*event
	Next  *string
}

// event is Event of the schema.
type event struct {
	Actor, Address, At, Detail, ID, Kind, Outcome, SessionID, UserID string

	Count *int32
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (m *mutation) Register(ctx context.Context, args struct{ Body registerInput }) (*loginResponse, error) {
	return answered(m.auth, "user register successfully")(m.auth.register(ctx, args.Body))
}

func (m *mutation) Login(ctx context.Context, args struct{ Body loginInput }) (*loginResponse, error) {
	return answered(m.auth, "Login successful")(m.auth.login(ctx, args.Body, false))
}

func (m *mutation) LoginByToken(ctx context.Context, args struct{ Body loginInput }) (*loginResponse, error) {
	return answered(m.auth, "Login successful")(m.auth.login(ctx, args.Body, true))
}

func (m *mutation) Refresh(ctx context.Context, args struct{ RefreshToken string }) (*loginResponse, error) {
	return answered(m.auth, "Refreshed")(m.auth.refreshSession(ctx, args.RefreshToken))
}

// answered makes an answer of what a flow gave.
func answered(a *Auth, message string) func(signedIn, error) (*loginResponse, error) {
	return func(in signedIn, err error) (*loginResponse, error) {
		if err != nil {
			return nil, err
		}
		return a.answer(in, message), nil
	}
}

func (m *mutation) Logout(ctx context.Context) (*done, error) {
	return finished("Logged out")(m.auth.logout(ctx))
}

func (m *mutation) LogoutEverywhere(ctx context.Context) (*done, error) {
	return finished("Logged out everywhere")(m.auth.logoutEverywhere(ctx))
}

func (m *mutation) RevokeSession(ctx context.Context, args struct{ ID string }) (*done, error) {
	return finished("Session ended")(m.auth.revokeSession(ctx, args.ID))
}

func (m *mutation) ChangePassword(ctx context.Context, args struct{ Current, New string }) (*done, error) {
	return finished("Password changed; all other sessions have ended")(m.auth.changePassword(ctx, args.Current, args.New))
}

func (m *mutation) DeleteMyAccount(ctx context.Context, args struct{ Password string }) (*done, error) {
	return finished("Account deleted")(m.auth.deleteMyAccount(ctx, args.Password))
}

func (m *mutation) DeleteUser(ctx context.Context, args struct{ ID string }) (*done, error) {
	return finished("User deleted")(m.auth.deleteUser(ctx, args.ID))
}

// finished makes an answer of a flow that tells nothing.
func finished(message string) func(error) (*done, error) {
	return func(err error) (*done, error) {
		if err != nil {
			return nil, err
		}
		return &done{message}, nil
	}
}

func (m *mutation) UpdateProfile(ctx context.Context, args struct{ FirstName, LastName string }) (*profile, error) {
	return profiled(m.auth.updateProfile(ctx, args.FirstName, args.LastName))
}

func (m *mutation) ChangeEmail(ctx context.Context, args struct{ Email, Password string }) (*profile, error) {
	return profiled(m.auth.changeEmail(ctx, args.Password, args.Email))
}

func (m *mutation) SetRoles(ctx context.Context, args struct {
	ID    string
	Roles []string
}) (*profile, error) {
	return profiled(m.auth.setRoles(ctx, args.ID, args.Roles))
}

func (m *mutation) DisableUser(ctx context.Context, args struct{ ID string }) (*profile, error) {
	return profiled(m.auth.setDisabled(ctx, args.ID, true))
}

func (m *mutation) EnableUser(ctx context.Context, args struct{ ID string }) (*profile, error) {
	return profiled(m.auth.setDisabled(ctx, args.ID, false))
}

func profiled(u store.User, err error) (*profile, error) {
	if err != nil {
		return nil, err
	}
	return newProfile(u), nil
}
