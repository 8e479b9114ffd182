package tokens_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
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

// ring is one that works, of these secrets.
func ring(current tokens.Secret, previous ...tokens.Secret) *tokens.Ring {
	r, err := tokens.NewRing(current, previous...)
	if err != nil {
		panic(err)
	}
	return r
}

// grant is for an hour's login session.
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

// pair returns an issuer that edit makes differ from the verifier.
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
				if _, err := verifier.Verify(raw); !errors.Is(err, tt.want) {
					t.Errorf("Verify error = %v, want %v", err, tt.want)
				}
				if _, err := verifier.VerifyAny(ticket); !errors.Is(err, tt.want) {
					t.Errorf("VerifyAny(ticket) error = %v, want %v", err, tt.want)
				}
			})
		})
	}
}

func issue(t testing.TB, issuer *tokens.Issuer) (access, ticket string) {
	t.Helper()
	access, _, err := issuer.AccessToken(grant())
	if err != nil {
		t.Fatal(err)
	}
	ticket, err = issuer.Ticket(grant())
	if err != nil {
		t.Fatal(err)
	}
	return access, ticket
}

func TestVerifyReturnsWhatWasSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(300 * time.Millisecond) // a token's times are whole seconds, the clock's are not
		issuer, verifier := pair(t, nil)
		raw, ticket := issue(t, issuer)
		now := time.Now().UTC().Truncate(time.Second)
		want := tokens.Claims{
			Subject: userID, Email: email, Audience: tokens.AudienceAPI, SessionID: "s1", Roles: []string{"editor"}, IssuedAt: now, ExpiresAt: now.Add(time.Hour),
		}
		got, err := verifier.Verify(raw)
		if err != nil {
			t.Fatal(err)
		}
		first := got.ID
		if want.ID = first; !reflect.DeepEqual(got, want) {
			t.Errorf("Verify = %+v, want %+v", got, want)
		}
		if again, err := verifier.VerifyAny(raw); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("VerifyAny = %+v, %v, want as from Verify", again, err)
		}
		got, err = verifier.VerifyAny(ticket)
		if err != nil {
			t.Fatal(err)
		}
		want.Audience, want.ID, want.Ticket = tokens.AudienceConnectyCube, got.ID, true
		if !reflect.DeepEqual(got, want) {
			t.Errorf("VerifyAny(ticket) = %+v, want %+v", got, want)
		}
		if first == "" || first == got.ID {
			t.Errorf("jti = %q and %q, want two different ones", first, got.ID)
		}
	})
}

