package resolvers

import (
	"context"
	_ "embed"
	"errors"
	"log/slog"
	"sync"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/identity"
	"cubegate/resolvers/transport"
	"cubegate/tokens"
)

//go:embed schema.graphql
var schemaText string

// API serves the operations, by GraphQL and by REST.
type API struct {
	users     userAPI
	sessions  sessionAPI
	admin     adminAPI
	callbacks verifyAPI
	auth      *identity.Authenticator
	client    func(context.Context) identity.ClientInfo
	observe   func(ctx context.Context, operation string, reason apierror.Reason)
	log       *slog.Logger
}

// Options configure an API. All fields but CallbackSecret and Observe are required.
type Options struct {
	Flows  *identity.Flows
	Client func(context.Context) identity.ClientInfo // returns what is known of a request's client
	Chat   ChatEndpoints
	Log    *slog.Logger

	// CallbackSecret is the value of the header [CallbackSecretHeader] in
	// ConnectyCube's callbacks. Without it, the verify route answers about no password.
	CallbackSecret tokens.Secret

	// Observe gets the end of each operation, for the request's log line and metrics.
	Observe func(ctx context.Context, operation string, reason apierror.Reason)
}

// NewAPI builds an API.
func NewAPI(o Options) (*API, error) {
	if o.Flows == nil || o.Client == nil || o.Chat == (ChatEndpoints{}) || o.Log == nil {
		return nil, errors.New("resolvers.Options lack Flows, Client, Chat or Log")
	}
	if o.Observe == nil {
		o.Observe = func(context.Context, string, apierror.Reason) {}
	}
	return &API{
		users:     userAPI{o.Flows.Logins, o.Flows.Profiles, o.Chat},
		sessions:  sessionAPI{o.Flows.Logins, o.Flows.Sessions, o.Chat},
		admin:     adminAPI{o.Flows.Admin},
		callbacks: verifyAPI{o.Flows.Authenticator, newCallbackSecret(o.CallbackSecret)},
		auth:      o.Flows.Authenticator, client: o.Client, observe: o.Observe, log: o.Log,
	}, nil
}

// GraphQL returns the handler of GraphQL requests. It answers questions about the schema
// if introspection is true.
func (a *API) GraphQL(introspection bool) (*transport.Handler, error) {
	return transport.New(transport.Options{
		Schema:        schemaText,
		Root:          &rootResolver{a},
		Outward:       Outward,
		QueryContext:  a.shareCaller,
		Observe:       a.noteRefused,
		Introspection: introspection,
		Log:           a.log,
	})
}

// rootResolver binds the schema's operations. graphql-go finds their methods by name,
// regardless of letter case and underscores: LoginByToken is login_By_token.
type rootResolver struct{ api *API }

func (r *rootResolver) Query() *query       { return &query{r.api} }
func (r *rootResolver) Mutation() *mutation { return &mutation{r.api} }

// query and mutation have one method for each operation of the schema.
type (
	query    struct{ api *API }
	mutation struct{ api *API }
)

func (q *query) Hello(ctx context.Context) (string, error) {
	return run(ctx, q.api, opHello, none{}, hello)
}

func hello(context.Context, identity.Caller, none) (string, error) {
	return "Hello from API!", nil
}

// caller returns the caller of an operation, if the row permits the call.
func (a *API) caller(ctx context.Context, op Operation) (c identity.Caller, err error) {
	if op.Role == identity.RoleAnyone { // a Caller is large: its copies would grow the stack
		c.Client = a.client(ctx)
	} else if err := a.authorize(ctx, op.Role, &c); err != nil {
		return identity.Caller{}, err
	}
	c.Costs, c.Audit = op.Costs, op.Audit
	return c, nil
}

// authorize finds the caller of a token and checks the role.
func (a *API) authorize(ctx context.Context, role identity.Role, c *identity.Caller) (err error) {
	find, shared := ctx.Value(sharedCallerKey{}).(func() (identity.Caller, error))
	if !shared {
		find = func() (identity.Caller, error) { return a.findCaller(ctx) }
	}
	if *c, err = find(); err != nil {
		return err
	}
	return a.auth.Authorize(ctx, *c, role)
}

func (a *API) findCaller(ctx context.Context) (identity.Caller, error) {
	token, err := transport.BearerToken(ctx)
	if err != nil {
		return identity.Caller{}, err
	}
	return a.auth.Caller(ctx, a.client(ctx), token)
}

type sharedCallerKey struct{}

// shareCaller lets the fields of one query share one look-up of the caller, so that
// aliases do not multiply it. Mutations must not share it: an earlier mutation may have
// ended the login session.
func (a *API) shareCaller(ctx context.Context) context.Context {
	return context.WithValue(ctx, sharedCallerKey{}, sync.OnceValues(func() (identity.Caller, error) { return a.findCaller(ctx) }))
}
