package resolvers

import (
	"context"
	"math"

	"cubegate/resolvers/identity"
	"cubegate/store"
)

// adminAPI serves administrators.
type adminAPI struct{ flows *identity.Admin }

// pageInput is PageInput of the schema.
type pageInput struct {
	After *string
	Limit *int32
}

// page returns the page that the input selects, or the first page.
func (p *pageInput) page() identity.Page {
	if p == nil {
		return identity.Page{Limit: store.MaxPage}
	}
	limit := store.MaxPage
	if p.Limit != nil {
		limit = max(1, min(int(*p.Limit), store.MaxPage))
	}
	return identity.Page{After: deref(p.After), Limit: limit}
}

// deref returns "" for nil.
func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// page is UserPage and EventPage of the schema.
type page[T any] struct {
	Items []*T
	Next  *string
}

// newPage returns a page with the given items and the cursor of the next page, if there is one.
func newPage[T any](items []*T, next string) *page[T] {
	out := &page[T]{Items: items}
	if next != "" {
		out.Next = &next
	}
	return out
}

type usersInput struct {
	Filter *struct {
		Disabled *bool
		Role     *string
		Text     *string
	}
	Page *pageInput
}

func (q *query) Users(ctx context.Context, args usersInput) (*page[profile], error) {
	return run(ctx, q.api, opUsers, args, q.api.admin.users)
}

func (a *adminAPI) users(ctx context.Context, c identity.Caller, in usersInput) (*page[profile], error) {
	var f store.UserFilter
	if in.Filter != nil {
		f = store.UserFilter{Text: deref(in.Filter.Text), Role: deref(in.Filter.Role), Disabled: in.Filter.Disabled}
	}
	list, err := a.flows.Users(ctx, c, f, in.Page.page())
	if err != nil {
		return nil, err
	}
	items := make([]*profile, len(list.Items))
	for i, u := range list.Items {
		items[i], _ = newProfile(u, nil)
	}
	return newPage(items, list.Next), nil
}

type auditInput struct {
	Filter *struct {
		Kind   *string
		UserID *string
	}
	Page *pageInput
}

func (q *query) Audit(ctx context.Context, args auditInput) (*page[event], error) {
	return run(ctx, q.api, opAudit, args, q.api.admin.audit)
}

func (a *adminAPI) audit(ctx context.Context, c identity.Caller, in auditInput) (*page[event], error) {
	var f store.EventFilter
	if in.Filter != nil {
		f = store.EventFilter{UserID: deref(in.Filter.UserID), Kind: store.AuditKind(deref(in.Filter.Kind))}
	}
	list, err := a.flows.Events(ctx, c, f, in.Page.page())
	if err != nil {
		return nil, err
	}
	items := make([]*event, len(list.Items))
	for i, e := range list.Items {
		items[i] = newEvent(e)
	}
	return newPage(items, list.Next), nil
}

// event is Event of the schema.
type event struct {
	Actor, Address, At, Detail, ID, Kind, Outcome, SessionID, UserID string

	Count *int32
}

func newEvent(e store.Event) *event {
	out := &event{
		Actor: e.Actor, Address: e.ClientIP, At: *formatTime(e.At), Detail: e.Detail, ID: e.ID,
		Kind: string(e.Kind), Outcome: string(e.Outcome), SessionID: e.Session, UserID: e.UserID,
	}
	if e.Count > 0 {
		count := int32(min(e.Count, math.MaxInt32))
		out.Count = &count
	}
	return out
}

type rolesInput struct {
	ID    string
	Roles []string
}

func (m *mutation) SetRoles(ctx context.Context, args rolesInput) (*profile, error) {
	return run(ctx, m.api, opSetRoles, args, m.api.admin.setRoles)
}

func (a *adminAPI) setRoles(ctx context.Context, c identity.Caller, in rolesInput) (*profile, error) {
	return newProfile(a.flows.SetRoles(ctx, c, in.ID, in.Roles))
}

func (m *mutation) DisableUser(ctx context.Context, args idInput) (*profile, error) {
	return run(ctx, m.api, opDisableUser, args, m.api.admin.disableUser)
}

func (a *adminAPI) disableUser(ctx context.Context, c identity.Caller, in idInput) (*profile, error) {
	return newProfile(a.flows.Disable(ctx, c, in.ID))
}

func (m *mutation) EnableUser(ctx context.Context, args idInput) (*profile, error) {
	return run(ctx, m.api, opEnableUser, args, m.api.admin.enableUser)
}

func (a *adminAPI) enableUser(ctx context.Context, c identity.Caller, in idInput) (*profile, error) {
	return newProfile(a.flows.Enable(ctx, c, in.ID))
}

func (m *mutation) DeleteUser(ctx context.Context, args idInput) (*doneResponse, error) {
	return run(ctx, m.api, opDeleteUser, args, m.api.admin.deleteUser)
}

func (a *adminAPI) deleteUser(ctx context.Context, c identity.Caller, in idInput) (*doneResponse, error) {
	return newDone(opDeleteUser, a.flows.Delete(ctx, c, in.ID))
}