// Clients of the original read id, email, iat and exp; their order and ours is
// pinned so that a change shows.
func TestClaimsOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, verifier := pair(t, nil)
		for typ, raw := range tokensByType(t, issuer) {
			claims, err := verifier.VerifyAny(raw)
			if err != nil {
				t.Fatal(err)
			}
			header, payload, _ := parts(t, raw)
			if want := fmt.Sprintf(`{"alg":"HS256","typ":%q}`, typ); header != want {
				t.Errorf("header = %s, want %s", header, want)
			}
			want := fmt.Sprintf(`{"id":%q,"email":%q,"iat":946684800,"exp":946688400,"sub":%q,"iss":"cubegate","aud":%q,"jti":%q,"sid":"s1","roles":["editor"]}`,
				userID, email, userID, claims.Audience, claims.ID)
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

// The ticket ends up in ConnectyCube's logs; our own API must not open to it.
func TestTicketIsNoAccessToken(t *testing.T) {
	issuer, verifier := pair(t, nil)
	_, ticket := issue(t, issuer)
	if _, err := verifier.Verify(ticket); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("Verify(ticket) error = %v, want ErrInvalid", err)
	}
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// forge signs any header and payload with HMAC, by hand: a library would refuse
// half of what the tests want to send.
func forge(newHash func() hash.Hash, key tokens.Secret, header, payload string) string {
	signed := b64(header) + "." + b64(payload)
	mac := hmac.New(newHash, []byte(key.Reveal()))
	mac.Write([]byte(signed))
	return signed + "." + b64(string(mac.Sum(nil)))
}

const goodHeader = `{"alg":"HS256","typ":"at+jwt"}`

// goodPayload is a payload as we sign it, with some claims set to other JSON;
// an empty string leaves one out.
func goodPayload(edits ...string) string {
	now := time.Now().Unix()
	claims := map[string]string{
		"id": `"u1"`, "email": `"ada@example.org"`, "iat": fmt.Sprint(now), "exp": fmt.Sprint(now + 60),
		"sub": `"u1"`, "iss": `"cubegate"`, "aud": `"cubegate"`, "jti": `"j1"`, "sid": `"s1"`,
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
	return "{" + strings.Join(members, ",") + "}"
}

// signed is forge with the right key and algorithm.
func signed(header, payload string) string { return forge(sha256.New, goodSecret, header, payload) }

// Each row is a token that must not open anything. Those of the original's
// verify route are all here; it took HS384, HS512, no exp, iat in the future and
// claims of any type, and answered the rest with 500 (original.md, faults 3, 4, 6).
func TestVerifyRefuses(t *testing.T) {
	issuer, verifier := pair(t, nil)
	good, _ := issue(t, issuer)
	head, rest, _ := strings.Cut(good, ".")
	body, sig, _ := strings.Cut(rest, ".")
	hour := time.Now().Add(time.Hour).Unix()

	tests := []struct{ name, raw string }{
		{"empty", ""},
		{"garbage", "garbage"},
		{"one dot", head + "." + body},
		{"signature stripped", head + "." + body + "."},
		{"signature stripped, no dot", head + "." + body},
		{"header empty", "." + body + "." + sig},
		{"payload empty", head + ".." + sig},
		{"dots only", ".."},
		{"four segments", good + "." + sig},
		{"JWE's five segments", good + "." + sig + "." + sig},
		{"JSON serialisation", fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, body, head, sig)},
		{"JSON serialisation, general", fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, body, head, sig)},
		{"truncated", good[:len(good)-1]},
		{"cut in the payload", good[:len(head)+10]},
		{"Bearer before it", "Bearer " + good},
		{"space before", " " + good},
		{"space after", good + " "},
		{"newline after", good + "\n"},
		{"newline inside", head + "." + body[:10] + "\n" + body[10:] + "." + sig},
		{"carriage return in the signature", head + "." + body + "." + sig[:5] + "\r" + sig[5:]},
		{"NUL after", good + "\x00"},
		{"padding", good + "="},
		{"padding in each segment", head + "==." + body + "==." + sig + "="},
		{"standard base64 alphabet", head + "." + body + "." + "+/" + sig[2:]},
		{"two tokens", good + "," + good},
		{"quoted", `"` + good + `"`},
		{"too long", strings.Repeat("a", 3000) + "." + strings.Repeat("a", 6000) + "." + sig},

		{"tampered payload", head + "." + b64(goodPayload("sub", `"admin"`, "id", `"admin"`)) + "." + sig},
		{"tampered signature", head + "." + body + "." + flip(sig)},
		{"unused bits of the signature set", head + "." + body + "." + sig[:42] + string(alphabet[strings.IndexByte(alphabet, sig[42])|1])},
		{"signature of another token", head + "." + b64(goodPayload()) + "." + sig},
		{"other secret", forge(sha256.New, "another secret of more than 32 bytes", goodHeader, goodPayload())},
		{"empty secret", forge(sha256.New, "", goodHeader, goodPayload())},
		{"original's default secret", forge(sha256.New, "default_value", goodHeader, goodPayload())},

		{"alg none", b64(`{"alg":"none","typ":"at+jwt"}`) + "." + b64(goodPayload()) + "." + sig},
		{"alg none, no signature", b64(`{"alg":"none","typ":"at+jwt"}`) + "." + b64(goodPayload()) + "."},
		{"alg None", signed(`{"alg":"None","typ":"at+jwt"}`, goodPayload())},
		{"alg NONE", signed(`{"alg":"NONE","typ":"at+jwt"}`, goodPayload())},
		{"alg nOnE", signed(`{"alg":"nOnE","typ":"at+jwt"}`, goodPayload())},
		{"alg empty", signed(`{"alg":"","typ":"at+jwt"}`, goodPayload())},
		{"alg missing", signed(`{"typ":"at+jwt"}`, goodPayload())},
		{"alg null", signed(`{"alg":null,"typ":"at+jwt"}`, goodPayload())},
		{"alg a list", signed(`{"alg":["HS256"],"typ":"at+jwt"}`, goodPayload())},
		{"alg hs256", signed(`{"alg":"hs256","typ":"at+jwt"}`, goodPayload())},
		{"alg with a space", signed(`{"alg":"HS256 ","typ":"at+jwt"}`, goodPayload())},
		{"HS384 with the right secret", forge(sha512.New384, goodSecret, `{"alg":"HS384","typ":"at+jwt"}`, goodPayload())},
		{"HS512 with the right secret", forge(sha512.New, goodSecret, `{"alg":"HS512","typ":"at+jwt"}`, goodPayload())},
		{"HS512's signature under HS256", forge(sha512.New, goodSecret, goodHeader, goodPayload())},
		{"RS256 in the header", signed(`{"alg":"RS256","typ":"at+jwt"}`, goodPayload())},
		{"RS256", rs256(t, `{"alg":"RS256","typ":"at+jwt"}`, goodPayload())},
		{"RS256's signature under HS256", rs256(t, goodHeader, goodPayload())},

		{"typ JWT, as the original's", signed(`{"alg":"HS256","typ":"JWT"}`, goodPayload())},
		{"typ missing", signed(`{"alg":"HS256"}`, goodPayload())},
		{"typ empty", signed(`{"alg":"HS256","typ":""}`, goodPayload())},
		{"typ in capitals", signed(`{"alg":"HS256","typ":"AT+JWT"}`, goodPayload())},
		{"typ a number", signed(`{"alg":"HS256","typ":1}`, goodPayload())},
		{"crit", signed(`{"alg":"HS256","typ":"at+jwt","crit":["exp"],"exp":1}`, goodPayload())},
		{"crit empty", signed(`{"alg":"HS256","typ":"at+jwt","crit":[]}`, goodPayload())},
		{"b64 false", forge(sha256.New, goodSecret, `{"alg":"HS256","typ":"at+jwt","b64":false,"crit":["b64"]}`, goodPayload())},
		{"zip", signed(`{"alg":"HS256","typ":"at+jwt","zip":"DEF"}`, goodPayload())},
		{"jwk", signed(`{"alg":"HS256","typ":"at+jwt","jwk":{"kty":"oct","k":"AA"}}`, goodPayload())},
		{"jku", signed(`{"alg":"HS256","typ":"at+jwt","jku":"https://evil.test/"}`, goodPayload())},
		{"kid", signed(`{"alg":"HS256","typ":"at+jwt","kid":"../../dev/null"}`, goodPayload())},
		{"alg twice, none last", signed(`{"alg":"HS256","alg":"none","typ":"at+jwt"}`, goodPayload())},
		{"alg twice, none first", signed(`{"alg":"none","alg":"HS256","typ":"at+jwt"}`, goodPayload())},
		{"alg twice in two cases", signed(`{"alg":"HS256","ALG":"none","typ":"at+jwt"}`, goodPayload())},
		{"ALG only", signed(`{"ALG":"HS256","typ":"at+jwt"}`, goodPayload())},
		{"typ twice", signed(`{"alg":"HS256","typ":"at+jwt","typ":"ticket+jwt"}`, goodPayload())},
		{"header null", signed(`null`, goodPayload())},
		{"header a list", signed(`[{"alg":"HS256","typ":"at+jwt"}]`, goodPayload())},
		{"header not JSON", signed(`alg=HS256`, goodPayload())},
		{"header cut off", signed(`{"alg":"HS256","typ":"at+jwt"`, goodPayload())},
		{"header and more", signed(goodHeader+`{}`, goodPayload())},
		{"header after a BOM", signed("\ufeff"+goodHeader, goodPayload())},

		{"exp missing", signed(goodHeader, goodPayload("exp", ""))},
		{"exp null", signed(goodHeader, goodPayload("exp", "null"))},
		{"exp a string", signed(goodHeader, goodPayload("exp", fmt.Sprintf(`"%d"`, hour)))},
		{"exp true", signed(goodHeader, goodPayload("exp", "true"))},
		{"exp a fraction", signed(goodHeader, goodPayload("exp", fmt.Sprintf("%d.5", hour-10)))},
		{"exp 1e18", signed(goodHeader, goodPayload("exp", "1000000000000000000"))},
		{"exp 1e400", signed(goodHeader, goodPayload("exp", "1e400"))},
		{"exp the largest integer", signed(goodHeader, goodPayload("exp", "9223372036854775807"))},
		{"exp negative", signed(goodHeader, goodPayload("exp", "-1"))},
		{"exp before iat", signed(goodHeader, goodPayload("exp", "1000"))},
		{"lifetime of a year", signed(goodHeader, goodPayload("exp", fmt.Sprint(hour+365*86400)))},
		{"iat missing", signed(goodHeader, goodPayload("iat", ""))},
		{"iat in the future", signed(goodHeader, goodPayload("iat", fmt.Sprint(hour-1800), "exp", fmt.Sprint(hour)))},
		{"nbf in the future", signed(goodHeader, goodPayload("nbf", fmt.Sprint(hour-1800)))},
		{"nbf the largest integer, which overflows", signed(goodHeader, goodPayload("nbf", "9223372036854775807"))},
		{"nbf a string", signed(goodHeader, goodPayload("nbf", `"0"`))},
		{"no sub", signed(goodHeader, goodPayload("sub", ""))},
		{"the original's claims", signed(goodHeader, goodPayload("sub", "", "iss", "", "aud", "", "jti", ""))},
		{"the original's token", signed(`{"alg":"HS256","typ":"JWT"}`, goodPayload("sub", "", "iss", "", "aud", "", "jti", ""))},
		{"sub empty", signed(goodHeader, goodPayload("sub", `""`, "id", `""`))},
		{"sub a number", signed(goodHeader, goodPayload("sub", "42", "id", "42"))},
		{"sub null", signed(goodHeader, goodPayload("sub", "null", "id", "null"))},
		{"sub and id differ", signed(goodHeader, goodPayload("id", `"u2"`))},
		{"id missing", signed(goodHeader, goodPayload("id", ""))},
		{"ID in capitals", signed(goodHeader, goodPayload("id", "", "ID", `"u1"`))},
		{"email missing", signed(goodHeader, goodPayload("email", ""))},
		{"email an object", signed(goodHeader, goodPayload("email", `{"a":1}`))},
		{"jti missing", signed(goodHeader, goodPayload("jti", ""))},
		{"iss missing", signed(goodHeader, goodPayload("iss", ""))},
		{"iss another", signed(goodHeader, goodPayload("iss", `"https://evil.test"`))},
		{"iss a list", signed(goodHeader, goodPayload("iss", `["cubegate"]`))},
		{"aud missing", signed(goodHeader, goodPayload("aud", ""))},
		{"aud another", signed(goodHeader, goodPayload("aud", `"other"`))},
		{"aud of a ticket", signed(goodHeader, goodPayload("aud", `"connectycube"`))},
		{"typ of a ticket", signed(`{"alg":"HS256","typ":"ticket+jwt"}`, goodPayload())},
		{"aud a list", signed(goodHeader, goodPayload("aud", `["cubegate","connectycube"]`))},
		{"sub twice", signed(goodHeader, strings.Replace(goodPayload(), "{", `{"sub":"admin",`, 1))},
		{"payload a string", signed(goodHeader, `"u1"`)},
		{"payload a list", signed(goodHeader, `[`+goodPayload()+`]`)},
		{"payload null", signed(goodHeader, `null`)},
		{"payload a number", signed(goodHeader, `1`)},
		{"payload not JSON", signed(goodHeader, `id=u1`)},
		{"payload and more", signed(goodHeader, goodPayload()+goodPayload())},
		{"payload nested deep", signed(goodHeader, goodPayload("deep", strings.Repeat("[", 2500)))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, verify := range map[string]func(string) (tokens.Claims, error){"Verify": verifier.Verify, "VerifyAny": verifier.VerifyAny} {
				claims, err := verify(tt.raw)
				if !errors.Is(err, tokens.ErrInvalid) || errors.Is(err, tokens.ErrExpired) {
					t.Errorf("%s error = %v, want ErrInvalid", name, err)
				}
				if claims.Subject != "" {
					t.Errorf("%s gives claims with an error: %+v", name, claims)
				}
				if err != nil {
					noEcho(t, err, tt.raw)
				}
			}
		})
	}
	// The rows differ from a token that is accepted by what they say, and by nothing else.
	if _, err := verifier.Verify(signed(goodHeader, goodPayload())); err != nil {
		t.Fatalf("the token that the rows are made from: %v", err)
	}
	if _, err := verifier.Verify(signed(goodHeader, goodPayload("nbf", "0", "role", `"x"`))); err != nil {
		t.Errorf("with nbf in the past and an unknown claim: %v", err)
	}
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func flip(sig string) string {
	if sig[0] == 'A' {
		return "B" + sig[1:]
	}
	return "A" + sig[1:]
}

