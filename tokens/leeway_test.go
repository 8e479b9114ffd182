package tokens_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/tokens"
)

// tokenKinds lists all kinds of token with their header and payload.
var tokenKinds = []struct {
	name, header string
	edits        []string
	verify       []func(*tokens.Verifier, string) (tokens.Claims, error)
}{
	{"access token", goodHeader, nil,
		[]func(*tokens.Verifier, string) (tokens.Claims, error){(*tokens.Verifier).VerifyAccess, (*tokens.Verifier).VerifyCallbackToken}},
	{"chat ticket", `{"alg":"HS256","typ":"ticket+jwt"}`, []string{"aud", `"connectycube"`},
		[]func(*tokens.Verifier, string) (tokens.Claims, error){(*tokens.Verifier).VerifyCallbackToken}},
	{"service ticket", `{"alg":"HS256","typ":"service+jwt"}`, []string{"aud", `"connectycube"`, "sid", ""},
		[]func(*tokens.Verifier, string) (tokens.Claims, error){(*tokens.Verifier).VerifyCallbackToken}},
}

// The clock of the replica that signs may be up to 5 s ahead of the clock of the
// replica that verifies. Times in a token are whole seconds, so the verifier's
// clock moves within a second to make the difference exact.
func TestVerifyAllowsClockSkew(t *testing.T) {
	for _, tt := range []struct {
		ahead time.Duration
		want  error
	}{
		{50 * time.Millisecond, nil},
		{4900 * time.Millisecond, nil},
		{5 * time.Second, nil},
		{5100 * time.Millisecond, tokens.ErrInvalid},
		{6 * time.Second, tokens.ErrInvalid},
	} {
		for _, claim := range []string{"iat", "nbf"} {
			for _, kind := range tokenKinds {
				t.Run(fmt.Sprintf("%s, %s %v ahead", kind.name, claim, tt.ahead), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						_, verifier := pair(t, nil)
						at := time.Now().Add(10 * time.Second) // a whole second: the bubble starts at midnight
						exp := at.Add(30 * time.Second).Unix()
						edits := append([]string{"exp", fmt.Sprint(exp), claim, fmt.Sprint(at.Unix())}, kind.edits...)
						raw := signed(kind.header, goodPayload(edits...))
						time.Sleep(time.Until(at) - tt.ahead)
						for i, verify := range kind.verify {
							if _, err := verify(verifier, raw); !errors.Is(err, tt.want) {
								t.Errorf("verify %d: %v, want %v", i, err, tt.want)
							}
						}
					})
				})
			}
		}
	}
}

// The leeway is for clocks that are ahead. It does not extend the life of a token.
func TestVerifyHasNoLeewayForExp(t *testing.T) {
	for _, kind := range tokenKinds {
		synctest.Test(t, func(t *testing.T) {
			_, verifier := pair(t, nil)
			exp := time.Now().Add(10 * time.Second)
			raw := signed(kind.header, goodPayload(append([]string{"exp", fmt.Sprint(exp.Unix())}, kind.edits...)...))
			time.Sleep(time.Until(exp) - time.Millisecond)
			for i, verify := range kind.verify {
				if _, err := verify(verifier, raw); err != nil {
					t.Errorf("%s, 1 ms before exp: verify %d: %v", kind.name, i, err)
				}
			}
			time.Sleep(time.Millisecond)
			for i, verify := range kind.verify {
				if _, err := verify(verifier, raw); !errors.Is(err, tokens.ErrExpired) {
					t.Errorf("%s at exp: verify %d: %v, want %v", kind.name, i, err, tokens.ErrExpired)
				}
			}
		})
	}
}
