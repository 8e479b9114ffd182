package tokens_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/tokens"
)

// newFolder creates a folder with a key of each algorithm. All have started; the last
// one signs.
func newFolder(t testing.TB, algs ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	for i, alg := range algs {
		if _, err := tokens.NewKey(path, alg, time.Now().Add(time.Duration(i-10)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func openKeys(t testing.TB, path string) *tokens.SigningKeys {
	t.Helper()
	keys, err := tokens.LoadSigningKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// keyed returns an issuer and a verifier with the keys.
func keyed(t testing.TB, keys *tokens.SigningKeys) (*tokens.Issuer, *tokens.Verifier) {
	t.Helper()
	return keyedAs(t, keys, "")
}

// keyedAs is keyed for an issuer of another name.
func keyedAs(t testing.TB, keys *tokens.SigningKeys, name string) (*tokens.Issuer, *tokens.Verifier) {
	t.Helper()
	c := config(func(c *tokens.Config) { c.Keys, c.Issuer = keys, name })
	issuer, err := tokens.NewIssuer(c)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := tokens.NewVerifier(c)
	if err != nil {
		t.Fatal(err)
	}
	return issuer, verifier
}

func TestKeysSign(t *testing.T) {
	for _, alg := range []string{"EdDSA", "ES256"} {
		for _, path := range []string{newFolder(t, alg), newFolder(t, alg, alg)} {
			issuer, verifier := keyed(t, openKeys(t, path))
			raw, ticket := issue(t, issuer)
			if claims, err := verifier.VerifyAccess(raw); err != nil || claims.Subject != userID {
				t.Errorf("%s: %+v, %v", alg, claims, err)
			}
			if _, err := verifier.VerifyCallbackToken(ticket); err != nil {
				t.Errorf("%s: ticket: %v", alg, err)
			}
			header, _, _ := parts(t, raw)
			list, err := tokens.ListKeys(path)
			if err != nil {
				t.Fatal(err)
			}
			signer := list[len(list)-1]
			if want := fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"at+jwt"}`, alg, signer.ID); header != want || !signer.Signs {
				t.Errorf("header %s, want %s of the newest key", header, want)
			}
			_, plain := pair(t, nil)
			if _, err := plain.VerifyAccess(raw); !errors.Is(err, tokens.ErrInvalid) {
				t.Errorf("%s: a verifier without keys: %v", alg, err)
			}
		}
	}
}

// After a change from the secret to keys, tokens that the secret signed stay valid as
// long as the secret is listed among the previous ones.
func TestSigningKeysAcceptPreviousSecretsOnly(t *testing.T) {
	plain, _ := pair(t, nil)
	access, chat := issue(t, plain)
	service, err := plain.ServiceTicket(tokens.ServiceGrant{Subject: userID, Email: "ada@example.org"})
	if err != nil {
		t.Fatal(err)
	}
	keys := openKeys(t, newFolder(t, "EdDSA"))
	for name, tt := range map[string]struct {
		ring *tokens.SecretRing
		keys *tokens.SigningKeys
		want error
	}{
		"the current secret":                       {ring(goodSecret), keys, tokens.ErrInvalid},
		"the current secret beside a previous one": {ring(goodSecret, otherSecret), keys, tokens.ErrInvalid},
		"another secret":                           {ring(otherSecret), keys, tokens.ErrInvalid},
		"the current secret, listed":               {ring(goodSecret, goodSecret), keys, nil},
		"the current secret, listed last":          {ring(goodSecret, otherSecret, goodSecret), keys, nil},
		"a previous secret":                        {ring(otherSecret, goodSecret), keys, nil},
		"no keys":                                  {ring(goodSecret), nil, nil},
		"no keys, a previous secret":               {ring(otherSecret, goodSecret), nil, nil},
	} {
		verifier, err := tokens.NewVerifier(config(func(c *tokens.Config) { c.Ring, c.Keys = tt.ring, tt.keys }))
		if err != nil {
			t.Fatal(err)
		}
		for kind, raw := range map[string]string{"access token": access, "chat ticket": chat, "service ticket": service} {
			if _, err := verifier.VerifyCallbackToken(raw); !errors.Is(err, tt.want) {
				t.Errorf("%s, %s: %v, want %v", name, kind, err, tt.want)
			}
		}
		if _, err := verifier.VerifyAccess(access); !errors.Is(err, tt.want) {
			t.Errorf("%s: VerifyAccess: %v, want %v", name, err, tt.want)
		}
	}
}

// A secret that is listed twice gives one password: each additional one costs a failed
// login at ConnectyCube.
func TestRingHoldsASecretOnce(t *testing.T) {
	for _, r := range []*tokens.SecretRing{ring(goodSecret, goodSecret), ring(goodSecret, otherSecret, goodSecret, otherSecret)} {
		seen := map[string]bool{}
		for _, d := range r.DerivedPasswords(userID) {
			if seen[d.Key] {
				t.Errorf("the key %s makes two passwords", d.Key)
			}
			seen[d.Key] = true
		}
	}
}

func TestRetiredKeyVerifiesNothing(t *testing.T) {
	path := newFolder(t, "EdDSA")
	keys := openKeys(t, path)
	issuer, verifier := keyed(t, keys)
	raw, _ := issue(t, issuer)
	first := listed(t, path)[0].ID
	if err := tokens.RetireKey(path, first, time.Now()); err == nil {
		t.Fatal("the last key is retired")
	}
	if _, err := tokens.NewKey(path, "ES256", time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	reload(t, keys)
	if _, err := verifier.VerifyAccess(raw); err != nil {
		t.Errorf("the older key's token: %v", err)
	}
	if err := tokens.RetireKey(path, first, time.Now()); err != nil {
		t.Fatal(err)
	}
	reload(t, keys)
	for name, verify := range map[string]func(string) (tokens.Claims, error){"VerifyAccess": verifier.VerifyAccess, "VerifyLogout": verifier.VerifyLogout} {
		if _, err := verify(raw); !errors.Is(err, tokens.ErrInvalid) {
			t.Errorf("%s: the retired key's token: %v, want %v", name, err, tokens.ErrInvalid)
		}
	}
	if set := string(keys.JWKS()); strings.Contains(set, first) {
		t.Errorf("the retired key is published: %s", set)
	}
	if err := tokens.RetireKey(path, "unknown", time.Now()); err == nil {
		t.Error("an unknown key is retired")
	}
}

func listed(t testing.TB, path string) []tokens.KeyInfo {
	t.Helper()
	list, err := tokens.ListKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func reload(t testing.TB, keys *tokens.SigningKeys) {
	t.Helper()
	if err := keys.Reload(); err != nil {
		t.Fatal(err)
	}
}

func TestNothingPrivateIsPublished(t *testing.T) {
	keys := openKeys(t, newFolder(t, "EdDSA", "ES256"))
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(keys.JWKS(), &set); err != nil || len(set.Keys) != 2 {
		t.Fatalf("%s: %v", keys.JWKS(), err)
	}
	public := map[string]bool{"kty": true, "crv": true, "x": true, "y": true, "kid": true, "alg": true, "use": true}
	for _, key := range set.Keys {
		for member := range key {
			if !public[member] {
				t.Errorf("%s is published", member)
			}
		}
		if key["kid"] == "" || key["x"] == "" || key["use"] != "sig" {
			t.Errorf("published: %v", key)
		}
	}
}

// The key determines the algorithm. Each row is a token that an attacker can make from
// public data.
func TestKeysRefuseConfusion(t *testing.T) {
	path := newFolder(t, "ES256", "EdDSA")
	keys := openKeys(t, path)
	issuer, verifier := keyed(t, keys)
	raw, _ := issue(t, issuer)
	s := strings.Split(raw, ".")
	list := listed(t, path)
	es, ed := list[0].ID, list[1].ID
	var set struct{ Keys []struct{ X string } }
	if err := json.Unmarshal(keys.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	public, err := base64.RawURLEncoding.DecodeString(set.Keys[1].X)
	if err != nil {
		t.Fatal(err)
	}
	head := func(alg, kid string) string { return fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"at+jwt"}`, alg, kid) }
	swapped := func(header string) string { return b64(header) + "." + s[1] + "." + s[2] }
	for name, forged := range map[string]string{
		"HS256 over the public key":   signToken(sha256.New, tokens.Secret(public), head("HS256", ed), goodPayload()),
		"HS256 over the published x":  signToken(sha256.New, tokens.Secret(set.Keys[1].X), head("HS256", ed), goodPayload()),
		"the secret under a key's id": signToken(sha256.New, goodSecret, head("HS256", ed), goodPayload()),
		"EdDSA by the secret":         signToken(sha256.New, goodSecret, head("EdDSA", ed), goodPayload()),
		"another key's id":            swapped(head("EdDSA", es)),
		"another algorithm":           swapped(head("ES256", ed)),
		"no id":                       swapped(`{"alg":"EdDSA","typ":"at+jwt"}`),
		"an empty id":                 swapped(head("EdDSA", "")),
		"an unknown ID":               swapped(head("EdDSA", "unknown")),
		"an id that is a path":        swapped(head("EdDSA", "../"+ed)),
		"none":                        b64(head("none", ed)) + "." + s[1] + ".",
		"another payload":             s[0] + "." + b64(goodPayload()) + "." + s[2],
		"a jwk in the header":         swapped(fmt.Sprintf(`{"alg":"EdDSA","kid":%q,"typ":"at+jwt","jwk":{}}`, ed)),
	} {
		if claims, err := verifier.VerifyCallbackToken(forged); !errors.Is(err, tokens.ErrInvalid) {
			t.Errorf("%s: %+v, %v; want %v", name, claims, err, tokens.ErrInvalid)
		}
	}
}

func TestBadKeyFiles(t *testing.T) {
	good := newFolder(t, "EdDSA")
	raw, err := os.ReadFile(filepath.Join(good, listed(t, good)[0].ID+".json"))
	if err != nil {
		t.Fatal(err)
	}
	edit := func(old, new string) string { return strings.Replace(string(raw), old, new, 1) }
	for name, text := range map[string]string{
		"empty":               "",
		"no JSON":             "key",
		"a list":              "[]",
		"an empty set":        `{"keys":[]}`,
		"without an id":       edit(`"kid"`, `"was"`),
		"without algorithm":   edit(`"alg"`, `"was"`),
		"another algorithm":   edit(`"EdDSA"`, `"HS256"`),
		"ES256 on its curve":  edit(`"EdDSA"`, `"ES256"`),
		"a public key":        edit(`"d"`, `"was"`),
		"a symmetric key":     `{"kty":"oct","k":"AAAA","alg":"HS256","kid":"a"}`,
		"a time that is none": edit(`"cubegate_from":`, `"cubegate_from":"x`+`","was":`),
		"a set":               `{"keys":[` + string(raw) + `]}`,
	} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "key.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := tokens.LoadSigningKeys(folder); err == nil {
			t.Errorf("%s: opened", name)
		} else if d := privateOf(t, raw); strings.Contains(err.Error(), d) {
			t.Errorf("%s: the error shows the key", name)
		}
	}
	open := t.TempDir()
	if err := os.WriteFile(filepath.Join(open, "key.json"), raw, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.LoadSigningKeys(open); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that other users can read: %v", err)
	}
	if err := os.WriteFile(filepath.Join(good, "copy.json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.LoadSigningKeys(good); err == nil || !strings.Contains(err.Error(), "occurs twice") {
		t.Errorf("one id twice: %v", err)
	}
	if _, err := tokens.LoadSigningKeys(filepath.Join(good, "copy.json")); err == nil || !strings.Contains(err.Error(), "want a folder") {
		t.Errorf("a file in place of the folder: %v", err)
	}
	if _, err := tokens.LoadSigningKeys(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing path is opened")
	}
	if _, err := tokens.NewKey(good, "RS256", time.Now()); err == nil {
		t.Error("a key for RS256 is created")
	}
}

func privateOf(t *testing.T, raw []byte) string {
	t.Helper()
	var key struct{ D string }
	if err := json.Unmarshal(raw, &key); err != nil || key.D == "" {
		t.Fatal("the key has no private half")
	}
	return key.D
}

// A broken file in the folder must not stop a running server.
func TestBrokenFileKeepsTheKeys(t *testing.T) {
	path := newFolder(t, "EdDSA")
	keys := openKeys(t, path)
	issuer, verifier := keyed(t, keys)
	if err := os.WriteFile(filepath.Join(path, "broken.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := keys.Reload(); err == nil {
		t.Error("a broken file is read")
	}
	raw, _ := issue(t, issuer)
	if _, err := verifier.VerifyAccess(raw); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Two replicas read one folder. While keys are made and retired, neither replica refuses
// a token that the other has signed.
func TestRotationUnderLoadLosesNothing(t *testing.T) {
	synctest.Test(t, testRotationUnderLoad)
}

func testRotationUnderLoad(t *testing.T) {
	path := newFolder(t, "EdDSA")
	one, other := openKeys(t, path), openKeys(t, path)
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for keys, interval := range map[*tokens.SigningKeys]time.Duration{one: 10 * time.Millisecond, other: 100 * time.Millisecond} {
		all.Go(func() { keys.Run(ctx, interval, func(err error) { t.Error(err) }) })
	}
	issuer, _ := keyed(t, one)
	_, verifier := keyed(t, other)
	var done atomic.Int64
	signers := sync.Map{}
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				raw, _, err := issuer.AccessToken(grant())
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(7 * time.Millisecond) // the token is on its way
				if _, err := verifier.VerifyAccess(raw); err != nil {
					t.Errorf("after %d tokens: %v", done.Load(), err)
					return
				}
				header, _, _ := strings.Cut(raw, ".")
				signers.Store(header, true)
				done.Add(1)
			}
		})
	}
	for i := range 4 {
		before := listed(t, path)
		id, err := tokens.NewKey(path, []string{"ES256", "EdDSA"}[i%2], time.Now().Add(1200*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second) // the time of a key is whole seconds
		if !signs(t, path, id) {
			t.Fatal("the new key does not begin to sign")
		}
		if err := tokens.RetireKey(path, before[len(before)-1].ID, time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	all.Wait()
	n := 0
	signers.Range(func(any, any) bool { n++; return true })
	if n != 5 || done.Load() < 100 {
		t.Errorf("%d tokens by %d keys, want all 5 keys at work", done.Load(), n)
	}
}

func signs(t *testing.T, path, id string) bool {
	for _, k := range listed(t, path) {
		if k.ID == id {
			return k.Signs
		}
	}
	return false
}
