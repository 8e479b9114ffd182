package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// savedVersion is that of the data file. A change of what follows raises it.
// Version 1, which kept passwords as salted SHA-256, is still read.
const savedVersion = 2

// savedState is the data file. Its lists are in the order in which they are to
// be read back: users by id, sessions by their last use, dialogs by what
// happened in them, messages as they arrived.
type savedState struct {
	Version  int           `json:"version"`
	AppID    int64         `json:"app_id"`
	Saved    time.Time     `json:"saved_at"` // real time, for people
	Ahead    time.Duration `json:"clock_ahead_ns"`
	NextUser int64         `json:"last_user_id"`
	NextID   int64         `json:"last_id"`

	Users    []savedUser    `json:"users"`
	Sessions []savedSession `json:"sessions"`
	Dialogs  []savedDialog  `json:"dialogs"`
	Messages []savedMessage `json:"messages"`

	Subscriptions []savedSubscription `json:"subscriptions,omitempty"`
	Books         []savedBook         `json:"address_books,omitempty"`

	unhashed []unhashed
}

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

type savedDialog struct {
	ID          string            `json:"id"`
	Type        dialogKind        `json:"type"`
	Owner       int64             `json:"owner"`
	Name        string            `json:"name,omitempty"`
	Description string            `json:"description,omitempty"`
	Photo       string            `json:"photo,omitempty"`
	Occupants   userSet           `json:"occupants"`
	Admins      userSet           `json:"admins,omitempty"`
	Pinned      []string          `json:"pinned,omitempty"`
	Extensions  map[string]string `json:"extensions,omitempty"`
	Permissions map[string]bool   `json:"permissions,omitempty"`
	Silent      userSet           `json:"silent,omitempty"`
	Hidden      userSet           `json:"hidden,omitempty"`
	Created     time.Time         `json:"created_at"`
	Updated     time.Time         `json:"updated_at"`
}

type savedMessage struct {
	ID          string             `json:"id"`
	Dialog      string             `json:"dialog"`
	Sender      int64              `json:"sender"`
	Recipient   int64              `json:"recipient,omitempty"`
	Body        string             `json:"body,omitempty"`
	Attachments []attachment       `json:"attachments,omitempty"`
	Custom      map[string]any     `json:"custom,omitempty"`
	Created     time.Time          `json:"created_at"`
	Updated     time.Time          `json:"updated_at"`
	Edited      time.Time          `json:"edited_at,omitzero"`
	Read        userSet            `json:"read,omitempty"`
	Delivered   userSet            `json:"delivered,omitempty"`
	DeletedFor  userSet            `json:"deleted_for,omitempty"`
	Reactions   map[string]userSet `json:"reactions,omitempty"`
}

