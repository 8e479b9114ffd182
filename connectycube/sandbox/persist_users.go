package sandbox

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

type savedUser struct {
	ID             int64     `json:"id"`
	OID            string    `json:"oid"`
	Login          string    `json:"login,omitempty"`
	Email          string    `json:"email,omitempty"`
	FullName       string    `json:"full_name,omitempty"`
	Phone          string    `json:"phone,omitempty"`
	Website        string    `json:"website,omitempty"`
	FacebookID     string    `json:"facebook_id,omitempty"`
	TwitterID      string    `json:"twitter_id,omitempty"`
	ExternalID     string    `json:"external_id,omitempty"`
	CustomData     string    `json:"custom_data,omitempty"`
	Avatar         string    `json:"avatar,omitempty"`
	ExternalUserID *int64    `json:"external_user_id,omitempty"`
	Timezone       *int64    `json:"timezone,omitempty"`
	Tags           []string  `json:"tags,omitempty"`
	Guest          bool      `json:"guest,omitempty"`
	Salt           []byte    `json:"salt,omitempty"`
	Password       string    `json:"password,omitempty"` // argon2id of the SHA-256 of salt and password
	Hash           []byte    `json:"hash,omitempty"`     // that SHA-256, in version 1
	Created        time.Time `json:"created_at"`
	Updated        time.Time `json:"updated_at"`
	LastRequest    time.Time `json:"last_request_at,omitzero"`
}

type savedSession struct {
	Token   []byte    `json:"token"` // SHA-256 of it
	ID      int64     `json:"id"`
	UserID  int64     `json:"user_id,omitempty"`
	Nonce   any       `json:"nonce,omitempty"`
	TS      any       `json:"ts,omitempty"`
	Created time.Time `json:"created_at"`
	Used    time.Time `json:"used_at"`
}

func (r *registry) save(out *savedState) {
	out.Users = make([]savedUser, 0, len(r.users))
	for _, id := range slices.Sorted(maps.Keys(r.users)) {
		u := r.users[id]
		if u.credential.pending != nil {
			out.unhashed = append(out.unhashed, unhashed{user: u, index: len(out.Users), pending: u.credential.pending})
		}
		out.Users = append(out.Users, savedUser{
			ID: u.id, OID: u.oid, Guest: u.isGuest, Salt: u.credential.savedSalt(), Password: u.credential.hash,
			Login: u.login, Email: u.email, FullName: u.fullName, Phone: u.phone, Website: u.website,
			FacebookID: u.facebookID, TwitterID: u.twitterID, ExternalID: u.externalID,
			CustomData: u.customData, Avatar: u.avatar,
			ExternalUserID: u.externalUserID, Timezone: u.timezone, Tags: u.tags,
			Created: u.created, Updated: u.updated, LastRequest: u.lastRequest,
		})
	}
	out.Sessions = make([]savedSession, 0, len(r.sessions))
	byUse := func(a, b *session) int { return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.id, b.id)) }
	for _, live := range slices.SortedFunc(maps.Values(r.sessions), byUse) {
		one := savedSession{
			Token: live.key[:], ID: live.id, Nonce: live.nonce, TS: live.ts,
			Created: live.created, Used: live.used,
		}
		if live.user != nil {
			one.UserID = live.user.id
		}
		out.Sessions = append(out.Sessions, one)
	}
}

func (r *registry) restore(saved *savedState, p *passwords) error {
	guests := []*user{}
	for _, from := range saved.Users {
		secret, err := p.restored(saved.Version, &from)
		if err != nil {
			return fmt.Errorf("user %d: %w", from.ID, err)
		}
		u := &user{
			id: from.ID, oid: from.OID, isGuest: from.Guest, credential: secret,
			profile: profile{
				login: from.Login, email: from.Email, fullName: from.FullName, phone: from.Phone, website: from.Website,
				facebookID: from.FacebookID, twitterID: from.TwitterID, externalID: from.ExternalID,
				customData: from.CustomData, avatar: from.Avatar,
				externalUserID: from.ExternalUserID, timezone: from.Timezone, tags: from.Tags,
			},
			created: from.Created, updated: from.Updated, lastRequest: from.LastRequest,
			sessions: map[*session]struct{}{},
		}
		if u.id <= 0 || r.users[u.id] != nil {
			return fmt.Errorf("user %d is given twice, or has no id", u.id)
		}
		if err := r.conflict(u, u.profile); err != nil {
			return fmt.Errorf("user %d has a name of another", u.id)
		}
		r.nextUser = max(r.nextUser, u.id)
		r.users[u.id] = u
		r.index(u)
		if u.isGuest {
			guests = append(guests, u)
		}
	}
	slices.SortStableFunc(guests, func(a, b *user) int { return a.created.Compare(b.created) })
	for _, u := range guests {
		u.place = r.guests.PushBack(u)
	}
	return r.restoreSessions(saved.Sessions)
}

func (r *registry) restoreSessions(saved []savedSession) error {
	slices.SortStableFunc(saved, func(a, b savedSession) int { return a.Used.Compare(b.Used) })
	for _, from := range saved {
		live := &session{id: from.ID, nonce: from.Nonce, ts: from.TS, created: from.Created, used: from.Used}
		if copy(live.key[:], from.Token) != len(live.key) || r.sessions[live.key] != nil {
			return fmt.Errorf("session %d is given twice, or is not whole", live.id)
		}
		u := r.users[from.UserID]
		if u == nil && from.UserID != 0 {
			return fmt.Errorf("session %d has no user", live.id)
		}
		r.nextID = max(r.nextID, live.id)
		r.sessions[live.key] = live
		live.place = r.idle.PushBack(live)
		r.attach(live, u)
	}
	return nil
}
