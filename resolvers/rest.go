package resolvers

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/identity"
	"cubegate/resolvers/transport"

	"github.com/go-chi/chi/v5"
)

// Mount binds the REST twins of the operations, which openapi/openapi.json describes.
// The operations that log users in with a password go to logins.
func (a *API) Mount(r, logins chi.Router) {
	bind(r, a, opRegister, readBody[identity.RegisterInput], a.users.register, writeCreated)
	bind(logins, a, opLogin, readBody[identity.LoginInput], a.sessions.login, writeOK)
	bind(logins, a, opLoginByToken, readBody[identity.LoginInput], a.sessions.loginByToken, writeOK)
	bind(r, a, opRefresh, readRefresh, a.sessions.refresh, writeOK)
	bind(r, a, opLogout, readLogout, a.sessions.logout, writeNoContent)
	bind(r, a, opLogoutEverywhere, readNothing, a.sessions.logoutEverywhere, writeNoContent)
	bind(r, a, opRevokeSession, readID, a.sessions.revokeSession, writeNoContent)
	bind(r, a, opMe, readNothing, a.users.me, writeOK)
	bind(r, a, opSessions, readNothing, a.sessions.list, writeSessions)
	bind(r, a, opVerify, a.callbacks.read, a.callbacks.verify, writeOK)
}

// bind mounts the REST twin of an operation at the methods and the path of its row.
// Read makes the input of a request, and write the response.
func bind[In, Out any](r chi.Router, a *API, op Operation, read func(*http.Request) (In, error), do func(context.Context, identity.Caller, In) (Out, error), write func(http.ResponseWriter, any)) {
	methods, path, _ := strings.Cut(op.REST, " ")
	for method := range strings.SplitSeq(methods, ",") {
		r.MethodFunc(method, path, func(w http.ResponseWriter, q *http.Request) {
			in, err := read(q)
			var out Out
			if err == nil {
				out, err = run(q.Context(), a, op, in, do)
			} else {
				a.noteEnd(q.Context(), op, err)
			}
			if err != nil {
				apierror.Write(w, q, a.log, Outward(err))
				return
			}
			write(w, out)
		})
	}
}

func readNothing(*http.Request) (none, error) { return none{}, nil }

func readBody[In any](r *http.Request) (in In, err error) {
	err = transport.ReadJSON(r, &in)
	return in, err
}

func readID(r *http.Request) (idInput, error) { return idInput{r.PathValue("id")}, nil }

func readRefresh(r *http.Request) (refreshInput, error) {
	in, err := readBody[refreshInput](r)
	if err == nil && in.RefreshToken == "" {
		err = apierror.FieldErrors{"refreshToken": "is required"}.Err()
	}
	return in, err
}

// readLogout reads a body only if there is one: the access token alone is enough.
func readLogout(r *http.Request) (in logoutInput, err error) {
	if !transport.HasBody(r) {
		return in, nil
	}
	return readBody[logoutInput](r)
}

func writeOK(w http.ResponseWriter, body any)      { writeJSON(w, http.StatusOK, body) }
func writeCreated(w http.ResponseWriter, body any) { writeJSON(w, http.StatusCreated, body) }

func writeNoContent(w http.ResponseWriter, _ any) {
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}

func writeSessions(w http.ResponseWriter, list any) {
	writeJSON(w, http.StatusOK, map[string]any{"sessions": list})
}

// writeJSON writes a response that no cache may store: most contain tokens.
func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}
