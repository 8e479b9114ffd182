package tokens_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"cubegate/tokens"
)

// goodSecret is long enough and contains no known word.
const goodSecret = tokens.Secret("q7Zr2mXw9Kc4Vt1Lb8Ns6Hd3Fg5Jp0Ya")

func TestSecretIsHidden(t *testing.T) {
	type config struct {
		Secret tokens.Secret `json:"secret" xml:"secret"`
		Many   []tokens.Secret
	}
	c := config{Secret: goodSecret, Many: []tokens.Secret{goodSecret}}
	var shown []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%t", "%c", "%e", "%40v", "%-5.3s", "%!"} {
		for _, value := range []any{goodSecret, c, &c, map[tokens.Secret]int{goodSecret: 1}, new(goodSecret)} {
			shown = append(shown, fmt.Sprintf(verb, value))
		}
	}
	for _, encode := range []func(any) ([]byte, error){json.Marshal, xml.Marshal} {
		out, err := encode(c)
		if err != nil {
			t.Fatal(err)
		}
		shown = append(shown, string(out))
	}
	for _, handler := range []func(*bytes.Buffer) slog.Handler{
		func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var out bytes.Buffer
		slog.New(handler(&out)).Info("start", "secret", goodSecret, "config", c, "pointer", &c)
		shown = append(shown, out.String())
	}
	for _, s := range shown {
		for _, spelling := range []string{
			goodSecret.Reveal(), goodSecret.Reveal()[:3],
			hex.EncodeToString([]byte(goodSecret))[:8], strings.ToUpper(hex.EncodeToString([]byte(goodSecret))[:8]),
		} {
			if strings.Contains(s, spelling) {
				t.Errorf("shown: %s", s)
			}
		}
	}
}

func TestIssuerAndVerifierHideTheirKey(t *testing.T) {
	issuer, verifier := pair(t, nil)
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		got := fmt.Sprintf(verb+verb, issuer, verifier)
		for _, form := range []string{string(goodSecret), fmt.Sprint([]byte(goodSecret)), fmt.Sprintf("%#v", []byte(goodSecret))[6:40]} {
			if strings.Contains(got, form) {
				t.Errorf("%s shows the key: %s", verb, got)
			}
		}
	}
}

func TestEmptySecretIsRecognizable(t *testing.T) {
	var none tokens.Secret
	if !none.IsZero() || goodSecret.IsZero() {
		t.Error("IsZero does not recognize an empty secret")
	}
	if none.String() == goodSecret.String() {
		t.Errorf("an empty secret prints %q, as a set one does", none)
	}
	if got := goodSecret.Reveal(); got != "q7Zr2mXw9Kc4Vt1Lb8Ns6Hd3Fg5Jp0Ya" {
		t.Errorf("Reveal = %q", got)
	}
}

// If JWT_SECRET was missing or empty, the original signed with default_value, and
// accepted tokens that others forged with it. CVE-2026-33503 is the same fault in
// another service.
func TestCheckSecretRefuses(t *testing.T) {
	for _, word := range []string{
		"", "secret", "changeme", "default_value", "defaultSecret", "your_jwt_secret", "jwt", "password",
		"my-secret-key", "CHANGE_ME", "please change me", "todo", "x",
	} {
		for _, value := range []string{
			word,
			strings.Repeat(word, 8),
			strings.Repeat(word, 8) + "x",
			strings.Repeat(word+"-", 8),
			word + strings.Repeat("0", 32),
			word + strings.Repeat("!", 40),
			strings.Repeat(" ", 20) + word + strings.Repeat(" ", 20),
		} {
			refused(t, value)
		}
	}
	for _, value := range []string{
		"q7Zr2mXw9Kc4Vt1Lb8Ns6Hd3Fg5Jp0Y",    // random, but one byte short
		"q7Zr2mXw9Kc4Vt1Lq7Zr2mXw9Kc4Vt1L",   // 16 random bytes, twice
		"secret-secret-secret-q7Zr2mXw9Kc4V", // too little randomness after the words
		"your_jwt_secret_change_me_in_production",
		"this-is-a-very-long-secret-key-for-jwt-please-change",
		"SuperSecretJWTKeyForDevelopment1234567890",
		"abcdefghijklmnopqrstuvwxyz0123456789",
		"12345678901234567890123456789012",
		"0123456789abcdef0123456789abcdef",
		"secretsecretsecretsecretsecretsecr",
		"your-256-bit-secret-your-256-bit-secret!",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"0123456789012345678901234567890123456789",

		// Keys of other projects' examples and defaults.
		"a-string-secret-at-least-256-bits-long",
		"super-secret-jwt-token-with-at-least-32-characters-long", "PLEASE-CHANGE-ME-I-AM-VERY-INSECURE", "better-auth-secret-123456789",
		"cafebabedeadbeefcafebabe8badf00d", "sandbox-auth-key-sandbox-api-key-1001", "lorem ipsum dolor sit amet consectetur",

		// Bytes that count up, and encoded words.
		"00112233445566778899aabbccddeeff", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
	} {
		refused(t, value)
	}
	for _, value := range tokens.Published {
		for _, form := range []string{value, strings.ToUpper(value), value + "==", value + " "} {
			refused(t, form)
		}
	}
	for _, words := range []string{"your_jwt_secret_your_jwt_secret", "your-super-secret-jwt-token-with-at-least-32-characters-long", "change this secret in production", "secretsecretsecretsecretsecret"} {
		refused(t, hex.EncodeToString([]byte(words)))
		refused(t, base64.StdEncoding.EncodeToString([]byte(words)))
		refused(t, base64.RawURLEncoding.EncodeToString([]byte(words)))
	}
}

func refused(t *testing.T, value string) {
	t.Helper()
	err := tokens.CheckSecret(tokens.Secret(value))
	if !errors.Is(err, tokens.ErrWeakSecret) {
		t.Errorf("CheckSecret(%q) = %v, want ErrWeakSecret", value, err)
		return
	}
	if !strings.Contains(err.Error(), "openssl rand") {
		t.Errorf("CheckSecret(%q) = %q, does not say what to do", value, err)
	}
	// A value that consists of words of the message cannot be distinguished from the
	// message.
	if len(value) > 16 && strings.Contains(err.Error(), value) {
		t.Errorf("CheckSecret echoes the value: %v", err)
	}
}

func TestCheckSecretAcceptsRandomSecrets(t *testing.T) {
	for range 5000 {
		b := make([]byte, 32)
		rand.Read(b)
		for _, value := range []string{
			string(b), hex.EncodeToString(b[:16]), hex.EncodeToString(b),
			base64.StdEncoding.EncodeToString(b), base64.RawURLEncoding.EncodeToString(b[:24]), rand.Text() + rand.Text(),
		} {
			if err := tokens.CheckSecret(tokens.Secret(value)); err != nil {
				t.Fatalf("CheckSecret(%q) = %v", value, err)
			}
		}
	}
}
