package core

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
	Disabled       bool      `json:"disabled,omitempty"` // since version 5
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

func (r *Registry) save(out *savedState) {
	out.Users = make([]savedUser, 0, len(r.Users))
	for _, id := range slices.Sorted(maps.Keys(r.Users)) {
		u := r.Users[id]
		if u.Credential.pending != nil {
			out.unhashed = append(out.unhashed, unhashed{user: u, index: len(out.Users), pending: u.Credential.pending})
		}
		out.Users = append(out.Users, savedUser{
			ID: u.ID, OID: u.OID, Guest: u.IsGuest, Disabled: u.IsDisabled, Salt: u.Credential.savedSalt(), Password: u.Credential.hash,
			Login: u.Login, Email: u.Email, FullName: u.FullName, Phone: u.Phone, Website: u.Website,
			FacebookID: u.FacebookID, TwitterID: u.TwitterID, ExternalID: u.ExternalID,
			CustomData: u.CustomData, Avatar: u.Avatar,
			ExternalUserID: u.ExternalUserID, Timezone: u.Timezone, Tags: u.Tags,
			Created: u.Created, Updated: u.Updated, LastRequest: u.LastRequest,
		})
	}
	out.Sessions = make([]savedSession, 0, len(r.sessions))
	byUse := func(a, b *Session) int { return cmp.Or(a.Used.Compare(b.Used), cmp.Compare(a.ID, b.ID)) }
	for _, live := range slices.SortedFunc(maps.Values(r.sessions), byUse) {
		one := savedSession{
			Token: live.key[:], ID: live.ID, Nonce: live.Nonce, TS: live.TS,
			Created: live.Created, Used: live.Used,
		}
		if live.User != nil {
			one.UserID = live.User.ID
		}
		out.Sessions = append(out.Sessions, one)
	}
}

func (r *Registry) restore(saved *savedState, p *Passwords) error {
	guests := []*User{}
	for _, from := range saved.Users {
		secret, err := p.restored(saved.Version, &from)
		if err != nil {
			return fmt.Errorf("user %d: %w", from.ID, err)
		}
		u := &User{
			ID: from.ID, OID: from.OID, IsGuest: from.Guest, IsDisabled: from.Disabled, Credential: secret,
			Profile: Profile{
				Login: from.Login, Email: from.Email, FullName: from.FullName, Phone: from.Phone, Website: from.Website,
				FacebookID: from.FacebookID, TwitterID: from.TwitterID, ExternalID: from.ExternalID,
				CustomData: from.CustomData, Avatar: from.Avatar,
				ExternalUserID: from.ExternalUserID, Timezone: from.Timezone, Tags: from.Tags,
			},
			Created: from.Created, Updated: from.Updated, LastRequest: from.LastRequest,
			sessions: map[*Session]struct{}{},
		}
		if u.ID <= 0 || r.Users[u.ID] != nil {
			return fmt.Errorf("user %d occurs twice, or has no ID", u.ID)
		}
		if err := r.conflict(u, u.Profile); err != nil {
			return fmt.Errorf("user %d has a login, email or external ID of another user", u.ID)
		}
		r.NextUser = max(r.NextUser, u.ID)
		r.Users[u.ID] = u
		r.index(u)
		if u.IsGuest {
			guests = append(guests, u)
		}
	}
	slices.SortStableFunc(guests, func(a, b *User) int { return a.Created.Compare(b.Created) })
	for _, u := range guests {
		u.place = r.guests.PushBack(u)
	}
	return r.restoreSessions(saved.Sessions)
}

func (r *Registry) restoreSessions(saved []savedSession) error {
	slices.SortStableFunc(saved, func(a, b savedSession) int { return a.Used.Compare(b.Used) })
	for _, from := range saved {
		live := &Session{ID: from.ID, Nonce: from.Nonce, TS: from.TS, Created: from.Created, Used: from.Used}
		if copy(live.key[:], from.Token) != len(live.key) || r.sessions[live.key] != nil {
			return fmt.Errorf("session %d occurs twice, or is incomplete", live.ID)
		}
		u := r.Users[from.UserID]
		if u == nil && from.UserID != 0 {
			return fmt.Errorf("session %d has no user", live.ID)
		}
		r.nextID = max(r.nextID, live.ID)
		r.sessions[live.key] = live
		live.place = r.idle.PushBack(live)
		r.Attach(live, u)
	}
	return nil
}