func rs256(t *testing.T, header, payload string) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signed := b64(header) + "." + b64(payload)
	digest := sha256.Sum256([]byte(signed))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + b64(string(sig))
}

// noEcho fails when err, which may be logged or shown, holds a piece of raw.
func noEcho(t *testing.T, err error, raw string) {
	t.Helper()
	for segment := range strings.SplitSeq(raw, ".") {
		if len(segment) > 8 && strings.Contains(err.Error(), segment) {
			t.Errorf("error echoes the token: %v", err)
		}
	}
	for _, word := range []string{"u1", "admin", "ada@", "evil", "none"} {
		if strings.Contains(err.Error(), word) {
			t.Errorf("error echoes %q: %v", word, err)
		}
	}
}

// The bound is on the whole token, however good it is otherwise.
func TestVerifyBoundsTheToken(t *testing.T) {
	_, verifier := pair(t, nil)
	padded := func(bytes int) string {
		return signed(goodHeader, goodPayload("pad", `"`+strings.Repeat("a", bytes)+`"`))
	}
	most := 0
	for bytes := 5800; bytes < 8<<10; bytes++ {
		raw := padded(bytes)
		_, err := verifier.Verify(raw)
		if fits := len(raw) <= 8<<10; fits != (err == nil) {
			t.Fatalf("%d bytes: error = %v", len(raw), err)
		}
		if err != nil {
			break
		}
		most = len(raw)
	}
	if most < 8<<10-2 {
		t.Errorf("the longest accepted has %d bytes", most)
	}
}

