package tokens

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// A device token is valid from DeviceMatures until deviceLife after its issue: an
// attacker who creates an account gains nothing at once, and a lost or sold device
// becomes unknown after three months.
const (
	DeviceMatures = 10 * time.Minute
	deviceLife    = 90 * 24 * time.Hour
)

const (
	maxDeviceToken = 256 // characters
	emailTag       = 8   // bytes
)

// KnownDevice is the content of a device token: this device has logged in to this
// account. It is the device cookie of
// https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies.
// It separates the owner's devices from clients that guess passwords, and is no
// credential.
type KnownDevice struct {
	UserID     string
	EmailKey   string // of the account; the token is valid only for logins with this email
	Device     string // our ID of the device
	Issued     time.Time
	Generation int64 // of the account; the tokens of older generations are revoked
}

// NewDeviceToken signs d. Times are truncated to the second.
func (r *SecretRing) NewDeviceToken(d KnownDevice) string {
	body := binary.BigEndian.AppendUint64(nil, uint64(d.Issued.Unix()))
	body = binary.BigEndian.AppendUint64(body, uint64(d.Generation))
	body = append(body, d.UserID+"/"+d.Device...)
	body = append(body, r.secrets[0].deviceTag([]byte("email " + d.EmailKey))[:emailTag]...)
	return base64.RawURLEncoding.EncodeToString(append(body, r.secrets[0].deviceTag(body)...))
}

// ParseDeviceToken returns the content of a device token that is valid now for a login
// with the email of emailKey. The error wraps [ErrInvalid], or [ErrExpired] for a token
// that is too young or too old. The caller must compare the generation with the
// account's.
func (r *SecretRing) ParseDeviceToken(token, emailKey string) (KnownDevice, error) {
	if len(token) > maxDeviceToken {
		return KnownDevice{}, invalid("it is too long")
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) <= 16+emailTag+sha256.Size {
		return KnownDevice{}, invalid("it is not in the form of a device token")
	}
	body, tag := raw[:len(raw)-sha256.Size], raw[len(raw)-sha256.Size:]
	for _, k := range r.secrets {
		if !hmac.Equal(tag, k.deviceTag(body)) {
			continue
		}
		body, email := body[:len(body)-emailTag], body[len(body)-emailTag:]
		if !hmac.Equal(email, k.deviceTag([]byte("email " + emailKey))[:emailTag]) {
			return KnownDevice{}, invalid("it is for another email")
		}
		return readDevice(body, emailKey)
	}
	return KnownDevice{}, invalid("its tag does not match")
}

func readDevice(body []byte, emailKey string) (KnownDevice, error) {
	user, device, _ := strings.Cut(string(body[16:]), "/")
	d := KnownDevice{
		UserID: user, EmailKey: emailKey, Device: device,
		Issued:     time.Unix(int64(binary.BigEndian.Uint64(body)), 0),
		Generation: int64(binary.BigEndian.Uint64(body[8:])),
	}
	if age := time.Since(d.Issued); age < DeviceMatures || age > deviceLife {
		return KnownDevice{}, fmt.Errorf("device token of age %v: %w", age.Truncate(time.Second), ErrExpired)
	}
	return d, nil
}

func (k ringKeys) deviceTag(body []byte) []byte { return authenticate(k.devices, body) }
