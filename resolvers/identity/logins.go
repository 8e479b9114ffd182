package identity

import (
	"context"
	"time"

	"cubegate/resolvers/provisioning"
	"cubegate/store"
)

// chatStatus is ChatStatus of the schema.
type chatStatus string

const (
	chatReady       chatStatus = "READY"
	chatPending     chatStatus = "PENDING"
	chatPassword    chatStatus = "PASSWORD_NEEDED"
	chatRefused     chatStatus = "REFUSED"
	chatUnavailable chatStatus = "UNAVAILABLE"
)

// signedIn is what a registration, a login and a refresh give.
type signedIn struct {
	user    store.User
	session store.Session
	access  string
	expires time.Time // of access
	refresh string
	ticket  string
	device  string // token by which the device is known from now on; may be empty
	chat    provisioning.CubeSession
	status  chatStatus
}

// login checks the password, begins a login session, and opens the one at
// ConnectyCube. What goes wrong with ConnectyCube is told in the status; the
// login stays good.
func (a *Auth) login(ctx context.Context, in loginInput, byTicket bool) (signedIn, error) {
	in, err := in.clean()
	if err != nil {
		return signedIn{}, err
	}
	operation := "login"
	if byTicket {
		operation = "login_By_token"
	}
	user, err := a.authenticate(ctx, operation, in)
	if err != nil {
		return signedIn{}, err
	}
	defer a.Callbacks.proven.Prove(user, in.Password)()
	out, err := a.signIn(ctx, user, in.Device, provisioning.LoginMethod{Password: in.Password, ViaIdentityProvider: byTicket}, nil)
	if err != nil {
		a.refused(ctx, store.AuditLogin, user, err)
		return signedIn{}, err
	}
	a.done(ctx, store.AuditLogin, user, out.session.ID)
	return out, nil
}