// golang-jwt once allocated for each dot (CVE-2025-30204); a token is refused by
// its size before anything looks at it.
func TestVerifyRefusesLongTokensForNothing(t *testing.T) {
	_, verifier := pair(t, nil)
	for _, raw := range []string{strings.Repeat(".", 1<<20), strings.Repeat("a", 1<<20), strings.Repeat(".", 8<<10)} {
		if got := testing.AllocsPerRun(10, func() {
			if _, err := verifier.VerifyAny(raw); !errors.Is(err, tokens.ErrInvalid) {
				t.Errorf("error = %v", err)
			}
		}); got > 8 {
			t.Errorf("%d bytes cost %v allocations", len(raw), got)
		}
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
		t.Errorf("error = %v, want all three faults", err)
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
		if _, err := issuer.Ticket(g); err == nil {
			t.Errorf("a ticket %s is signed", name)
		}
	}
}

// An access token ends with its login session; a ticket lasts as long as that.
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
			ticket, err := issuer.Ticket(g)
			if err != nil {
				t.Fatal(err)
			}
			if claims, err := verifier.VerifyAny(ticket); err != nil || !claims.ExpiresAt.Equal(g.Until) {
				t.Errorf("with %v left the ticket expires at %v, %v; want %v", left, claims.ExpiresAt, err, g.Until)
			}
		}
	})
}

