package tokens_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/tokens"
)

func newRing(t testing.TB, secrets ...tokens.Secret) *tokens.SecretRing {
	t.Helper()
	r, err := tokens.NewSecretRing(secrets[0], secrets[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const (
	oldSecret tokens.Secret = "the old secret, long enough: 5k2jf8Zq"
	newSecret tokens.Secret = "the new secret, long enough: 5k2jf8Zq"
)

func TestDeviceTokenLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, newSecret)
		want := tokens.KnownDevice{UserID: "0123456789abcdef01234567", EmailKey: "ada", Device: "phone/1", Issued: time.Now(), Generation: 7}
		token := r.NewDeviceToken(want)
		for _, step := range []struct {
			wait time.Duration
			err  error
		}{
			{0, tokens.ErrExpired}, // not valid yet
			{tokens.DeviceMatures - time.Second, tokens.ErrExpired},
			{time.Second, nil},
			{90*24*time.Hour - tokens.DeviceMatures, nil},
			{time.Second, tokens.ErrExpired},
		} {
			time.Sleep(step.wait)
			got, err := r.ParseDeviceToken(token, "ada")
			if !errors.Is(err, step.err) || err == nil && (got.UserID != want.UserID || got.Device != want.Device || got.Generation != 7 || !got.Issued.Equal(want.Issued)) {
				t.Errorf("after %v: %+v, %v, want %v", time.Since(want.Issued), got, err, step.err)
			}
		}
	})
}

func TestDeviceTokenOutlivesANewSecret(t *testing.T) {
	token := newRing(t, oldSecret).NewDeviceToken(tokens.KnownDevice{UserID: "u", EmailKey: "ada", Device: "d", Issued: time.Now().Add(-time.Hour)})
	if _, err := newRing(t, newSecret, oldSecret).ParseDeviceToken(token, "ada"); err != nil {
		t.Error(err)
	}
	if _, err := newRing(t, newSecret).ParseDeviceToken(token, "ada"); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("error = %v, want ErrInvalid", err)
	}
}

func TestDeviceTokenCannotBeForged(t *testing.T) {
	r := newRing(t, newSecret)
	token := r.NewDeviceToken(tokens.KnownDevice{UserID: "u", EmailKey: "ada", Device: "d", Issued: time.Now().Add(-time.Hour)})
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		raw[i] ^= 1
		if _, err := r.ParseDeviceToken(base64.RawURLEncoding.EncodeToString(raw), "ada"); !errors.Is(err, tokens.ErrInvalid) {
			t.Errorf("byte %d: error = %v, want ErrInvalid", i, err)
		}
		raw[i] ^= 1
	}
	if _, err := r.ParseDeviceToken(token, "eve"); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("with another email: error = %v, want ErrInvalid", err)
	}
	refresh := r.NewRefreshToken("session")
	for _, other := range []string{"", "x", refresh.Text, token + "A", token[:len(token)-1], strings.Repeat("A", 1<<20), "\x00"} {
		if _, err := r.ParseDeviceToken(other, "ada"); !errors.Is(err, tokens.ErrInvalid) {
			t.Errorf("%.20q: error = %v, want ErrInvalid", other, err)
		}
	}
	if _, err := r.ParseRefreshToken(token); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("as a refresh token: %v", err)
	}
}
