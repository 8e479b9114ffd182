package transport

import (
	"context"
	"net/http"
	"strings"

	"cubegate/resolvers/apierror"
)

// sender holds what the request's headers claim about its sender. Nothing here is
// verified.
type sender struct {
	token     string // of the header Authorization; empty = none
	malformed bool   // the header is there and is not a bearer token
	userAgent string
	host      string // at which the sender reached this server
}

type senderKey struct{}

func senderOf(ctx context.Context) sender {
	s, _ := ctx.Value(senderKey{}).(sender)
	return s
}

// Bearer puts the bearer token, the user agent and the host of a request into its context.
// It refuses no request: an operation that needs no user, such as a refresh, must
// work with an expired token or a malformed header.
func Bearer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := sender{userAgent: r.UserAgent(), host: r.Host}
		if headers := r.Header.Values("Authorization"); len(headers) > 0 {
			scheme, token, ok := strings.Cut(headers[0], " ")
			s.token = strings.TrimSpace(token)
			s.malformed = !ok || len(headers) > 1 || !strings.EqualFold(scheme, "Bearer") || s.token == ""
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), senderKey{}, s)))
	})
}

var errMalformedBearer = &apierror.Error{Code: apierror.Unauthenticated, Message: "The header Authorization must have the form: Bearer <access token>"}

// BearerToken returns the bearer token of a request, not verified, or "" if the
// request has none. The error, if the header has another form, is safe to show.
// ctx must come from [Bearer].
func BearerToken(ctx context.Context) (string, error) {
	s := senderOf(ctx)
	if s.malformed {
		return "", errMalformedBearer
	}
	return s.token, nil
}

// UserAgent returns the user agent of a request. ctx must come from [Bearer].
func UserAgent(ctx context.Context) string { return senderOf(ctx).userAgent }

// Host returns the header Host of a request, or :authority of HTTP/2, as the client sent
// it. ctx must come from [Bearer].
func Host(ctx context.Context) string { return senderOf(ctx).host }
