package tokens_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/tokens"
)

const (
	userID = "507f1f77bcf86cd799439011"
	email  = "ada@example.org"
)

// ring returns a ring of the secrets.
func ring(current tokens.Secret, previous ...tokens.Secret) *tokens.SecretRing {
	r, err := tokens.NewSecretRing(current, previous...)
	if err != nil {
		panic(err)
	}
	return r
}

// grant returns a grant for a login session of one hour.
func grant() tokens.Grant {
	return tokens.Grant{Subject: userID, Email: email, SessionID: "s1", Roles: []string{"editor"}, Until: time.Now().Add(time.Hour)}
}

func config(edit func(*tokens.Config)) tokens.Config {
	c := tokens.Config{Ring: ring(goodSecret), SessionTTL: time.Hour, ServiceTTL: time.Hour}
	if edit != nil {
		edit(&c)
	}
	return c
}

// pair returns a verifier, and an issuer whose configuration edit changes.
func pair(t testing.TB, edit func(*tokens.Config)) (*tokens.Issuer, *tokens.Verifier) {
	t.Helper()
	issuer, err := tokens.NewIssuer(config(edit))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := tokens.NewVerifier(config(nil))
	if err != nil {
		t.Fatal(err)
	}
	return issuer, verifier
}

func TestTokenLives(t *testing.T) {
	tests := []struct {
		name string
		edit func(*tokens.Config) // how the issuer differs from the verifier
		wait time.Duration        // between issue and verify
		want error
	}{
		{"at once", nil, 0, nil},
		{"last second", nil, time.Hour - time.Second, nil},
		{"expired", nil, time.Hour, tokens.ErrExpired},
		{"long expired", nil, 1000 * time.Hour, tokens.ErrExpired},
		{"shorter than the verifier grants", func(c *tokens.Config) { c.AccessTTL = time.Minute }, 0, nil},
		{"other issuer", func(c *tokens.Config) { c.Issuer = "elsewhere" }, 0, tokens.ErrInvalid},
		{"other secret", func(c *tokens.Config) { c.Ring = ring(goodSecret[1:] + "x") }, 0, tokens.ErrInvalid},
		{"other issuer, expired", func(c *tokens.Config) { c.Issuer = "elsewhere" }, time.Hour, tokens.ErrInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // the bubble's clock is fake: Sleep costs nothing
				issuer, verifier := pair(t, tt.edit)
				raw, ticket := issue(t, issuer)
				time.Sleep(tt.wait)
				if _, err := verifier.VerifyAccess(raw); !errors.Is(err, tt.want) {
					t.Errorf("VerifyAccess error = %v, want %v", err, tt.want)
				}
				if _, err := verifier.VerifyCallbackToken(ticket); !errors.Is(err, tt.want) {
					t.Errorf("VerifyCallbackToken(ticket) error = %v, want %v", err, tt.want)
				}
			})
		})
	}
}

// A logout takes an access token of any age, and nothing else that VerifyAccess refuses.
func TestVerifyLogout(t *testing.T) {
	for name, tt := range map[string]struct {
		edit func(*tokens.Config) // how the issuer differs from the verifier
		wait time.Duration
		want error
	}{
		"at once":                         {nil, 0, nil},
		"expired":                         {nil, time.Hour, nil},
		"long expired":                    {nil, 1000 * time.Hour, nil},
		"longer than the settings allow":  {func(c *tokens.Config) { c.AccessTTL, c.SessionTTL = 24*time.Hour, 24*time.Hour }, 2 * time.Hour, nil},
		"other issuer, expired":           {func(c *tokens.Config) { c.Issuer = "elsewhere" }, time.Hour, tokens.ErrInvalid},
		"other secret":                    {func(c *tokens.Config) { c.Ring = ring(goodSecret[1:] + "x") }, 0, tokens.ErrInvalid},
		"other secret, expired":           {func(c *tokens.Config) { c.Ring = ring(goodSecret[1:] + "x") }, time.Hour, tokens.ErrInvalid},
		"signed in the future of replica": {nil, -time.Minute, tokens.ErrInvalid},
	} {
		synctest.Test(t, func(t *testing.T) {
			issuer, verifier := pair(t, tt.edit)
			raw, ticket := issue(t, issuer)
			if tt.wait < 0 {
				raw = signed(goodHeader, goodPayload("iat", fmt.Sprint(time.Now().Unix()+60), "exp", fmt.Sprint(time.Now().Unix()+120)))
			}
			time.Sleep(max(0, tt.wait))
			claims, err := verifier.VerifyLogout(raw)
			if !errors.Is(err, tt.want) || err == nil && (claims.Subject != userID || claims.SessionID != "s1") {
				t.Errorf("%s: %+v, %v; want %v", name, claims, err, tt.want)
			}
			if _, err := verifier.VerifyLogout(ticket); !errors.Is(err, tokens.ErrInvalid) {
				t.Errorf("%s: a chat ticket: %v", name, err)
			}
			service, err := issuer.ServiceTicket(tokens.ServiceGrant{Subject: userID, Email: email})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := verifier.VerifyLogout(service); !errors.Is(err, tokens.ErrInvalid) {
				t.Errorf("%s: a service ticket: %v", name, err)
			}
		})
	}
}

