package provisioning

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
	"cubegate/tokens"
)

// endedWithOthers is the EndReason of a login session that ended because the user's
// document no longer lists it.
const endedWithOthers = "ended with others"

// PruneNext ends the login sessions that one user's document no longer lists. It reads
// the records before the user. A login session enters the user's document before it
// gets a record, so one with a record that is not listed has ended. It also ends for good
// the evicted ones whose user has ended all login sessions since.
func (p *Provisioner) PruneNext(ctx context.Context) error {
	until := time.Now().Add(p.settings.ClockSkew + 10*time.Second).UTC().Truncate(time.Millisecond)
	user, err := p.queues.Sweeps.Claim(ctx, store.Lease{Until: until})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	loginSessions, err := p.db.Sessions.OfUser(ctx, user.ID)
	if err != nil {
		return err
	}
	user, err = p.db.Accounts.ByID(ctx, user.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err := p.evict(ctx, user, loginSessions); err != nil {
		return err
	}
	for _, loginSession := range loginSessions {
		if !slices.Contains(user.Sessions, loginSession.ID) && !slices.Contains(user.Evicted, loginSession.ID) {
			if _, err := p.db.Sessions.End(ctx, loginSession.ID, endedWithOthers); err != nil {
				return err
			}
		}
	}
	if err := p.db.Evictions.EndEvicted(ctx, user.ID, user.EndGeneration, endedWithOthers); err != nil {
		return err
	}
	p.wake.revocations.send()
	if user.ID == "" {
		return nil
	}
	return p.db.Evictions.CompleteSweep(ctx, user.ID, store.Lease{Until: until}, user.Evicted)
}

// evict saves in the records which login sessions were evicted, so that the user's
// document need not remember it.
func (p *Provisioner) evict(ctx context.Context, user store.User, loginSessions []store.Session) error {
	others := activeOf(user, loginSessions)
	for _, id := range user.Evicted {
		v := store.Eviction{Generation: user.EndGeneration, Due: time.Now()}
		if i := slices.IndexFunc(loginSessions, func(s store.Session) bool { return s.ID == id }); i >= 0 {
			v.Due = evictedDue(loginSessions[i], others)
		}
		if err := p.db.Evictions.Evict(ctx, id, v); err != nil {
			return err
		}
	}
	return nil
}

// activeOf returns those of the login sessions that their user's document lists.
func activeOf(user store.User, loginSessions []store.Session) []store.Session {
	return slices.DeleteFunc(slices.Clone(loginSessions), func(s store.Session) bool { return !slices.Contains(user.Sessions, s.ID) })
}

// evictedDue returns when the revocation of an evicted login session is due: now or, if that
// would change nothing, when its session at ConnectyCube ends.
func evictedDue(evicted store.Session, others []store.Session) time.Time {
	now := time.Now()
	evicted.EndReason = store.Evicted
	if livesOn(evicted, now) && (revocation{ended: evicted}).mayBelongTo(others) {
		return evicted.CubeExpires
	}
	return now
}

// livesOn reports whether a login session was evicted while its session at ConnectyCube lives.
func livesOn(ended store.Session, now time.Time) bool {
	return ended.EndReason == store.Evicted && ended.CubeToken != "" && ended.CubeExpires.After(now)
}

// RevokeNext revokes one ended login session at ConnectyCube. First it ends one that has
// expired. The record of an evicted one stays as long as its session at ConnectyCube can
// live, so that a ban or a new password ends that, too.
func (p *Provisioner) RevokeNext(ctx context.Context) error {
	if err := p.db.ExpireSession(ctx); !errors.Is(err, store.ErrNotFound) {
		return err
	}
	lease := store.Lease{Until: p.newLease().Until}
	ended, err := p.queues.Revocations.Claim(ctx, lease)
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	upstream, cancel := context.WithTimeout(ctx, p.settings.UpstreamTimeout) // ConnectyCube may use it up
	err = p.revoke(upstream, ended)
	cancel()
	if err == nil && ended.EndReason == store.Expired { // otherwise it ended by leaving the list
		_, err = p.db.RemoveSession(ctx, ended.UserID, ended.ID)
	}
	if err == nil && livesOn(ended, time.Now()) {
		return p.queues.Revocations.Retry(ctx, ended.ID, lease, ended.CubeExpires, "")
	}
	if err == nil {
		return p.db.RemoveRevoked(ctx, ended)
	}
	p.log.LogAttrs(ctx, slog.LevelWarn, "ended login session not yet revoked at ConnectyCube", slog.String("user_id", ended.UserID), slog.Any("err", err))
	return p.queues.Revocations.Retry(ctx, ended.ID, lease, time.Now().Add(backOff(ended.Attempts, err)), "")
}

// revoke ends what a login session has at ConnectyCube: its push subscriptions and,
// unless it was evicted, its session.
func (p *Provisioner) revoke(ctx context.Context, ended store.Session) error {
	token, err := p.sealer.Open(ended.CubeToken, additionalData(ended.ID))
	if ended.CubeToken == "" || errors.Is(err, tokens.ErrSealed) {
		token = ""
	} else if err != nil {
		return err
	}
	user, err := p.db.Accounts.ByID(ctx, ended.UserID)
	if errors.Is(err, store.ErrNotFound) || err == nil && user.Deleting {
		return nil // all ends with the account, whose deletion may need this session
	}
	if err != nil {
		return err
	}
	r := p.begin(user, LoginMethod{})
	defer r.cleanUp(ctx)
	r.session = connectycube.Session{Token: token, UserID: ended.CubeID}
	if err := (revocation{r, ended}).deleteSubscriptions(ctx); err != nil {
		return err
	}
	if token == "" || ended.EndReason == store.Evicted {
		return nil
	}
	return p.cube.EndSession(ctx, token)
}

// revocation stops the pushes to the device of a login session that has ended.
type revocation struct {
	r     *reconciliation
	ended store.Session
}

// wasNoLogout reports whether the user did not want the end of the login session. The
// apps of the NestJS original log in at every start and never log out, so one device has
// many login sessions, and its pushes must outlive them.
func (v revocation) wasNoLogout() bool {
	return v.ended.EndReason == store.Expired || v.ended.EndReason == store.Evicted
}

// deleteSubscriptions deletes the subscriptions of the device, unless the user has
// logged in there again. Only some apps tell which device it is. If this one did not,
// it deletes every subscription that no active login session is known to own: after a
// logout, a phone must not show messages. If there was no logout, it does so only when
// no login session is left.
func (v revocation) deleteSubscriptions(ctx context.Context) error {
	r := v.r
	others, err := v.others(ctx)
	if err != nil || v.mayBelongTo(others) {
		return err
	}
	subscriptions, err := v.subscriptions(ctx)
	if err != nil || len(subscriptions) == 0 {
		return err
	}
	others, err = v.others(ctx) // again: ConnectyCube may have taken its time
	if err != nil || v.mayBelongTo(others) {
		return err
	}
	for _, s := range subscriptions {
		concerned := v.ended.DeviceID == "" || s.DeviceID == v.ended.DeviceID
		if !concerned || slices.ContainsFunc(others, func(other store.Session) bool { return v.takesOverDevice(other, s.DeviceID) }) {
			continue
		}
		if err := r.p.userAPI.DeleteSubscription(ctx, r.session, s.ID); err != nil {
			return err
		}
	}
	return nil
}

// others lists the active login sessions of the user. It reads the records first: a
// login session enters the user's document before it gets a record.
func (v revocation) others(ctx context.Context) ([]store.Session, error) {
	others, err := v.r.p.db.Sessions.OfUser(ctx, v.ended.UserID)
	if err != nil {
		return nil, err
	}
	user, err := v.r.p.db.Accounts.ByID(ctx, v.ended.UserID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	return activeOf(user, others), nil
}

// mayBelongTo reports whether the device may be that of another login session, because
// the app does not tell which one it is.
func (v revocation) mayBelongTo(others []store.Session) bool {
	return v.wasNoLogout() && v.ended.DeviceID == "" && len(others) > 0
}

// takesOverDevice reports whether another login session keeps the pushes to a device.
// After a logout it must be younger than the ended one: an older login session of the
// same device is no longer used.
func (v revocation) takesOverDevice(other store.Session, device string) bool {
	return device != "" && other.DeviceID == device &&
		(v.ended.DeviceID == "" || v.wasNoLogout() || other.Created.After(v.ended.Created))
}

// subscriptions lists the user's subscriptions, by the session at hand or by one that
// the server can open by itself. Without either it lists none.
func (v revocation) subscriptions(ctx context.Context) ([]connectycube.Subscription, error) {
	r := v.r
	if r.session.Token != "" {
		list, err := r.p.userAPI.Subscriptions(ctx, r.session)
		if !errors.Is(err, connectycube.ErrSessionExpired) {
			return list, err
		}
		r.session = connectycube.Session{}
	}
	if r.user.CubeID == 0 || r.emailDiffers() {
		return nil, nil
	}
	// Under a lease, so that nothing deletes the account meanwhile: the login would
	// create it again.
	leased, err := r.p.queues.Accounts.Acquire(ctx, r.user.ID, r.p.newLease())
	if err != nil {
		return nil, err
	}
	r.user = leased
	defer r.abort(ctx)
	if r.user.Deleting {
		return nil, nil
	}
	err = sessionOpener{r}.anySession(ctx)
	if errors.Is(err, ErrPasswordRequired) || isRejection(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return r.p.userAPI.Subscriptions(ctx, r.session)
}
