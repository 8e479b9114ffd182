package provisioning

import (
	"testing"

	"cubegate/store"
)

func TestNext(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*known, *wanted)
		want step
	}{
		{"nothing differs", func(*known, *wanted) {}, stepNone},
		{"new user", func(k *known, _ *wanted) { *k = known{} }, stepSignUp},
		{"lost reply to a sign-up", func(k *known, _ *wanted) { *k = known{uncertain: true} }, stepFind},
		{"lost reply to an update", func(k *known, w *wanted) { k.uncertain, w.name = true, "New Name" }, stepFind},
		{"another email", func(_ *known, w *wanted) { w.email = "new@example.org" }, stepUpdate},
		{"the email in another letter case", func(_ *known, w *wanted) { w.email = "ADA@example.org" }, stepNone},
		{"another name", func(_ *known, w *wanted) { w.name = "Ada Byron" }, stepUpdate},
		{"a user without a name", func(_ *known, w *wanted) { w.name = "" }, stepNone},
		{"an account of the original", func(k *known, _ *wanted) { *k = known{cubeID: 1} }, stepNone},
		{"email and password differ", func(k *known, w *wanted) { k.email, w.password = "old@example.org", store.PasswordShared }, stepUpdate},
		{"password of an old key", func(_ *known, w *wanted) { w.password = store.PasswordDerived("new") }, stepRotate},
		{"the wanted password", func(k *known, w *wanted) { k.password, w.password = store.PasswordShared, store.PasswordShared }, stepNone},
		{"rotation that kept the password", func(k *known, w *wanted) { k.rotated, w.password = true, store.PasswordShared }, stepNone},
		{"deleted", func(_ *known, w *wanted) { w.deleted = true }, stepDelete},
		{"deleted, and nothing is certain", func(k *known, w *wanted) { *k, w.deleted = known{uncertain: true}, true }, stepDelete},
		{"deleted and removed", func(k *known, w *wanted) { k.removed, w.deleted = true, true }, stepNone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := known{cubeID: 1, hasBaseline: true, email: "ada@example.org", name: "Ada Lovelace", password: store.PasswordDerived("old")}
			w := wanted{email: k.email, name: k.name}
			tt.edit(&k, &w)
			if got := next(k, w); got != tt.want {
				t.Errorf("next(%+v, %+v) = %d, want %d", k, w, got, tt.want)
			}
		})
	}
}
