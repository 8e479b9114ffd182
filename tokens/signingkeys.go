package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
)

// Private members of a key file, in seconds since 1970.
const (
	memberFrom    = "cubegate_from"    // the key signs from then on; before, replicas only learn it
	memberRetired = "cubegate_retired" // tokens of the key are refused from then on
)

// signingKey is one of several keys.
type signingKey struct {
	id      string
	alg     jwa.SignatureAlgorithm
	private jwk.Key
	public  jwk.Key
	from    time.Time
	retired time.Time // zero = never
}

func (k signingKey) usable(now time.Time) bool { return k.retired.IsZero() || now.Before(k.retired) }

// SigningKeys are asymmetric keys that sign tokens instead of the secret. Their files
// may change while the server runs. It is safe for concurrent use.
type SigningKeys struct {
	folder string

	mu      sync.RWMutex
	all     []signingKey // sorted by from, never empty
	version string       // of the files; see folderVersion
	missed  time.Time    // when an unknown key ID last caused a reload
}

// LoadSigningKeys reads the keys of a folder, whose *.json files hold one JWK each (RFC
// 7517). It refuses files that other users may read.
func LoadSigningKeys(folder string) (*SigningKeys, error) {
	k := &SigningKeys{folder: folder}
	return k, k.Reload()
}

// Reload reads the files if they have changed. After an error the keys stay unchanged.
func (k *SigningKeys) Reload() error {
	version, err := folderVersion(k.folder)
	if err != nil {
		return err
	}
	k.mu.RLock()
	same := version == k.version
	k.mu.RUnlock()
	if same {
		return nil
	}
	all, err := readKeys(k.folder)
	if err != nil {
		return err
	}
	if _, ok := newestUsable(all, time.Now()); !ok {
		return errors.New("all keys are retired: create a new one")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all, k.version = all, version
	return nil
}

// Run reloads the keys until ctx ends, and passes errors to onError.
func (k *SigningKeys) Run(ctx context.Context, every time.Duration, onError func(error)) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := k.Reload(); err != nil {
				onError(err)
			}
		}
	}
}

// signer returns the key that signs now.
func (k *SigningKeys) signer(now time.Time) signingKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if key, ok := newestUsable(k.all, now); ok {
		return key
	}
	return k.all[len(k.all)-1] // all are retired since the last reload: verifiers refuse the token
}

// newestUsable returns the usable key that started to sign last, or, if none has
// started, the first one to start.
func newestUsable(all []signingKey, now time.Time) (signingKey, bool) {
	var best signingKey
	found := false
	for _, key := range all { // sorted by from
		if key.usable(now) && (!found || !key.from.After(now)) {
			best, found = key, true
		}
	}
	return best, found
}

// verifier returns the key with an ID, unless it is retired. An unknown ID causes a
// reload, at most once a second: another process may have created the key just now.
func (k *SigningKeys) verifier(id string, now time.Time) (signingKey, bool) {
	if key, ok := k.find(id); ok {
		return key, key.usable(now)
	}
	k.mu.Lock()
	early := now.Sub(k.missed) < time.Second
	if !early {
		k.missed = now
	}
	k.mu.Unlock()
	if early || k.Reload() != nil {
		return signingKey{}, false
	}
	key, ok := k.find(id)
	return key, ok && key.usable(now)
}

func (k *SigningKeys) find(id string) (signingKey, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	i := slices.IndexFunc(k.all, func(key signingKey) bool { return key.id == id })
	if i < 0 {
		return signingKey{}, false
	}
	return k.all[i], true
}

// JWKS returns the public keys as a JWK set (RFC 7517), for other verifiers of our
// tokens. It includes keys that sign in the future and excludes retired ones.
func (k *SigningKeys) JWKS() []byte {
	k.mu.RLock()
	defer k.mu.RUnlock()
	set := struct {
		Keys []any `json:"keys"`
	}{Keys: []any{}}
	for _, key := range k.all {
		if key.usable(time.Now()) {
			set.Keys = append(set.Keys, key.public)
		}
	}
	raw, _ := json.Marshal(set) // our public keys always encode
	return raw
}

// readKey parses a private JWK and refuses a key that NewKey could not have created.
func readKey(raw json.RawMessage) (signingKey, error) {
	private, err := jwk.ParseKey(raw)
	if err != nil {
		return signingKey{}, errors.New("not a JWK") // the library's error may quote the key
	}
	key := signingKey{id: private.KeyID(), private: private}
	switch key.alg = jwa.SignatureAlgorithm(private.Algorithm().String()); {
	case key.id == "" || len(key.id) > 64 || strings.ContainsFunc(key.id, notBase64URL):
		return signingKey{}, errors.New("kid is not 1 to 64 characters of base64url")
	case !fits(private, key.alg):
		return signingKey{}, fmt.Errorf("key %s: want a private key for EdDSA (Ed25519) or ES256 (P-256), with alg", key.id)
	}
	if key.from, err = timeMember(private, memberFrom); err == nil {
		key.retired, err = timeMember(private, memberRetired)
	}
	if err != nil {
		return signingKey{}, fmt.Errorf("key %s: %w", key.id, err)
	}
	if key.public, err = publicOf(private, key.id, key.alg); err != nil {
		return signingKey{}, fmt.Errorf("key %s: deriving the public key failed", key.id)
	}
	return key, nil
}

// fits reports whether key is a private key for one of our algorithms.
func fits(key jwk.Key, alg jwa.SignatureAlgorithm) bool {
	switch key := key.(type) {
	case jwk.OKPPrivateKey:
		return alg == jwa.EdDSA && key.Crv() == jwa.Ed25519
	case jwk.ECDSAPrivateKey:
		return alg == jwa.ES256 && key.Crv() == jwa.P256
	}
	return false
}

// publicOf returns the public half of a key, without our private members.
func publicOf(private jwk.Key, id string, alg jwa.SignatureAlgorithm) (jwk.Key, error) {
	half, err := private.PublicKey()
	if err != nil {
		return nil, err
	}
	var raw any
	if err := half.Raw(&raw); err != nil {
		return nil, err
	}
	public, err := jwk.FromRaw(raw)
	if err != nil {
		return nil, err
	}
	return public, errors.Join(public.Set(jwk.KeyIDKey, id), public.Set(jwk.AlgorithmKey, alg), public.Set(jwk.KeyUsageKey, jwk.ForSignature))
}

func timeMember(key jwk.Key, member string) (time.Time, error) {
	value, there := key.Get(member)
	if !there {
		return time.Time{}, nil
	}
	seconds, ok := value.(float64)
	if !ok || seconds < 0 || seconds > 253_402_300_799 || seconds != float64(int64(seconds)) {
		return time.Time{}, fmt.Errorf("%s is not a whole number of seconds", member)
	}
	return time.Unix(int64(seconds), 0).UTC(), nil
}