// save copies the state, so that it can be written without the lock.
func (s *Application) save() *savedState {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.registry.sweep(s.Now())
	out := &savedState{
		Version:  savedVersion,
		AppID:    s.appID,
		Saved:    time.Now().UTC(),
		Ahead:    s.Ahead(),
		NextUser: s.registry.nextUser,
		NextID:   s.registry.nextID,
	}
	s.registry.save(out)
	s.archive.save(out)
	s.subscriptions.save(out)
	s.addressBooks.save(out)
	return out
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

func (a *archive) save(out *savedState) {
	out.Dialogs = make([]savedDialog, 0, len(a.dialogs))
	for e := a.active.Front(); e != nil; e = e.Next() {
		d := e.Value.(*dialog)
		out.Dialogs = append(out.Dialogs, savedDialog{
			ID: d.id, Type: d.kind, Owner: d.owner, Name: d.name, Description: d.description, Photo: d.photo,
			Occupants: slices.Clone(d.occupants), Admins: slices.Clone(d.admins), Pinned: slices.Clone(d.pinned),
			Extensions: d.extensions, Permissions: d.permissions,
			Silent: slices.Clone(d.silent), Hidden: slices.Clone(d.hidden),
			Created: d.created, Updated: d.updated,
		})
	}
	out.Messages = make([]savedMessage, 0, len(a.messages))
	for e := a.history.Front(); e != nil; e = e.Next() {
		m := e.Value.(*message)
		one := savedMessage{
			ID: m.id, Dialog: m.dialog.id, Sender: m.sender, Recipient: m.recipient, Body: m.body,
			Attachments: m.attachments, Custom: m.custom,
			Created: m.created, Updated: m.updated, Edited: m.edited,
			Read: slices.Clone(m.read), Delivered: slices.Clone(m.delivered), DeletedFor: slices.Clone(m.deletedFor),
		}
		for kind, users := range m.reactions {
			if one.Reactions == nil {
				one.Reactions = make(map[string]userSet, len(m.reactions))
			}
			one.Reactions[kind] = slices.Clone(users)
		}
		out.Messages = append(out.Messages, one)
	}
}

// restore brings back what save copied. It trusts nothing in it: a file may have
// been edited, or damaged.
func (s *Application) restore(saved *savedState) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if saved.AppID != s.appID {
		return fmt.Errorf("it is of application %d, not %d", saved.AppID, s.appID)
	}
	if saved.Ahead < 0 || saved.Ahead > maxAdvance {
		return errors.New("clock_ahead_ns is out of range")
	}
	s.ahead.Store(int64(saved.Ahead))
	s.registry.nextUser = max(s.registry.nextUser, saved.NextUser)
	s.registry.nextID = max(s.registry.nextID, saved.NextID)
	if err := s.registry.restore(saved, s.passwords); err != nil {
		return err
	}
	exists := func(user int64) bool { return s.registry.users[user] != nil }
	return errors.Join(
		s.archive.restore(saved),
		s.subscriptions.restore(saved, exists),
		s.addressBooks.restore(saved, exists),
	)
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

func (a *archive) restore(saved *savedState) error {
	for _, from := range saved.Dialogs {
		d := &dialog{
			id: from.ID, kind: from.Type, owner: from.Owner, name: from.Name, description: from.Description, photo: from.Photo,
			occupants: from.Occupants, admins: from.Admins, pinned: from.Pinned,
			extensions: from.Extensions, permissions: from.Permissions, silent: from.Silent, hidden: from.Hidden,
			created: from.Created, updated: from.Updated,
		}
		for _, set := range []userSet{d.occupants, d.admins, d.silent, d.hidden} {
			if !isSet(set) {
				return fmt.Errorf("dialog %s has users out of order", from.ID)
			}
		}
		if d.kind < kindBroadcast || d.kind > kindPublic || d.kind == kindPrivate && len(d.occupants) != 2 ||
			!isOID(from.ID) || a.dialogs[from.ID] != nil {
			return fmt.Errorf("dialog %s is given twice, or is not whole", from.ID)
		}
		a.put(d)
	}
	for _, from := range saved.Messages {
		m := &message{
			id: from.ID, dialog: a.dialogs[from.Dialog], sender: from.Sender, recipient: from.Recipient,
			body: from.Body, attachments: from.Attachments, custom: from.Custom,
			read: from.Read, delivered: from.Delivered, deletedFor: from.DeletedFor, reactions: from.Reactions,
			created: from.Created, updated: from.Updated, edited: from.Edited,
		}
		sets := append(slices.Collect(maps.Values(m.reactions)), m.read, m.delivered, m.deletedFor)
		if m.dialog == nil || !isOID(m.id) || a.messages[m.id] != nil || slices.ContainsFunc(sets, func(set userSet) bool { return !isSet(set) }) {
			return fmt.Errorf("message %s is given twice, or is not whole", from.ID)
		}
		a.append(m)
	}
	if newest := a.active.Back(); newest != nil {
		a.makeRoom(newest.Value.(*dialog))
	}
	a.shrink()
	return nil
}

// isSet says whether the ids ascend, as a search in them needs.
func isSet(set userSet) bool {
	for i := 1; i < len(set); i++ {
		if set[i-1] >= set[i] {
			return false
		}
	}
	return true
}
