package identity

import (
	"context"
	"errors"
	"strings"
	"time"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/provisioning"
	"cubegate/store"
)

// AccountEditor changes users, here and at ConnectyCube; see
// [provisioning.Provisioner]. The error is [store.ErrChanged] if the user was changed
// concurrently.
type AccountEditor interface {
	Rename(ctx context.Context, user store.User, name provisioning.Name) (store.User, error)
	ChangeEmail(ctx context.Context, user store.User, c provisioning.EmailChange) (store.User, error)
	ChangePassword(ctx context.Context, user store.User, c provisioning.PasswordChange) error
	Delete(ctx context.Context, user store.User, m provisioning.LoginMethod) error
}

// Profiles serves users who change or delete themselves.
type Profiles struct {
	passwords        *Passwords
	accounts         AccountOpener
	editor           AccountEditor
	proven           *provenPasswords
	auditor          *Auditor
	maxPasswordChars int
	bcryptPasswords  bool // see Limits
	upstreamTimeout  time.Duration
}

// PasswordInput is the input of changePassword.
type PasswordInput struct{ Current, New string }

// ChangePassword replaces the caller's password. All other login sessions end in the
// same write.
func (p *Profiles) ChangePassword(ctx context.Context, c Caller, in PasswordInput) error {
	wrong := apierror.FieldErrors{}
	wrong.Add("new", validatePassword(in.New, p.maxPasswordChars))
	if p.bcryptPasswords {
		wrong.Add("new", validateBcryptPassword(in.New))
	}
	if err := wrong.Err(); err != nil {
		return err
	}
	if err := p.confirm(ctx, c, in.Current); err != nil {
		return err
	}
	hash, err := p.passwords.hashNew(ctx, c, in.New)
	if err != nil {
		return err
	}
	changed := c.User
	changed.PasswordHash = hash
	defer p.proven.Prove(c.User, in.Current)()
	defer p.proven.Prove(changed, in.New)()
	upstream, cancel := detached(ctx, p.upstreamTimeout)
	defer cancel()
	err = p.editor.ChangePassword(upstream, c.User, provisioning.PasswordChange{Old: in.Current, New: in.New, NewHash: hash, KeepSession: c.SessionID})
	if err != nil {
		p.auditor.recordFailure(ctx, c, err)
		return err
	}
	p.accounts.Wake()
	p.auditor.recordSuccess(ctx, c, c.SessionID)
	return nil
}

// confirm checks the caller's password, and records a failure.
func (p *Profiles) confirm(ctx context.Context, c Caller, password string) error {
	err := p.passwords.confirm(ctx, c, password)
	if err != nil {
		p.auditor.recordFailure(ctx, c, err)
	}
	return err
}

// NameInput is the input of updateProfile.
type NameInput struct{ FirstName, LastName string }

// Rename changes the caller's names.
func (p *Profiles) Rename(ctx context.Context, c Caller, in NameInput) (store.User, error) {
	first, last := strings.TrimSpace(in.FirstName), strings.TrimSpace(in.LastName)
	wrong := apierror.FieldErrors{}
	wrong.Add("firstName", validateName(first))
	wrong.Add("lastName", validateName(last))
	if err := wrong.Err(); err != nil {
		return store.User{}, err
	}
	ctx, cancel := detached(ctx, p.upstreamTimeout)
	defer cancel()
	return p.editor.Rename(ctx, c.User, provisioning.Name{First: first, Last: last})
}

// EmailInput is the input of changeEmail.
type EmailInput struct{ Email, Password string }

// ChangeEmail changes the caller's email, here and at ConnectyCube. If another account
// there has it, the email stays as it was.
func (p *Profiles) ChangeEmail(ctx context.Context, c Caller, in EmailInput) (store.User, error) {
	email := strings.TrimSpace(in.Email)
	wrong := apierror.FieldErrors{}
	wrong.Add("email", validateEmail(email))
	if err := wrong.Err(); err != nil {
		return store.User{}, err
	}
	if err := p.confirm(ctx, c, in.Password); err != nil {
		return store.User{}, err
	}
	if email == c.User.Email {
		return c.User, nil
	}
	changed := c.User
	changed.Email = email
	defer p.proven.Prove(c.User, in.Password)()
	defer p.proven.Prove(changed, in.Password)()
	upstream, cancel := detached(ctx, p.upstreamTimeout)
	defer cancel()
	user, err := p.editor.ChangeEmail(upstream, c.User, provisioning.EmailChange{Email: email, Password: in.Password})
	if err != nil {
		p.auditor.recordFailure(ctx, c, err)
		return store.User{}, err
	}
	p.auditor.recordSuccess(ctx, c, "")
	return user, nil
}

// Delete deletes the caller, here and at ConnectyCube.
func (p *Profiles) Delete(ctx context.Context, c Caller, password string) error {
	if err := p.confirm(ctx, c, password); err != nil {
		return err
	}
	defer p.proven.Prove(c.User, password)()
	return p.deleteAndAudit(ctx, c, "", provisioning.LoginMethod{Password: password})
}

// deleteAndAudit deletes c.User and records it. Actor is the ID of the administrator
// who does it, if any.
func (p *Profiles) deleteAndAudit(ctx context.Context, c Caller, actor string, m provisioning.LoginMethod) error {
	ctx, cancel := detached(ctx, p.upstreamTimeout)
	defer cancel()
	err := p.editor.Delete(ctx, c.User, m)
	if errors.Is(err, store.ErrChanged) && actor != "" {
		err = &apierror.Error{Code: apierror.Conflict, Message: "Another request changed the user at the same time; try again", Cause: err}
	}
	if err != nil {
		p.auditor.recordFailure(ctx, c, err)
		return err
	}
	p.accounts.Wake()
	p.auditor.record(ctx, c, store.Event{Outcome: store.OutcomeOK, UserID: c.User.ID, Actor: actor})
	return nil
}
