package tokens_test

import (
	"bytes"
	"compress/flate"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"cubegate/tokens"
)

// A part of a token is no token, whichever end is cut off (Zitadel accepted the beginning
// of an opaque token, CVE-2026-27840).
func TestTruncatedTokensAreRefused(t *testing.T) {
	issuer, verifier := pair(t, nil)
	access, chat := issue(t, issuer)
	service, err := issuer.ServiceTicket(tokens.ServiceGrant{Subject: userID, Email: "ada@example.org"})
	if err != nil {
		t.Fatal(err)
	}
	r := ring(goodSecret)
	verified := func(verify func(string) (tokens.Claims, error)) func(string) error {
		return func(raw string) error { _, err := verify(raw); return err }
	}
	for _, kind := range []struct {
		name, token string
		accept      func(string) error
	}{
		{"access token", access, verified(verifier.VerifyAccess)},
		{"access token at the verify route", access, verified(verifier.VerifyCallbackToken)},
		{"access token of a logout", access, verified(verifier.VerifyLogout)},
		{"chat ticket", chat, verified(verifier.VerifyCallbackToken)},
		{"service ticket", service, verified(verifier.VerifyCallbackToken)},
		{"refresh token", r.NewRefreshToken("session").Text, func(raw string) error { _, err := r.ParseRefreshToken(raw); return err }},
		{"device token", r.NewDeviceToken(tokens.KnownDevice{UserID: userID, EmailKey: "ada", Device: "phone", Issued: time.Now().Add(-time.Hour)}),
			func(raw string) error { _, err := r.ParseDeviceToken(raw, "ada"); return err }},
	} {
		if err := kind.accept(kind.token); err != nil {
			t.Fatalf("%s: %v", kind.name, err)
		}
		for cut := 1; cut <= len(kind.token); cut++ {
			for _, part := range []string{kind.token[:len(kind.token)-cut], kind.token[cut:]} {
				if err := kind.accept(part); !errors.Is(err, tokens.ErrInvalid) {
					t.Fatalf("%s without %d of its %d characters: %v", kind.name, cut, len(kind.token), err)
				}
			}
		}
	}
}

// encrypted returns a token in the five segments of JWE, encrypted with the server's own
// secret: a library that tries all forms of JOSE would decrypt it.
func encrypted(t *testing.T, header string, plain []byte) string {
	t.Helper()
	block, err := aes.NewCipher([]byte(goodSecret.Reveal())[:32])
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	iv := make([]byte, gcm.NonceSize())
	rand.Read(iv)
	sealed := gcm.Seal(nil, iv, plain, []byte(b64(header)))
	text, tag := sealed[:len(plain)], sealed[len(plain):]
	return strings.Join([]string{b64(header), "", b64(string(iv)), b64(string(text)), b64(string(tag))}, ".")
}

// Neither compression nor key derivation happens before a token is refused: a small token
// cannot make the server do much work (CVE-2024-28122, CVE-2023-49290).
func TestEncryptedTokensCostNothing(t *testing.T) {
	_, verifier := pair(t, nil)
	bomb := deflated(t, 4<<20)
	for name, raw := range map[string]string{
		"a JWE with the server's secret":     encrypted(t, `{"alg":"dir","enc":"A256GCM","typ":"at+jwt"}`, []byte(goodPayload())),
		"a compressed JWE":                   encrypted(t, `{"alg":"dir","enc":"A256GCM","zip":"DEF","typ":"at+jwt"}`, bomb),
		"a JWE whose key has iterations":     encrypted(t, `{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2s":"c2FsdHNhbHQ","p2c":2147483647,"typ":"at+jwt"}`, []byte(goodPayload())),
		"a JWS with such a header":           signed(`{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2s":"c2FsdHNhbHQ","p2c":2147483647,"typ":"at+jwt"}`, goodPayload()),
		"a compressed JWS":                   signed(`{"alg":"HS256","typ":"at+jwt","zip":"DEF"}`, string(bomb)),
		"a JWE in JSON":                      `{"protected":"` + b64(`{"alg":"dir","enc":"A256GCM","zip":"DEF"}`) + `","iv":"AA","ciphertext":"` + b64(string(bomb)) + `","tag":"AA"}`,
		"a JWK in place of the header":       signed(`{"kty":"oct","k":"AA","alg":"HS256"}`, goodPayload()),
		"a JSON null in place of all values": signed(`{"alg":null,"typ":null,"kid":null}`, `{"sub":null,"id":null,"exp":null,"iat":null}`),
	} {
		least := uint64(math.MaxUint64) // of a few tries, because other goroutines allocate, too
		for range 5 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := verifier.VerifyCallbackToken(raw)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, tokens.ErrInvalid) {
				t.Errorf("%s: %v, want ErrInvalid", name, err)
			}
			least = min(least, after.TotalAlloc-before.TotalAlloc)
		}
		if least > 256<<10 {
			t.Errorf("%s costs %d bytes of memory", name, least)
		}
	}
}

// Two installations whose keys have the same ID accept no tokens of each other, and
// neither do two issuers with the same key (Centrifugo found keys by ID alone,
// CVE-2026-49998).
func TestKeysOfAnotherIssuerVerifyNothing(t *testing.T) {
	ours, theirs := newFolder(t, "EdDSA"), newFolder(t, "EdDSA")
	id, other := listed(t, ours)[0].ID, listed(t, theirs)[0].ID
	raw, err := os.ReadFile(filepath.Join(theirs, other+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(theirs, other+".json")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(theirs, id+".json"), []byte(strings.Replace(string(raw), other, id, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := listed(t, theirs)[0].ID; got != id {
		t.Fatalf("the other key has the ID %s, want %s", got, id)
	}
	type site struct {
		name     string
		issuer   *tokens.Issuer
		verifier *tokens.Verifier
	}
	var sites []site
	for _, s := range []struct{ name, folder, issuer string }{
		{"ours", ours, "https://a.example"}, {"another key with the same ID", theirs, "https://a.example"}, {"another issuer with the same key", ours, "https://b.example"},
	} {
		issuer, verifier := keyedAs(t, openKeys(t, s.folder), s.issuer)
		sites = append(sites, site{s.name, issuer, verifier})
	}
	for _, from := range sites {
		access, chat := issue(t, from.issuer)
		for _, to := range sites {
			for _, token := range []string{access, chat} {
				_, err := to.verifier.VerifyCallbackToken(token)
				if same := from.name == to.name; same != (err == nil) || !same && !errors.Is(err, tokens.ErrInvalid) {
					t.Errorf("a token of %s at %s: %v", from.name, to.name, err)
				}
			}
		}
	}
}

// deflated returns zeros in DEFLATE, about a thousandth of their number.
func deflated(t *testing.T, zeros int) []byte {
	t.Helper()
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, zeros)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}
