package identity

import (
	"context"
	"errors"
	"log/slog"

	"cubegate/resolvers/provisioning"
	"cubegate/store"
	"cubegate/tokens"
)

// AccountOpener creates users with their accounts at ConnectyCube, and opens sessions
// there; see [provisioning.Provisioner]. If Register has not created the user, the
// returned user has no ID. ExtendCubeSession writes nothing, and may return nil.
type AccountOpener interface {
	Register(ctx context.Context, user store.User, m provisioning.LoginMethod) (store.User, error)
	OpenCubeSession(ctx context.Context, user store.User, session store.Session, m provisioning.LoginMethod) (provisioning.CubeSession, error)
	ExtendCubeSession(ctx context.Context, user store.User, session store.Session) *provisioning.Extension
	Wake() // tells the worker that there is work
}

// Register creates a user here and an account at ConnectyCube, and logs the user in. If
// the client sends its registration again, because the response was lost or late,
// Register logs the same user in; see [registration.repeat].
//
// The user comes first, because only our unique index decides whether the email is
// free. The user's document says from the start that the account must be created. If
// the server dies in between, the worker or the next login finishes. There is no user
// only if ConnectyCube refuses the account for good.
func (l *Logins) Register(ctx context.Context, c Caller, in RegisterInput) (LoginResult, error) {
	in, err := in.validate(l.maxPasswordChars, l.bcryptPasswords)
	if err != nil {
		return LoginResult{}, err
	}
	r := registration{l, c, in}
	holder, err := r.findHolder(ctx)
	if err != nil {
		return LoginResult{}, err
	}
	if r.mayRepeat(holder) {
		out, err := r.repeat(ctx, holder)
		if !errors.Is(err, errNoRepeat) {
			return out, err
		}
		holder = store.User{} // whether the email is free decides the index
	}
	return r.create(ctx, holder)
}

// create registers a new user, unless another user holds the email. It takes a hash in
// either case: the time must not tell how long the holder has existed.
func (r registration) create(ctx context.Context, holder store.User) (out LoginResult, err error) {
	l, c := r.Logins, r.caller
	list := r.charges()
	hash, err := l.passwords.hashFirst(ctx, c, list, r.in.Password)
	if err != nil {
		return LoginResult{}, err
	}
	if holder.ID != "" {
		return LoginResult{}, errEmailTaken
	}
	defer func() {
		if err != nil && l.auditor.isFailure(err) {
			l.budgets.refund(list)
		}
	}()
	l.attempts.add(r.attempt())
	// From here on the work goes on when the client leaves: the client may have lost
	// only the response.
	ctx = context.WithoutCancel(ctx)
	user := store.User{ID: store.NewUserID(), FirstName: r.in.FirstName, LastName: r.in.LastName, Email: r.in.Email, PasswordHash: hash, PasswordForm: tokens.PasswordForm}
	defer l.proven.Prove(user, r.in.Password)()
	upstream, cancel := detached(ctx, l.upstreamTimeout)
	defer cancel()
	user, chatErr := l.accounts.Register(upstream, user, r.method())
	switch {
	case user.ID == "" && errors.Is(chatErr, errEmailTaken):
		return r.repeatLate(ctx)
	case user.ID == "":
		return LoginResult{}, chatErr
	case chatErr == nil:
	case errors.Is(chatErr, provisioning.ErrPending) && l.registerWhileAway:
		l.log.LogAttrs(ctx, slog.LevelWarn, "registered without an account at ConnectyCube", slog.String("user_id", user.ID), slog.Any("err", chatErr))
	default:
		l.auditor.recordFailure(ctx, c, chatErr)
		return LoginResult{}, chatErr
	}
	c.User = user
	l.auditor.recordSuccess(ctx, c, "")
	return l.completeLogin(ctx, c, r.in.Device, r.method(), chatErr)
}