// A ticket of the server's own belongs to no session and opens no API.
func TestServiceTicket(t *testing.T) {
	issuer, verifier := pair(t, nil)
	raw, err := issuer.ServiceTicket(userID, email)
	if err != nil {
		t.Fatal(err)
	}
	if claims, err := verifier.VerifyAny(raw); err != nil || !claims.Service || claims.SessionID != "" || claims.Subject != userID {
		t.Errorf("VerifyAny = %+v, %v", claims, err)
	}
	if _, err := verifier.Verify(raw); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("Verify error = %v, want ErrInvalid", err)
	}
	for name, forged := range map[string]string{
		"a service ticket with a session": signed(`{"alg":"HS256","typ":"service+jwt"}`, goodPayload("aud", `"connectycube"`)),
		"an access token without one":     signed(goodHeader, goodPayload("sid", "")),
		"one whose session is a number":   signed(goodHeader, goodPayload("sid", "1")),
	} {
		if _, err := verifier.VerifyAny(forged); !errors.Is(err, tokens.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

func TestIssuerAndVerifierServeManyAtOnce(t *testing.T) {
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
				if claims, err := verifier.Verify(raw); err != nil || claims.Subject != subject {
					t.Fatalf("Verify = %+v, %v", claims, err)
				}
			}
		})
	}
}

