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
		{"an account without an email", func(k *known, _ *wanted) { k.confirmed, k.email = true, "" }, stepComplete},
		{"an account without a name", func(k *known, _ *wanted) { k.confirmed, k.name = true, "" }, stepComplete},
		{"an account without an external ID", func(k *known, _ *wanted) { k.confirmed, k.externalID = true, "" }, stepComplete},
		{"an account with another external ID", func(k *known, _ *wanted) { k.confirmed, k.externalID = true, "mine" }, stepComplete},
		{"an account with all three", func(k *known, _ *wanted) { k.confirmed = true }, stepNone},
		{"a user and an account without a name", func(k *known, w *wanted) { k.confirmed, k.name, w.name = true, "", "" }, stepNone},
		{"an account of the original without an email", func(k *known, w *wanted) { *k = known{cubeID: 1, confirmed: true, externalID: w.id} }, stepComplete},
		{"nothing is confirmed", func(k *known, _ *wanted) { k.externalID = "" }, stepNone},
		{"completion failed", func(k *known, _ *wanted) { k.confirmed, k.completed, k.email = true, true, "" }, stepNone},
		{"another name, and no email", func(k *known, w *wanted) { k.confirmed, k.email, w.name = true, "", "Ada Byron" }, stepUpdate},
		{"no email, and the password of an old key", func(k *known, w *wanted) {
			k.confirmed, k.email, w.password = true, "", store.PasswordDerived("new")
		}, stepComplete},
		{"password of an old key", func(_ *known, w *wanted) { w.password = store.PasswordDerived("new") }, stepRotate},
		{"the wanted password", func(k *known, w *wanted) { k.password, w.password = store.PasswordShared, store.PasswordShared }, stepNone},
		{"rotation that kept the password", func(k *known, w *wanted) { k.rotated, w.password = true, store.PasswordShared }, stepNone},
		{"deleted", func(_ *known, w *wanted) { w.deleted = true }, stepDelete},
		{"deleted, and nothing is certain", func(k *known, w *wanted) { *k, w.deleted = known{uncertain: true}, true }, stepDelete},
		{"deleted and removed", func(k *known, w *wanted) { k.removed, w.deleted = true, true }, stepNone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := known{cubeID: 1, hasBaseline: true, email: "ada@example.org", name: "Ada Lovelace", externalID: "ada", password: store.PasswordDerived("old")}
			w := wanted{id: "ada", email: k.email, name: k.name}
			tt.edit(&k, &w)
			if got := next(k, w); got != tt.want {
				t.Errorf("next(%+v, %+v) = %d, want %d", k, w, got, tt.want)
			}
		})
	}
}