func issue(t testing.TB, issuer *tokens.Issuer) (access, ticket string) {
	t.Helper()
	access, _, err := issuer.AccessToken(grant())
	if err != nil {
		t.Fatal(err)
	}
	ticket, err = issuer.ChatTicket(grant())
	if err != nil {
		t.Fatal(err)
	}
	return access, ticket
}

func TestVerifyReturnsWhatWasSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(300 * time.Millisecond) // the times of a token are whole seconds, unlike the clock's
		issuer, verifier := pair(t, nil)
		raw, ticket := issue(t, issuer)
		now := time.Now().UTC().Truncate(time.Second)
		want := tokens.Claims{
			Subject: userID, Email: email, Audience: tokens.AudienceAPI, SessionID: "s1", Roles: []string{"editor"}, IssuedAt: now, ExpiresAt: now.Add(time.Hour),
		}
		got, err := verifier.VerifyAccess(raw)
		if err != nil {
			t.Fatal(err)
		}
		first := got.ID
		if want.ID = first; !reflect.DeepEqual(got, want) {
			t.Errorf("VerifyAccess = %+v, want %+v", got, want)
		}
		if again, err := verifier.VerifyCallbackToken(raw); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("VerifyCallbackToken = %+v, %v, want as from VerifyAccess", again, err)
		}
		got, err = verifier.VerifyCallbackToken(ticket)
		if err != nil {
			t.Fatal(err)
		}
		want.Audience, want.ID, want.Ticket = tokens.AudienceConnectyCube, got.ID, true
		if !reflect.DeepEqual(got, want) {
			t.Errorf("VerifyCallbackToken(ticket) = %+v, want %+v", got, want)
		}
		if first == "" || first == got.ID {
			t.Errorf("jti = %q and %q, want two different ones", first, got.ID)
		}
	})
}

// Clients of the original read id, email, iat and exp. The test pins their order and
// that of our claims, so that a change shows.
func TestClaimsOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, verifier := pair(t, nil)
		for typ, raw := range tokensByType(t, issuer) {
			claims, err := verifier.VerifyCallbackToken(raw)
			if err != nil {
				t.Fatal(err)
			}
			header, payload, _ := parts(t, raw)
			if want := fmt.Sprintf(`{"alg":"HS256","typ":%q}`, typ); header != want {
				t.Errorf("header = %s, want %s", header, want)
			}
			client := map[string]string{"at+jwt": `,"client_id":"app"`}[typ] // required by RFC 9068
			want := fmt.Sprintf(`{"id":%q,"email":%q,"iat":946684800,"exp":946688400,"sub":%q,"iss":"cubegate","aud":%q,"jti":%q,"sid":"s1","roles":["editor"]%s}`,
				userID, email, userID, claims.Audience, claims.ID, client)
			if payload != want {
				t.Errorf("claims =\n%s, want\n%s", payload, want)
			}
		}
	})
}

func tokensByType(t *testing.T, issuer *tokens.Issuer) map[string]string {
	access, ticket := issue(t, issuer)
	return map[string]string{"at+jwt": access, "ticket+jwt": ticket}
}

func parts(t testing.TB, raw string) (header, payload, sig string) {
	t.Helper()
	s := strings.Split(raw, ".")
	if len(s) != 3 {
		t.Fatalf("token has %d segments", len(s))
	}
	for i := range s {
		b, err := base64.RawURLEncoding.DecodeString(s[i])
		if err != nil {
			t.Fatal(err)
		}
		s[i] = string(b)
	}
	return s[0], s[1], s[2]
}

// The ticket appears in ConnectyCube's logs, so our API must refuse it.
func TestTicketIsNoAccessToken(t *testing.T) {
	issuer, verifier := pair(t, nil)
	_, ticket := issue(t, issuer)
	if _, err := verifier.VerifyAccess(ticket); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("VerifyAccess(ticket) error = %v, want ErrInvalid", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, edit := range map[string]func(*tokens.Config){
		"no ring":             func(c *tokens.Config) { c.Ring = nil },
		"negative lifetime":   func(c *tokens.Config) { c.AccessTTL = -time.Hour },
		"lifetime of nothing": func(c *tokens.Config) { c.ServiceTTL = time.Millisecond },
	} {
		if _, err := tokens.NewIssuer(config(edit)); err == nil {
			t.Errorf("NewIssuer accepts: %s", name)
		}
		if _, err := tokens.NewVerifier(config(edit)); err == nil {
			t.Errorf("NewVerifier accepts: %s", name)
		}
	}
	_, err := tokens.NewIssuer(tokens.Config{AccessTTL: -1, SessionTTL: -1})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("error = %v, want all three errors", err)
	}
}

