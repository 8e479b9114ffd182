package identity

import (
	"strings"
	"testing"

	"cubegate/store"
)

// bcrypt reads 72 bytes. A new password of more is refused before it costs a hash; with
// argon2id the same one is good.
func TestNewPasswordsForBcrypt(t *testing.T) {
	for _, tt := range []struct {
		password        string
		bcrypt, refused bool
	}{
		{strings.Repeat("é", 36), true, false},
		{strings.Repeat("é", 36) + "a", true, true},
		{strings.Repeat("🦀", 18), true, false},
		{strings.Repeat("🦀", 19), true, true},
		{strings.Repeat("🦀", 19), false, false},
		{strings.Repeat("n\u0303", 36), true, false}, // 108 bytes, normalized 72
		{strings.Repeat("\u0958", 13), true, true},   // 39 bytes, normalized 78
	} {
		f := newFlows(t, func(o *Options) { o.Limits.BcryptPasswords = tt.bcrypt })
		in := ada
		in.Password = tt.password
		_, err := f.register(t.Context(), in)
		check := func(operation, field string, err error) {
			t.Helper()
			if refused := err != nil; refused != tt.refused || refused && !strings.Contains(outward(err).Fields[field], "72 bytes") {
				t.Errorf("%s, %d bytes, bcrypt %t: %v, want refused %t", operation, len(tt.password), tt.bcrypt, err, tt.refused)
			}
		}
		check("register", "password", err)
		f.stored()
		f.editor.AccountEditor = &recordingEditor{}
		err = f.Profiles.ChangePassword(t.Context(), f.ada(store.AuditPassword, CostGuess), PasswordInput{ada.Password, tt.password})
		check("changePassword", "new", err)
	}
}

// The original compares a password as it is sent, so its hash of a Mac's form must stay
// one of that form.
func TestBcryptHashOfTheFormAsSentStays(t *testing.T) {
	f := newFlows(t, func(o *Options) { o.Limits.BcryptPasswords = true })
	f.withHash("hash of "+ofMac, "")
	if _, err := f.login(t.Context(), LoginInput{Email: ada.Email, Password: ofMac}); err != nil {
		t.Fatal(err)
	}
	if got := f.users.User; got.PasswordHash != "hash of "+ofMac || got.PasswordForm != "" || f.passwords.Hashes() != 2 {
		t.Errorf("hash %q of form %q after %d hashes; want it unchanged after 2", got.PasswordHash, got.PasswordForm, f.passwords.Hashes())
	}
}