// Whatever is sent, nothing panics, and only what was issued is accepted.
//
//	go test -run '^$' -fuzz '^FuzzVerify$' -fuzztime 2m ./tokens
//
// What minutes of that came upon is kept in testdata/fuzz.
func FuzzVerify(f *testing.F) {
	issuer, verifier := pair(f, nil)
	access, ticket := issue(f, issuer)
	for _, seed := range []string{
		access, ticket, "", "..", "a.b.c", signed(goodHeader, goodPayload()), signed(`{"alg":"none"}`, `{}`),
		`{"payload":"","signatures":[]}`, strings.Repeat(".", 9000), access + "\n", signed(`[[[`, `{"a":`),
	} {
		f.Add(seed)
	}
	issued := map[string]bool{access: true, ticket: true}
	f.Fuzz(func(t *testing.T, raw string) {
		claims, err := verifier.VerifyAny(raw)
		switch {
		case err == nil && !issued[raw] && raw != signedSeed(raw):
			t.Errorf("accepted %q: %+v", raw, claims)
		case err != nil && !errors.Is(err, tokens.ErrInvalid) && !errors.Is(err, tokens.ErrExpired):
			t.Errorf("error of no kind: %v", err)
		}
	})
}

// signedSeed returns raw as it would be if we had signed its first two segments.
func signedSeed(raw string) string {
	s := strings.Split(raw, ".")
	if len(s) != 3 {
		return ""
	}
	header, _ := base64.RawURLEncoding.DecodeString(s[0])
	payload, _ := base64.RawURLEncoding.DecodeString(s[1])
	return signed(string(header), string(payload))
}

// Behind the signature: with the right key, any header and any claims.
//
//	go test -run '^$' -fuzz '^FuzzVerifySigned$' -fuzztime 2m ./tokens
//
// What minutes of that came upon is kept in testdata/fuzz.
func FuzzVerifySigned(f *testing.F) {
	_, verifier := pair(f, nil)
	f.Add(goodHeader, goodPayload())
	f.Add(`{"alg":"HS256","typ":"ticket+jwt"}`, goodPayload("aud", `"connectycube"`))
	f.Add(`{"alg":"HS256","typ":"at+jwt","crit":["b64"],"b64":false}`, `{"sub":1}`)
	f.Add(`{"typ":"at+jwt","alg":"HS256"}`, goodPayload("exp", "1e400"))
	f.Fuzz(func(t *testing.T, header, payload string) {
		claims, err := verifier.VerifyAny(signed(header, payload))
		if err != nil {
			return
		}
		now := time.Now()
		if claims.Subject == "" || claims.Email == "" || claims.ID == "" || !claims.ExpiresAt.After(now.Add(-time.Second)) ||
			claims.IssuedAt.After(now) || claims.ExpiresAt.Sub(claims.IssuedAt) > time.Hour {
			t.Errorf("accepted %s %s: %+v", header, payload, claims)
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(header), &m); err != nil || len(m) != 2 || m["alg"] != "HS256" {
			t.Errorf("accepted the header %s", header)
		}
		if err := json.Unmarshal([]byte(payload), &m); err != nil || m["sub"] != m["id"] || m["sub"] != claims.Subject {
			t.Errorf("accepted the claims %s as %+v", payload, claims)
		}
	})
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

// BenchmarkAlgorithms puts the three side by side.
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
				if _, err := verifier.Verify(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
