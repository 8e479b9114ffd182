package identity

import (
	"context"
	"errors"
	"log/slog"

	"cubegate/store"
	"cubegate/tokens"
)

// match says how a password fits the hash of a user.
type match struct {
	stale  bool // the hash should be replaced
	asSent bool // the hash is of the password as it was sent, which differs from the normalized form
	unsure bool // the hash may be of either form, as far as the user's document says
}

// compareForms compares the forms of a password with a user's hash, the normalized one
// first. Each form is one comparison, with a turn and charges of its own.
//
// If the forms differ, a wrong password always costs two comparisons, for an unknown
// email and for a hash that is certainly of the normalized form, too. Otherwise their
// number would tell whether an email has a user, and whether its hash is an old one.
func (p *Passwords) compareForms(ctx context.Context, g guess, password string, user store.User) (match, error) {
	forms := tokens.PasswordForms(password)
	m := match{unsure: len(forms) > 1 && user.PasswordForm != tokens.PasswordForm}
	stale, charged, err := p.compare(ctx, g, forms[0], user)
	if len(forms) == 1 || !errors.Is(err, tokens.ErrWrongPassword) {
		m.stale = stale
		return m, err
	}
	m.asSent = true
	m.stale, _, err = p.compare(ctx, g, forms[1], user)
	switch {
	case err == nil && m.unsure:
		p.budgets.refund(charged)
	case err == nil: // no password of this form has a hash in the other
		err = tokens.ErrWrongPassword
	}
	return m, err
}

// compare compares one form of a password with a user's hash, and charges a wrong one
// to the budgets of the guess. It returns the charges that remain.
func (p *Passwords) compare(ctx context.Context, g guess, form string, user store.User) (stale bool, charged []charge, err error) {
	list := charges(g.costs, g.keys)
	if len(list) == 0 {
		return false, nil, errUnpriced
	}
	if err := p.budgets.check(ctx, list); err != nil {
		return false, nil, err
	}
	turn := g.turn()
	turn.Start = func() error {
		err := p.budgets.take(ctx, list)
		if err == nil {
			charged = list
		}
		return err
	}
	stale, err = p.Hasher.Compare(ctx, turn, form, user.PasswordHash)
	if charged != nil && !errors.Is(err, tokens.ErrWrongPassword) {
		p.budgets.refund(charged)
		charged = nil
	}
	return stale, charged, err
}

// upgrade brings the hash of c.User up to date with a password that has just matched
// it, and returns the user with the hash that is valid now. That hash always belongs to
// this password: a login that began with a former password must not continue with the
// hash of its successor.
func (p *Passwords) upgrade(ctx context.Context, c Caller, m match, password string) (store.User, error) {
	user, hash := c.User, c.User.PasswordHash
	replaces := m.stale || m.asSent && !p.keepsHashes && !tokens.IsTruncated(password, hash)
	if !replaces && (m.asSent || !m.unsure) {
		return user, nil
	}
	var err error
	if replaces {
		hash, err = p.Hasher.Hash(ctx, strangersTurn(c), tokens.NormalizePassword(password))
	}
	if err == nil {
		err = p.replaceHash(ctx, store.HashUpgrade{UserID: user.ID, OldHash: user.PasswordHash, NewHash: hash, NewForm: tokens.PasswordForm})
	}
	if err != nil { // this login can use the old hash; the next login tries again
		p.log.LogAttrs(ctx, slog.LevelWarn, "password hash not replaced", slog.String("user_id", user.ID), slog.Any("err", err))
		return user, nil
	}
	current, err := p.users.ByID(ctx, user.ID)
	if err != nil {
		return user, nil
	}
	if current.PasswordHash != hash { // another login was first, or the password has changed
		err = p.compareAgain(ctx, c, password, current)
	}
	user.PasswordHash, user.PasswordForm = current.PasswordHash, current.PasswordForm
	return user, err
}

// compareAgain compares a password that has matched a former hash with its successor.
func (p *Passwords) compareAgain(ctx context.Context, c Caller, password string, current store.User) error {
	forms := tokens.PasswordForms(password)
	if current.PasswordForm == tokens.PasswordForm {
		forms = forms[:1]
	}
	var err error
	for _, form := range forms {
		if _, err = p.Hasher.Compare(ctx, strangersTurn(c), form, current.PasswordHash); !errors.Is(err, tokens.ErrWrongPassword) {
			return err
		}
	}
	return err
}
