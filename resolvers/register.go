package resolvers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
)

// register makes a user here and its account at ConnectyCube, or neither.
//
// The user comes first, since only our unique index can say whether the
// address is free, and stays pending until the account is known. What dies in
// between is found by that mark: the next login finishes it, and a next
// registration of the address, or the next start, removes it.
func (a *Auth) register(ctx context.Context, in registerInput) (store.User, error) {
	in, err := in.clean()
	if err != nil {
		return store.User{}, err
	}
	hash, err := a.Passwords.Hash(ctx, in.Password)
	if err != nil {
		return store.User{}, err
	}
	// From here on the client's leaving changes nothing: finished is better
	// than undone, for its answer may be all that is lost.
	ctx, cancel := a.upstream(ctx)
	defer cancel()
	user, err := a.Registry.Create(ctx, store.User{
		FirstName:    in.FirstName,
		LastName:     in.LastName,
		Email:        in.Email,
		PasswordHash: hash,
	})
	if err != nil {
		return store.User{}, err
	}
	user.CubeID, err = a.provision(ctx, user, in.Password)
	if err == nil {
		err = a.Registry.SetCubeID(ctx, user.ID, user.CubeID)
	}
	if err != nil {
		return store.User{}, errors.Join(err, a.discard(ctx, user))
	}
	return user, nil
}

// discard undoes a registration, with time of its own.
func (a *Auth) discard(ctx context.Context, user store.User) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return a.Registry.Discard(ctx, user.ID)
}

// provision makes the ConnectyCube account of a user and returns its id. It
// may be called again for the same user: what is there is found.
func (a *Auth) provision(ctx context.Context, user store.User, password string) (int64, error) {
	account, err := a.Cube.SignUp(ctx, connectycube.NewUser{
		Email:      user.Email,
		Password:   password,
		FullName:   user.FullName(),
		ExternalID: user.ID,
	})
	switch {
	case errors.Is(err, connectycube.ErrTaken):
		return a.claim(ctx, user, password)
	case errors.Is(err, connectycube.ErrUnavailable):
		// The answer is lost, the account may be there all the same: ask.
		if own, askErr := a.own(ctx, user); askErr == nil {
			return own, nil
		}
		return 0, err
	}
	return account.ID, err
}

// own finds the account that carries the user's id. Whoever has an app has its
// key and could sign up with any id, so the address must agree as well.
func (a *Auth) own(ctx context.Context, user store.User) (int64, error) {
	account, err := a.Cube.UserByExternalID(ctx, user.ID)
	if err != nil {
		return 0, err
	}
	if store.EmailKey(account.Email) != store.EmailKey(user.Email) {
		return 0, fmt.Errorf("account %d has the id of user %s and another address: %w", account.ID, user.ID, connectycube.ErrTaken)
	}
	return account.ID, nil
}

// claim takes over the account that has the user's address already: the
// user's own from an earlier try, or one that nobody of ours has, if the
// password proves that it is the same person's. The original left many of the
// latter behind (a sign-up whose other half failed).
func (a *Auth) claim(ctx context.Context, user store.User, password string) (int64, error) {
	if own, err := a.own(ctx, user); !errors.Is(err, connectycube.ErrNotFound) {
		return own, err
	}
	session, err := a.openSession(ctx, user, password)
	if errors.Is(err, connectycube.ErrUnavailable) {
		return 0, err
	}
	if err != nil {
		return 0, &Error{
			Code:    Conflict,
			Message: "Email already exists at the chat service, with another password",
			Cause:   fmt.Errorf("claiming the account with the user's address: %w", err),
		}
	}
	other := session.User.ExternalID
	if other != "" && other != user.ID {
		switch _, err := a.Users.ByID(ctx, other); {
		case err == nil:
			return 0, fmt.Errorf("account %d is user %s's: %w", session.UserID, other, connectycube.ErrTaken)
		case !errors.Is(err, store.ErrNotFound):
			return 0, err
		}
	}
	return session.UserID, a.introduce(ctx, user, session)
}

// introduce tells ConnectyCube what its account lacks of the user: our id, by
// which both logins meet one identity, and a name to show in chats. An account
// that ConnectyCube made by itself, at a login, has neither.
func (a *Auth) introduce(ctx context.Context, user store.User, session connectycube.Session) error {
	var missing connectycube.Profile
	if session.User.ExternalID != user.ID {
		missing.ExternalID = user.ID
	}
	if session.User.FullName == "" {
		missing.FullName = user.FullName()
	}
	if missing == (connectycube.Profile{}) {
		return nil
	}
	return a.Cube.UpdateProfile(ctx, session, missing)
}
