package tokens

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// ErrSealed means that no secret of the ring sealed a text, or that the text has
// changed.
var ErrSealed = errors.New("sealed text cannot be opened")

// The uses of the keys that are derived from a secret. Each use has its own key (RFC
// 5869, section 3.2), so that no key can be turned against another use.
const (
	forSealing   = "cubegate sealing"
	forRefresh   = "cubegate refresh tokens"
	forSuccessor = "cubegate successors of refresh tokens"
	forPasswords = "cubegate ConnectyCube passwords"
	forDecoys    = "cubegate decoys"
	forDevices   = "cubegate device tokens"
	forName      = "cubegate name of the secret"
)

// SecretRing derives keys from the server's secret. It holds the current secret and
// previous ones: the current one signs and seals, and all of them verify and open. It
// is safe for concurrent use.
type SecretRing struct {
	secrets []ringKeys // never empty; the current one first
}

// ringKeys are the keys derived from one secret.
type ringKeys struct {
	name       string // public: identifies the secret and reveals nothing about it
	former     bool   // listed as a previous secret, which the current one may be, too
	signing    []byte // the secret itself: the key of HS256
	sealing    cipher.AEAD
	refresh    []byte
	successors []byte
	passwords  []byte
	decoys     []byte
	devices    []byte
}

// NewSecretRing returns the ring of the current secret and of previous ones, the newest
// first. The current secret may be listed among the previous ones: with signing keys,
// this keeps the tokens valid that it signed before. The error is that of
// [CheckSecret].
func NewSecretRing(current Secret, previous ...Secret) (*SecretRing, error) {
	r := &SecretRing{}
	for i, secret := range append([]Secret{current}, previous...) {
		if err := CheckSecret(secret); err != nil {
			if i > 0 {
				err = fmt.Errorf("previous secret %d: %w", i, err)
			}
			return nil, err
		}
		if known := r.find(secret); known != nil {
			known.former = true
			continue
		}
		keys, err := makeKeys(secret)
		if err != nil {
			return nil, err
		}
		keys.former = i > 0
		r.secrets = append(r.secrets, keys)
	}
	return r, nil
}

// find returns the keys of a secret in the ring, or nil.
func (r *SecretRing) find(secret Secret) *ringKeys {
	for i := range r.secrets {
		if string(r.secrets[i].signing) == secret.Reveal() {
			return &r.secrets[i]
		}
	}
	return nil
}

// String hides the secrets.
func (r *SecretRing) String() string { return hidden }

func makeKeys(secret Secret) (ringKeys, error) {
	var err error
	derive := func(use string, length int) []byte {
		key, e := hkdf.Key(sha256.New, []byte(secret.Reveal()), nil, use, length)
		err = errors.Join(err, e)
		return key
	}
	k := ringKeys{
		name:       hex.EncodeToString(derive(forName, 4)),
		signing:    []byte(secret.Reveal()),
		refresh:    derive(forRefresh, 32),
		successors: derive(forSuccessor, 32),
		passwords:  derive(forPasswords, 32),
		decoys:     derive(forDecoys, 32),
		devices:    derive(forDevices, 32),
	}
	block, e := aes.NewCipher(derive(forSealing, 32))
	if err = errors.Join(err, e); err != nil {
		return ringKeys{}, errors.New("deriving keys from the secret failed")
	}
	k.sealing, err = cipher.NewGCMWithRandomNonce(block)
	return k, err
}

// Seal encrypts a text with AES-256-GCM. Only the same additional data opens it.
func (r *SecretRing) Seal(plain, additionalData string) (string, error) {
	k := r.secrets[0]
	sealed := k.sealing.Seal(nil, nil, []byte(plain), []byte(additionalData))
	return k.name + "." + base64.RawURLEncoding.EncodeToString(sealed), nil
}

// Open decrypts the result of Seal with the secret that sealed it. The error is
// [ErrSealed].
func (r *SecretRing) Open(sealed, additionalData string) (string, error) {
	name, text, _ := strings.Cut(sealed, ".")
	for _, k := range r.secrets {
		if k.name != name {
			continue
		}
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			break
		}
		if plain, err := k.sealing.Open(nil, nil, raw, []byte(additionalData)); err == nil {
			return string(plain), nil
		}
	}
	return "", ErrSealed
}

// DecoyKey returns the key for [Hasher.SetDecoys].
func (r *SecretRing) DecoyKey() []byte { return r.secrets[0].decoys }

// DerivedPassword is a password that the server derives for one of its users.
type DerivedPassword struct {
	Key      string // the public name of its secret
	Password string `json:"-"`
}

// String hides the password.
func (d DerivedPassword) String() string { return d.Key + ":" + hidden }

// DerivedPasswords returns the passwords that the ring derives for a user, that of the
// current secret first. Each has 200 bits and 40 characters, the most that ConnectyCube
// accepts (docs/connectycube.md, Users).
func (r *SecretRing) DerivedPasswords(userID string) []DerivedPassword {
	encoding := base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567")
	list := make([]DerivedPassword, len(r.secrets))
	for i, k := range r.secrets {
		mac := authenticate(k.passwords, []byte(userID))
		list[i] = DerivedPassword{Key: k.name, Password: encoding.EncodeToString(mac[:25])}
	}
	return list
}

// authenticate returns the HMAC-SHA-256 of data.
func authenticate(key, data []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(data)
	return mac.Sum(nil)
}
