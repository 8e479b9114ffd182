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
	"strings"
	"testing"
	"time"

	"cubegate/tokens"
)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// signToken signs any header and payload with HMAC. A library would refuse many of the
// test inputs.
func signToken(newHash func() hash.Hash, key tokens.Secret, header, payload string) string {
	signed := b64(header) + "." + b64(payload)
	mac := hmac.New(newHash, []byte(key.Reveal()))
	mac.Write([]byte(signed))
	return signed + "." + b64(string(mac.Sum(nil)))
}

const goodHeader = `{"alg":"HS256","typ":"at+jwt"}`

// goodPayload returns a valid payload. Its arguments replace claims with other JSON; an
// empty string removes a claim.
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

// signed is signToken with the right key and algorithm.
func signed(header, payload string) string { return signToken(sha256.New, goodSecret, header, payload) }

// Each row is a token that the verifier must refuse. The list includes all that the
// original's verify route got wrong: it accepted HS384, HS512, no exp, iat in the
// future and claims of any type, and answered the others with 500.
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
		{"other secret", signToken(sha256.New, "another secret of more than 32 bytes", goodHeader, goodPayload())},
		{"empty secret", signToken(sha256.New, "", goodHeader, goodPayload())},
		{"original's default secret", signToken(sha256.New, "default_value", goodHeader, goodPayload())},

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
		{"HS384 with the right secret", signToken(sha512.New384, goodSecret, `{"alg":"HS384","typ":"at+jwt"}`, goodPayload())},
		{"HS512 with the right secret", signToken(sha512.New, goodSecret, `{"alg":"HS512","typ":"at+jwt"}`, goodPayload())},
		{"HS512's signature under HS256", signToken(sha512.New, goodSecret, goodHeader, goodPayload())},
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
		{"b64 false", signToken(sha256.New, goodSecret, `{"alg":"HS256","typ":"at+jwt","b64":false,"crit":["b64"]}`, goodPayload())},
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
			for name, verify := range map[string]func(string) (tokens.Claims, error){"VerifyAccess": verifier.VerifyAccess, "VerifyCallbackToken": verifier.VerifyCallbackToken, "VerifyLogout": verifier.VerifyLogout} {
				if name == "VerifyLogout" && tt.name == "lifetime of a year" {
					continue // the operator may have shortened it since
				}
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
	// An accepted token: the rows differ from it only in what they state.
	if _, err := verifier.VerifyAccess(signed(goodHeader, goodPayload())); err != nil {
		t.Fatalf("the token that the rows are made from: %v", err)
	}
	if _, err := verifier.VerifyAccess(signed(goodHeader, goodPayload("nbf", "0", "role", `"x"`))); err != nil {
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

// noEcho fails if err, which may be logged or shown, contains a part of raw.
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

// The bound applies to the whole token, valid or not.
func TestVerifyBoundsTheToken(t *testing.T) {
	_, verifier := pair(t, nil)
	padded := func(bytes int) string {
		return signed(goodHeader, goodPayload("pad", `"`+strings.Repeat("a", bytes)+`"`))
	}
	most := 0
	for bytes := 5800; bytes < 8<<10; bytes++ {
		raw := padded(bytes)
		_, err := verifier.VerifyAccess(raw)
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

// golang-jwt once allocated for each dot (CVE-2025-30204). The verifier checks the
// length first.
func TestVerifyRefusesLongTokensCheaply(t *testing.T) {
	_, verifier := pair(t, nil)
	for _, raw := range []string{strings.Repeat(".", 1<<20), strings.Repeat("a", 1<<20), strings.Repeat(".", 8<<10)} {
		if got := testing.AllocsPerRun(10, func() {
			if _, err := verifier.VerifyCallbackToken(raw); !errors.Is(err, tokens.ErrInvalid) {
				t.Errorf("error = %v", err)
			}
		}); got > 8 {
			t.Errorf("%d bytes cost %v allocations", len(raw), got)
		}
	}
}

// FuzzVerify checks that no input causes a panic, and that only issued tokens are
// accepted.
//
//	go test -run '^$' -fuzz '^FuzzVerify$' -fuzztime 2m ./tokens
//
// testdata/fuzz keeps the findings.
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
		claims, err := verifier.VerifyCallbackToken(raw)
		switch {
		case err == nil && !issued[raw] && raw != signedSeed(raw):
			t.Errorf("accepted %q: %+v", raw, claims)
		case err != nil && !errors.Is(err, tokens.ErrInvalid) && !errors.Is(err, tokens.ErrExpired):
			t.Errorf("unexpected error: %v", err)
		}
	})
}

// signedSeed returns raw with a valid signature of its first two segments.
func signedSeed(raw string) string {
	s := strings.Split(raw, ".")
	if len(s) != 3 {
		return ""
	}
	header, _ := base64.RawURLEncoding.DecodeString(s[0])
	payload, _ := base64.RawURLEncoding.DecodeString(s[1])
	return signed(string(header), string(payload))
}

// FuzzVerifySigned signs any header and any claims with the right key.
//
//	go test -run '^$' -fuzz '^FuzzVerifySigned$' -fuzztime 2m ./tokens
//
// testdata/fuzz keeps the findings.
func FuzzVerifySigned(f *testing.F) {
	_, verifier := pair(f, nil)
	f.Add(goodHeader, goodPayload())
	f.Add(`{"alg":"HS256","typ":"ticket+jwt"}`, goodPayload("aud", `"connectycube"`))
	f.Add(`{"alg":"HS256","typ":"at+jwt","crit":["b64"],"b64":false}`, `{"sub":1}`)
	f.Add(`{"typ":"at+jwt","alg":"HS256"}`, goodPayload("exp", "1e400"))
	f.Fuzz(func(t *testing.T, header, payload string) {
		claims, err := verifier.VerifyCallbackToken(signed(header, payload))
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
