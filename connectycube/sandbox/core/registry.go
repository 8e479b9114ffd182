package core

import (
	"container/list"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

const (
	sessionLife = 2 * time.Hour  // after the last use (docs/connectycube.md, Sessions)
	guestLife   = 24 * time.Hour // after creation, for user and sessions alike (docs/connectycube.md, Sessions)

	maxUserBytes = 256 << 20 // of all users: 2.6 KiB for each of the 100,000 of the default
)

// Registry holds users and sessions with their indexes. The Application's lock
// guards it. It removes expired entries before each read, in constant time on
// average: both lists are ordered by the time at which their entries end.
type Registry struct {
	maxUsers    int
	maxBytes    int // of all users, as Profile.weight counts them
	maxSessions int
	NextUser    int64
	nextID      int64       // of all other entries
	removed     func(*User) // called with removed users; must not call the registry

	bytes      int
	Users      map[int64]*User
	ByLogin    map[string]*User
	ByEmail    map[string]*User
	ByExternal map[string]*User
	sessions   map[tokenHash]*Session

	idle   *list.List // *Session of no guest, longest unused first
	guests *list.List // *User, oldest first
}

// User is one user of the application.
type User struct {
	Profile
	ID          int64
	OID         string // 24 hex digits; clients do not use it
	IsGuest     bool
	IsDisabled  bool // logins are refused
	Credential  Credential
	Created     time.Time
	Updated     time.Time
	LastRequest time.Time
	sessions    map[*Session]struct{}
	place       *list.Element // in guests
}

// tokenHash stands for a token wherever the sandbox keeps it, so that no file of
// the sandbox can be used to log in.
type tokenHash [sha256.Size]byte

func hashToken(token string) tokenHash { return sha256.Sum256([]byte(token)) }

// Session is an application session, or a user's.
type Session struct {
	Token   string // empty after a restart, until a client sends it again
	key     tokenHash
	ID      int64 // part of answers while there is no user
	User    *User // nil in an application session
	Nonce   any
	TS      any
	Created time.Time
	Used    time.Time
	Closed  bool
	place   *list.Element // in idle, unless the user is a guest
}

// NewRegistry returns an empty registry.
func NewRegistry(maxUsers, maxSessions int) Registry {
	return Registry{
		maxUsers:    maxUsers,
		maxBytes:    maxUserBytes,
		maxSessions: maxSessions,
		NextUser:    firstID(time.Now()),
		nextID:      firstID(time.Now()),
		removed:     func(*User) {},
		Users:       map[int64]*User{},
		ByLogin:     map[string]*User{},
		ByEmail:     map[string]*User{},
		ByExternal:  map[string]*User{},
		sessions:    map[tokenHash]*Session{},
		idle:        list.New(),
		guests:      list.New(),
	}
}

// RandomHex returns the hex digits of so many random bytes.
func RandomHex(bytes int) string {
	raw := make([]byte, bytes)
	rand.Read(raw) // never fails, by its documentation
	return hex.EncodeToString(raw)
}

// firstID returns the start of the IDs: four for each second since 2023. A sandbox
// that starts later does not repeat the IDs of an earlier one, unless that one
// created users faster. The IDs are below 2^31, as SDKs for phones require, until
// 2040.
func firstID(now time.Time) int64 {
	const since = 1_700_000_000_000 // Unix milliseconds
	return max(100_000, (now.UnixMilli()-since)/250)
}

func (r *Registry) newID() int64 {
	r.nextID++
	return r.nextID
}

// Sweep removes the entries that have expired.
func (r *Registry) Sweep(now time.Time) {
	for e := r.idle.Front(); e != nil && !e.Value.(*Session).Expires().After(now); e = r.idle.Front() {
		r.Close(e.Value.(*Session))
	}
	for e := r.guests.Front(); e != nil && !e.Value.(*User).Created.Add(guestLife).After(now); e = r.guests.Front() {
		r.Remove(e.Value.(*User))
	}
}

// Expires returns the time at which the session ends if it is not used.
func (s *Session) Expires() time.Time {
	if s.User != nil && s.User.IsGuest {
		return s.User.Created.Add(guestLife)
	}
	return s.Used.Add(sessionLife)
}

// Use finds the live session of a token and extends it.
func (r *Registry) Use(token string, now time.Time) (*Session, error) {
	r.Sweep(now)
	if token == "" {
		return nil, ErrTokenRequired
	}
	s := r.Holder(token)
	if s == nil {
		return nil, errSessionDead
	}
	s.Used = now
	if s.place != nil {
		r.idle.MoveToBack(s.place)
	}
	if s.User != nil {
		s.User.LastRequest = now
	}
	return s, nil
}

// Holder finds the session of a token without extending it; nil if there is none.
// It finds expired sessions until the next sweep.
func (r *Registry) Holder(token string) *Session {
	s := r.sessions[hashToken(token)]
	if s != nil {
		s.Token = token
	}
	return s
}

// Open creates a session; u is nil for an application session.
func (r *Registry) Open(u *User, now time.Time) *Session {
	r.Sweep(now)
	for len(r.sessions) >= r.maxSessions {
		r.evict()
	}
	s := &Session{
		Token:   strings.ToUpper(RandomHex(18)),
		ID:      r.newID(),
		Created: now,
		Used:    now,
	}
	s.key = hashToken(s.Token)
	r.sessions[s.key] = s
	s.place = r.idle.PushBack(s)
	r.Attach(s, u)
	return s
}

// evict ends the session that was unused for the longest time, or a guest if there
// are only guests.
func (r *Registry) evict() {
	if e := r.idle.Front(); e != nil {
		r.Close(e.Value.(*Session))
		return
	}
	r.Remove(r.guests.Front().Value.(*User))
}

// Attach sets the user of a session; nil removes the user.
func (r *Registry) Attach(s *Session, u *User) {
	if s.User != nil {
		delete(s.User.sessions, s)
	}
	s.User = u
	if u != nil {
		u.sessions[s] = struct{}{}
	}
	guest := u != nil && u.IsGuest
	switch {
	case guest && s.place != nil:
		r.idle.Remove(s.place)
		s.place = nil
	case !guest && s.place == nil:
		s.place = r.idle.PushBack(s)
	}
}

// Close ends a session.
func (r *Registry) Close(s *Session) {
	if s.User != nil {
		delete(s.User.sessions, s)
	}
	if s.place != nil {
		r.idle.Remove(s.place)
	}
	delete(r.sessions, s.key)
	s.Closed = true
}

// Add stores a new user, unless the registry is full or a unique value is in use.
func (r *Registry) Add(u *User, now time.Time) error {
	r.Sweep(now)
	if err := r.conflict(u, u.Profile); err != nil {
		return err
	}
	if len(r.Users) >= r.maxUsers || r.bytes+u.weight() > r.maxBytes {
		return errFull
	}
	r.NextUser++
	u.ID = r.NextUser
	r.put(u, now)
	return nil
}

// put stores a user that has an ID.
func (r *Registry) put(u *User, now time.Time) {
	u.OID = RandomHex(12)
	u.Created, u.Updated = now, now
	u.sessions = map[*Session]struct{}{}
	r.Users[u.ID] = u
	r.index(u)
	if u.IsGuest {
		u.place = r.guests.PushBack(u)
	}
}

// Change replaces a stored user's profile, unless a unique value is in use.
func (r *Registry) Change(u *User, to Profile, now time.Time) error {
	if err := r.conflict(u, to); err != nil {
		return err
	}
	if more := to.weight() - u.weight(); more > 0 && r.bytes+more > r.maxBytes {
		return errFull
	}
	r.unindex(u)
	u.Profile, u.Updated = to, now
	r.index(u)
	return nil
}

// Remove deletes the user and ends its sessions.
func (r *Registry) Remove(u *User) {
	for s := range u.sessions {
		r.Close(s)
	}
	r.unindex(u)
	delete(r.Users, u.ID)
	if u.place != nil {
		r.guests.Remove(u.place)
	}
	r.removed(u)
}

// conflict returns an error that names every unique field of p that another user has.
func (r *Registry) conflict(u *User, p Profile) error {
	var texts []string
	for _, unique := range []struct {
		field, value string
		in           map[string]*User
	}{
		{"login", p.Login, r.ByLogin},
		{"email", p.Email, r.ByEmail},
		{"external_id", p.ExternalID, r.ByExternal},
	} {
		if other := unique.in[unique.value]; unique.value != "" && other != nil && other != u {
			texts = append(texts, unique.field+" must be unique")
		}
	}
	if len(texts) > 0 {
		return AsBase(422, texts...)
	}
	return nil
}

// FindNamed finds the user with the login or email of a login request; nil if there is none.
func (r *Registry) FindNamed(fields Params) *User {
	if u := r.ByLogin[fields.Text("login")]; u != nil {
		return u
	}
	return r.ByEmail[NormalEmail(fields.Text("email"))]
}

func (r *Registry) index(u *User) {
	r.bytes += u.weight()
	for value, in := range u.keys(r) {
		in[value] = u
	}
}

func (r *Registry) unindex(u *User) {
	r.bytes -= u.weight()
	for value, in := range u.keys(r) {
		delete(in, value)
	}
}

// keys yields the user's unique values, each with its index.
func (u *User) keys(r *Registry) func(yield func(string, map[string]*User) bool) {
	return func(yield func(string, map[string]*User) bool) {
		_ = (u.Login == "" || yield(u.Login, r.ByLogin)) &&
			(u.Email == "" || yield(u.Email, r.ByEmail)) &&
			(u.ExternalID == "" || yield(u.ExternalID, r.ByExternal))
	}
}
