package provisioning

import (
	"context"
	"testing"

	"cubegate/connectycube"
	"cubegate/store"
)

// onePage lists all users at once.
type onePage []store.User

func (p onePage) All(context.Context, string, int) (store.Page[store.User], error) {
	return store.Page[store.User]{Items: p}, nil
}

func TestMigratePasswords(t *testing.T) {
	for _, tt := range []struct {
		name string
		mode PasswordMode
		kind store.PasswordKind
		err  error // of the update at ConnectyCube
		want MigrationReport
	}{
		{"shared stays shared", SharedPasswords, store.PasswordShared, nil, MigrationReport{Unchanged: 1}},
		{"of the original", SharedPasswords, "", nil, MigrationReport{Unchanged: 1}},
		{"unknown", SharedPasswords, store.PasswordUnknown, nil, MigrationReport{Waiting: 1}},
		{"derived, current key", DerivedPasswords, store.PasswordDerived("new"), nil, MigrationReport{Unchanged: 1}},
		{"derived, old key", DerivedPasswords, store.PasswordDerived("old"), nil, MigrationReport{Migrated: 1}},
		{"derived, to be shared", SharedPasswords, store.PasswordDerived("old"), nil, MigrationReport{Waiting: 1}},
		{"shared, to be derived", DerivedPasswords, store.PasswordShared, nil, MigrationReport{Waiting: 1}},
		{"ConnectyCube is away", DerivedPasswords, store.PasswordDerived("old"), connectycube.ErrUnavailable, MigrationReport{Failed: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := newUnit(t, func(o *Options) { o.Settings.PasswordMode = tt.mode })
			u.userAPI.err = tt.err
			u.cube.create = func(connectycube.Credentials) (connectycube.Session, error) {
				return connectycube.Session{Token: "token", UserID: 7}, nil
			}
			u.queue.user = newUser(func(u *store.User) { u.Account.PasswordKind = tt.kind })
			unleased := u.queue.user
			unleased.Account.Lease, unleased.Account.Due = "", store.Account{}.Due
			if got, err := u.MigratePasswords(t.Context(), onePage{unleased}); err != nil || got != tt.want {
				t.Errorf("%+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}
