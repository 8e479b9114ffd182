package provisioning

import (
	"context"
	"errors"

	"cubegate/connectycube"
)

// completionStep gives the account what it lacks: by the external ID, a login by ticket
// finds it; chats show the name; other users find it by the email. An account that
// ConnectyCube created for a login has no email and no name, unless the dashboard maps
// them (docs/connectycube.md, Identity provider). One of the NestJS original, or one that
// its user has changed, has another external ID or none.
//
// Each field may be unique at ConnectyCube. The email goes last and alone: if another
// account has it, this account is complete but for the email, and works.
type completionStep struct{ r *reconciliation }

func (s completionStep) run(ctx context.Context) error {
	r := s.r
	if err := s.openLinked(ctx); err != nil {
		return err
	}
	r.account.completed = true
	if err := s.fillExternalID(ctx); err != nil {
		return err
	}
	if name := r.user.FullName(); r.user.Account.Name == "" && name != "" {
		if err := r.p.userAPI.UpdateUser(ctx, r.session, connectycube.UserUpdate{FullName: name}); err != nil {
			return err
		}
		r.user.Account.Name = name
	}
	err := s.fillEmail(ctx)
	return errors.Join(err, r.save(ctx))
}

// openLinked finds a session of the linked account. The password opens no account
// without an email: most applications would create another one.
func (s completionStep) openLinked(ctx context.Context) error {
	r, opener := s.r, sessionOpener(s)
	var err error
	switch {
	case r.session.Token != "" || r.user.Account.Email != "":
		err = opener.anySession(ctx)
	default:
		if err = opener.reuse(ctx); errors.Is(err, ErrPasswordRequired) {
			err = opener.openByTicket(ctx)
			switch {
			case err == nil:
				r.p.seenProviderOn.Store(true)
			case isRejection(err):
				err = ErrPasswordRequired // the next login has a session
			}
		}
	}
	if err == nil && r.session.UserID != r.user.CubeID {
		err = errUnlinked
	}
	return err
}

// fillExternalID gives the account the user's ID. If another account has it, the next
// login by ticket opens that one and decides; see relink.go.
func (s completionStep) fillExternalID(ctx context.Context) error {
	r := s.r
	if r.account.externalID == r.user.ID {
		return nil
	}
	err := r.p.userAPI.UpdateUser(ctx, r.session, connectycube.UserUpdate{ExternalID: r.user.ID})
	if errors.Is(err, connectycube.ErrTaken) {
		r.logWarning(ctx, "another ConnectyCube account has the user's ID", err)
		return nil
	}
	if err == nil {
		r.account.externalID = r.user.ID
	}
	return err
}

// fillEmail gives the account the user's email. If another account has it, the error is
// that of [updateStep], except that there is no former email to return to.
func (s completionStep) fillEmail(ctx context.Context) error {
	r := s.r
	if r.user.Account.Email != "" {
		return nil
	}
	err := r.p.userAPI.UpdateUser(ctx, r.session, connectycube.UserUpdate{Email: r.user.Email})
	if errors.Is(err, connectycube.ErrTaken) {
		if pendingErr := (updateStep{r}).checkHolder(ctx, err); pendingErr != nil {
			return pendingErr
		}
	}
	if err == nil {
		r.user.Account.Email = r.user.Email
	}
	return err
}
