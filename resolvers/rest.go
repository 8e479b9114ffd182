package resolvers

import (
	"context"
	"encoding/json"
	"net/http"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/transport"
)

// REST is the second door to the flows that GraphQL opens: the same code, the
// same codes, and HTTP's own statuses. What it says is described in
// openapi/openapi.json.
type REST struct {
	auth *Auth
}

// NewREST returns the handlers over the flows.
func NewREST(auth *Auth) *REST { return &REST{auth} }

// Register answers POST /auth/register.
func (r *REST) Register(w http.ResponseWriter, q *http.Request) {
	serve(r.auth, w, q, http.StatusCreated, func(ctx context.Context, in registerInput) (*loginResponse, error) {
		return answered(r.auth, "user register successfully")(r.auth.register(ctx, in))
	})
}

// Login answers POST /auth/login.
func (r *REST) Login(w http.ResponseWriter, q *http.Request) { r.login(w, q, false) }

// LoginByToken answers POST /auth/login-by-token.
func (r *REST) LoginByToken(w http.ResponseWriter, q *http.Request) { r.login(w, q, true) }

func (r *REST) login(w http.ResponseWriter, q *http.Request, byTicket bool) {
	serve(r.auth, w, q, http.StatusOK, func(ctx context.Context, in loginInput) (*loginResponse, error) {
		return answered(r.auth, "Login successful")(r.auth.login(ctx, in, byTicket))
	})
}

// Refresh answers POST /auth/refresh.
func (r *REST) Refresh(w http.ResponseWriter, q *http.Request) {
	type input struct {
		RefreshToken string `json:"refreshToken"`
	}
	serve(r.auth, w, q, http.StatusOK, func(ctx context.Context, in input) (*loginResponse, error) {
		if in.RefreshToken == "" {
			p := apierror.FieldErrors{"refreshToken": "is required"}
			return nil, p.Err()
		}
		return answered(r.auth, "Refreshed")(r.auth.refreshSession(ctx, in.RefreshToken))
	})
}

// Logout answers POST /auth/logout.
func (r *REST) Logout(w http.ResponseWriter, q *http.Request) {
	r.end(w, q, r.auth.logout(q.Context()))
}

// LogoutEverywhere answers DELETE /auth/sessions.
func (r *REST) LogoutEverywhere(w http.ResponseWriter, q *http.Request) {
	r.end(w, q, r.auth.logoutEverywhere(q.Context()))
}

// RevokeSession answers DELETE /auth/sessions/{id}.
func (r *REST) RevokeSession(w http.ResponseWriter, q *http.Request) {
	r.end(w, q, r.auth.revokeSession(q.Context(), q.PathValue("id")))
}

// Me answers GET /auth/me.
func (r *REST) Me(w http.ResponseWriter, q *http.Request) {
	user, _, err := r.auth.caller(q.Context())
	r.tell(w, q, err, func() any { return newProfile(user) })
}

// Sessions answers GET /auth/sessions.
func (r *REST) Sessions(w http.ResponseWriter, q *http.Request) {
	list, err := r.auth.mySessions(q.Context())
	r.tell(w, q, err, func() any { return map[string]any{"sessions": list} })
}

func (r *REST) tell(w http.ResponseWriter, q *http.Request, err error, body func() any) {
	if err != nil {
		apierror.Write(w, q, r.auth.Log, outward(err))
		return
	}
	writeJSON(w, http.StatusOK, body())
}

// end answers what has nothing to tell.
func (r *REST) end(w http.ResponseWriter, q *http.Request, err error) {
	if err != nil {
		apierror.Write(w, q, r.auth.Log, outward(err))
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}

// serve reads a JSON body, runs a flow and answers.
func serve[In any](a *Auth, w http.ResponseWriter, q *http.Request, status int, flow func(context.Context, In) (*loginResponse, error)) {
	var in In
	err := transport.ReadJSON(q, &in)
	var out *loginResponse
	if err == nil {
		out, err = flow(q.Context(), in)
	}
	if err != nil {
		apierror.Write(w, q, a.Log, outward(err))
		return
	}
	writeJSON(w, status, out)
}

// JWKS answers with the public keys of our tokens, an empty set where they are
// signed with the secret. Set is called for each request.
func JWKS(set func() []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Header().Set("Cache-Control", "public, max-age=60") // a new key is known for longer than that before it signs
		_ = json.NewEncoder(w).Encode(json.RawMessage(set())) // the client may be gone; there is nobody to tell
	}
}
