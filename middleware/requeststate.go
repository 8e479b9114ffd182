package middleware

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// maxLoggedOperations bounds the operations in one log line.
const maxLoggedOperations = 8

// requestState is what handlers report about their request. The fields of a GraphQL query
// report at the same time.
type requestState struct {
	mu         sync.Mutex
	refusal    string // the code, or ""
	level      slog.Level
	operations []string // each once, in the order of their first end
	first      [1]string
	code       string // of the first error that the client gets
	reason     string // of the first operation that did not succeed
	userID     string
}

type requestStateKey struct{}

func stateOf(ctx context.Context) *requestState {
	state, _ := ctx.Value(requestStateKey{}).(*requestState)
	return state
}

// NoteOperation reports the end of an operation of the request of ctx, and the reason if it
// did not succeed, else "". Both are words of the program, never of a client.
func NoteOperation(ctx context.Context, name, reason string) {
	state := stateOf(ctx)
	if state == nil {
		return
	}
	state.mu.Lock()
	defer state.mu.Unlock()
	if state.operations == nil {
		state.operations = state.first[:0] // most requests have one operation
	}
	if len(state.operations) < maxLoggedOperations && !slices.Contains(state.operations, name) {
		state.operations = append(state.operations, name)
	}
	if state.reason == "" {
		state.reason = reason
	}
}

// NoteUser reports the ID of the user that the request of ctx is about: the caller, or the
// user whose password or token it presents, even if it is refused.
func NoteUser(ctx context.Context, id string) {
	if state := stateOf(ctx); state != nil && id != "" {
		state.mu.Lock()
		defer state.mu.Unlock()
		state.userID = id
	}
}

// NoteCode reports the code of an error that the client gets. The first one counts.
func NoteCode(ctx context.Context, code string) {
	if state := stateOf(ctx); state != nil {
		state.mu.Lock()
		defer state.mu.Unlock()
		if state.code == "" {
			state.code = code
		}
	}
}

// attrs appends what handlers have reported.
func (s *requestState) attrs(list []slog.Attr) []slog.Attr {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range [...]struct{ key, value string }{
		{"operation", strings.Join(s.operations, ",")}, {"code", s.code}, {"reason", s.reason}, {"user_id", s.userID},
	} {
		if a.value != "" {
			list = append(list, slog.String(a.key, a.value))
		}
	}
	return list
}

// refused returns the code and the level if a limit refused the request.
func (s *requestState) refused() (code string, level slog.Level) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refusal, s.level
}
