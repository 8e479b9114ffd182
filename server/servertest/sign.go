package servertest

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"cubegate/server"
)

// SignToken signs a header and claims with JWTSecret. The claims are those of a
// valid token. The edits are names and values in turn: each value is the JSON that
// replaces a claim, or empty to remove the claim.
func SignToken(newHash func() hash.Hash, header string, edits ...string) string {
	now := time.Now().Unix()
	claims := map[string]string{
		"id": `"507f1f77bcf86cd799439011"`, "sub": `"507f1f77bcf86cd799439011"`, "email": `"ada@example.org"`,
		"iat": fmt.Sprint(now), "exp": fmt.Sprint(now + 600), "iss": `"cubegate"`, "aud": `"cubegate"`, "jti": `"j1"`,
		"sid": `"s1"`,
	}
	for i := 0; i < len(edits); i += 2 {
		if claims[edits[i]] = edits[i+1]; edits[i+1] == "" {
			delete(claims, edits[i])
		}
	}
	var members []string
	for k, v := range claims {
		members = append(members, fmt.Sprintf("%q:%s", k, v))
	}
	return SignHMAC(newHash, JWTSecret, header, "{"+strings.Join(members, ",")+"}")
}

// SignHMAC returns a token of the header and payload, signed with the key.
func SignHMAC(newHash func() hash.Hash, key, header, payload string) string {
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	mac := hmac.New(newHash, []byte(key))
	mac.Write([]byte(signed))
	return signed + "." + b64(mac.Sum(nil))
}

// AccessHeader is the header of an access token.
const AccessHeader = `{"alg":"HS256","typ":"at+jwt"}`

// ClaimsOf returns the edits for SignToken that put an existing user with an
// active login session into the claims, and then more edits.
func (r *Server) ClaimsOf(t *testing.T, id string, edits ...string) []string {
	t.Helper()
	user, err := r.Store.Users().ByID(t.Context(), id)
	if err != nil || len(user.Sessions) == 0 {
		t.Fatalf("user %s: %d sessions, %v", id, len(user.Sessions), err)
	}
	return append([]string{"id", `"` + id + `"`, "sub", `"` + id + `"`, "sid", `"` + user.Sessions[0] + `"`}, edits...)
}

// Verify returns the replies of the verify route about a token, to GET and to POST.
func (r *Server) Verify(t *testing.T, token string) []Reply {
	t.Helper()
	body, err := json.Marshal(map[string]string{"token": token})
	if err != nil {
		t.Fatal(err)
	}
	return []Reply{
		r.Request(t, http.MethodGet, server.VerifyPath+"?token="+url.QueryEscape(token), ""),
		r.Request(t, http.MethodPost, server.VerifyPath, string(body)),
	}
}

// RequireRefused checks that the verify route refuses a token with status 401, and
// that the log has no error.
func (r *Server) RequireRefused(t *testing.T, token string) {
	t.Helper()
	for _, got := range r.Verify(t, token) {
		if got.Status != 401 || CodeOf(got.Body) != "UNAUTHENTICATED" {
			t.Errorf("%d %s, want 401", got.Status, got.Body)
		}
	}
	if log := r.Log.String(); strings.Contains(log, `"level":"ERROR"`) || strings.Contains(log, "goroutine ") {
		t.Errorf("the log has an error or a stack: %s", log)
	}
}

// RequireAccepted checks that the verify route accepts a token. Without this
// check, a test of refusals could pass because all tokens are refused.
func (r *Server) RequireAccepted(t *testing.T, token string) {
	t.Helper()
	for _, got := range r.Verify(t, token) {
		if got.Status != 200 {
			t.Fatalf("%d %s, want 200", got.Status, got.Body)
		}
	}
}

// DecodeSegment returns the JSON of one segment of a token.
func DecodeSegment(segment string) string {
	raw, _ := base64.RawURLEncoding.DecodeString(segment)
	return string(raw)
}
