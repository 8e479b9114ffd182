package identity

import (
	"context"
	"errors"
	"log/slog"

	"cubegate/connectycube"
	"cubegate/resolvers/apierror"
	"cubegate/resolvers/provisioning"
	"cubegate/store"
)

// register makes a user here and an account at ConnectyCube, and logs the user
// in.
//
// The user comes first, since only our unique index can say whether the
// address is free, and carries from the first moment on that its account is to
// be made. Whatever dies in between is finished by the worker or by the next
// login. Only when ConnectyCube refuses the account for good is there no user.
func (a *Auth) register(ctx context.Context, in registerInput) (out signedIn, err error) {
	in, err = in.clean(a.Limits.Password)
	if err != nil {
		return signedIn{}, err
	}
	list := charges("register", asker{networks: a.Networks(ctx)})
	hash, err := a.hashOfNewUser(ctx, list, in.Password)
	if err != nil {
		return signedIn{}, err
	}
	defer func() {
		if err != nil && isOurs(outward(err).Code) {
			a.Budgets.refund(list)
		}
	}()
	// From here on the client's leaving changes nothing: finished is better
	// than undone, for its answer may be all that is lost.
	ctx = context.WithoutCancel(ctx)
	user := store.User{
		ID:           store.NewUserID(),
		FirstName:    in.FirstName,
		LastName:     in.LastName,
		Email:        in.Email,
		PasswordHash: hash,
	}
	defer a.Callbacks.proven.Prove(user, in.Password)()
	upstream, cancel := a.upstream(ctx)
	defer cancel()
	made, err := a.Accounts.Register(upstream, user, provisioning.LoginMethod{Password: in.Password})
	if made.ID == "" {
		return signedIn{}, err
	}
	if err != nil && (!errors.Is(err, provisioning.ErrPending) || !a.RegisterWhileAway) {
		a.refused(ctx, store.AuditRegister, store.User{}, err)
		return signedIn{}, err
	}
	if err != nil {
		a.Log.LogAttrs(ctx, slog.LevelWarn, "registered; the ConnectyCube account follows", slog.String("user_id", user.ID), slog.Any("err", err))
	}
	a.done(ctx, store.AuditRegister, made, "")
	return a.signIn(ctx, made, in.Device, provisioning.LoginMethod{Password: in.Password}, err)
}

// isOurs reports whether an error is our failure, or ConnectyCube's, and not an
// answer.
func isOurs(c apierror.Code) bool {
	return c == apierror.InternalServerError || c == apierror.UpstreamUnavailable || c == apierror.ServiceUnavailable
}

// hashOfNewUser hashes the password of a registration, which counts for its
// network from then on unless we fail: that an email is taken is worth something
// to an attacker, too.
func (a *Auth) hashOfNewUser(ctx context.Context, list []charge, password string) (string, error) {
	if err := a.Budgets.check(ctx, list); err != nil {
		return "", err
	}
	turn := a.strangerTurn(ctx)
	turn.Start = func() error { return a.Budgets.take(ctx, list) }
	return a.Passwords.Hash(ctx, turn, password)
}

// signIn begins a login session for a user who has just shown a password, and
// opens the chat unless it is known that it cannot be.
func (a *Auth) signIn(ctx context.Context, user store.User, device *deviceInput, m provisioning.LoginMethod, trouble error) (signedIn, error) {
	session, refresh, err := a.begin(ctx, user, device)
	if err != nil {
		return signedIn{}, err
	}
	out, err := a.grant(user, session)
	if err != nil {
		return signedIn{}, err
	}
	out.refresh, out.device = refresh, a.deviceToken(user, session, a.knownDevice(device, user.Email))
	if trouble == nil {
		trouble = a.openChat(ctx, &out, m)
	}
	out.status = statusOf(trouble)
	return out, nil
}

// openChat opens the ConnectyCube session of a login session.
func (a *Auth) openChat(ctx context.Context, out *signedIn, m provisioning.LoginMethod) error {
	ctx, cancel := a.upstream(ctx)
	defer cancel()
	chat, err := a.Accounts.OpenCubeSession(ctx, out.user, out.session, m)
	if chat.UserID != 0 {
		out.user.CubeID = chat.UserID
	}
	out.chat = chat
	if err != nil {
		a.Log.LogAttrs(ctx, slog.LevelWarn, "login without chat",
			slog.String("user_id", out.user.ID), slog.String("chat_status", string(statusOf(err))), slog.Any("err", err))
	}
	return err
}

// statusOf tells a client what it can do about a session that did not open.
func statusOf(err error) chatStatus {
	if err == nil {
		return chatReady
	}
	for _, s := range []struct {
		is     error
		status chatStatus
	}{
		{provisioning.ErrPending, chatPending},
		{provisioning.ErrPasswordRequired, chatPassword},
		{provisioning.ErrForeignAccount, chatRefused},
		{connectycube.ErrBadCredentials, chatRefused},
		{connectycube.ErrNotFound, chatRefused},
		{connectycube.ErrTaken, chatRefused},
		{connectycube.ErrRefused, chatRefused},
	} {
		if errors.Is(err, s.is) {
			return s.status
		}
	}
	return chatUnavailable
}