func TestIssuerRefusesWhatItCouldNotVerify(t *testing.T) {
	issuer, _ := pair(t, nil)
	for _, user := range [][2]string{{"", email}, {userID, ""}, {userID, strings.Repeat("a", 8<<10)}} {
		g := grant()
		g.Subject, g.Email = user[0], user[1]
		if _, _, err := issuer.AccessToken(g); err == nil {
			t.Errorf("AccessToken(%.10q, %.10q) succeeds", user[0], user[1])
		}
	}
	for name, edit := range map[string]func(*tokens.Grant){
		"without a session": func(g *tokens.Grant) { g.SessionID = "" },
		"of one that ended": func(g *tokens.Grant) { g.Until = time.Now() },
	} {
		g := grant()
		edit(&g)
		if _, _, err := issuer.AccessToken(g); err == nil {
			t.Errorf("an access token %s is signed", name)
		}
		if _, err := issuer.ChatTicket(g); err == nil {
			t.Errorf("a ticket %s is signed", name)
		}
	}
}

// An access token ends with its login session; a ticket lasts as long as the session.
func TestNoTokenOutlivesItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := tokens.Config{Ring: ring(goodSecret), SessionTTL: 48 * time.Hour}
		issuer, err := tokens.NewIssuer(config)
		if err != nil {
			t.Fatal(err)
		}
		verifier, err := tokens.NewVerifier(config)
		if err != nil {
			t.Fatal(err)
		}
		for _, left := range []time.Duration{time.Minute, 30 * time.Hour} {
			g := grant()
			g.Until = time.Now().Add(left)
			_, expires, err := issuer.AccessToken(g)
			if want := time.Now().Add(min(left, time.Hour)); err != nil || !expires.Equal(want) {
				t.Errorf("with %v left the access token expires at %v, %v; want %v", left, expires, err, want)
			}
			ticket, err := issuer.ChatTicket(g)
			if err != nil {
				t.Fatal(err)
			}
			if claims, err := verifier.VerifyCallbackToken(ticket); err != nil || !claims.ExpiresAt.Equal(g.Until) {
				t.Errorf("with %v left the ticket expires at %v, %v; want %v", left, claims.ExpiresAt, err, g.Until)
			}
		}
	})
}

// A service ticket belongs to no login session, and the API refuses it.
func TestServiceTicket(t *testing.T) {
	issuer, verifier := pair(t, nil)
	raw, err := issuer.ServiceTicket(tokens.ServiceGrant{Subject: userID, Email: email})
	if err != nil {
		t.Fatal(err)
	}
	if claims, err := verifier.VerifyCallbackToken(raw); err != nil || !claims.Service || claims.SessionID != "" || claims.Subject != userID || claims.External != "" {
		t.Errorf("VerifyCallbackToken = %+v, %v", claims, err)
	}
	other, err := issuer.ServiceTicket(tokens.ServiceGrant{Subject: userID, Email: email, ExternalID: "x"})
	if claims, verr := verifier.VerifyCallbackToken(other); err != nil || verr != nil || claims.External != "x" || claims.Subject != userID {
		t.Errorf("with an external ID: %+v, %v, %v", claims, err, verr)
	}
	if claims, err := verifier.VerifyAccess(signed(goodHeader, goodPayload("xid", `"x"`))); err != nil || claims.External != "" {
		t.Errorf("an access token with an external ID: %+v, %v", claims, err)
	}
	if _, err := verifier.VerifyAccess(raw); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("VerifyAccess error = %v, want ErrInvalid", err)
	}
	for name, forged := range map[string]string{
		"a service ticket with a session": signed(`{"alg":"HS256","typ":"service+jwt"}`, goodPayload("aud", `"connectycube"`)),
		"an access token without one":     signed(goodHeader, goodPayload("sid", "")),
		"one whose session is a number":   signed(goodHeader, goodPayload("sid", "1")),
	} {
		if _, err := verifier.VerifyCallbackToken(forged); !errors.Is(err, tokens.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

func TestIssuerAndVerifierAreConcurrent(t *testing.T) {
	issuer, verifier := pair(t, nil)
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for i := range 50 {
				subject := fmt.Sprint("u", i)
				g := grant()
				g.Subject = subject
				raw, _, err := issuer.AccessToken(g)
				if err != nil {
					t.Fatal(err)
				}
				if claims, err := verifier.VerifyAccess(raw); err != nil || claims.Subject != subject {
					t.Fatalf("VerifyAccess = %+v, %v", claims, err)
				}
			}
		})
	}
}

func BenchmarkAccessToken(b *testing.B) {
	issuer, _ := pair(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := issuer.AccessToken(grant()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAlgorithms compares the three algorithms.
func BenchmarkAlgorithms(b *testing.B) {
	for _, alg := range []string{"HS256", "EdDSA", "ES256"} {
		c := config(nil)
		if alg != "HS256" {
			c.Keys = openKeys(b, newFolder(b, alg))
		}
		issuer, err := tokens.NewIssuer(c)
		if err != nil {
			b.Fatal(err)
		}
		verifier, err := tokens.NewVerifier(c)
		if err != nil {
			b.Fatal(err)
		}
		raw, _ := issue(b, issuer)
		b.Run("sign/"+alg, func(b *testing.B) {
			for b.Loop() {
				issue(b, issuer)
			}
		})
		b.Run("verify/"+alg, func(b *testing.B) {
			for b.Loop() {
				if _, err := verifier.VerifyAccess(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
