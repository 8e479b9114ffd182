package sandbox

import (
	"container/list"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

const (
	sessionLife = 2 * time.Hour  // after the last use (doc server/auth)
	guestLife   = 24 * time.Hour // after creation, user and sessions alike (doc)

	maxUserBytes = 256 << 20 // of all users: 2.6 KiB for each of the 100,000 of the default
)

// registry holds users and sessions with their indexes. The Application's lock
// guards it. What has expired is removed before anything is read, in constant
// time on average: both lists are ordered by the moment their entries end.
type registry struct {
	maxUsers    int
	maxBytes    int // of all users, as profile.weight counts them
	maxSessions int
	nextUser    int64
	nextID      int64       // of all else
	removed     func(*user) // is told of users that were removed; may not call the registry

	bytes      int
	users      map[int64]*user
	byLogin    map[string]*user
	byEmail    map[string]*user
	byExternal map[string]*user
	sessions   map[tokenHash]*session

	idle   *list.List // *session of no guest, longest unused first
	guests *list.List // *user, oldest first
}

type user struct {
	profile
	id          int64
	oid         string // 24 hex digits; clients have no use for it
	isGuest     bool
	credential  credential
	created     time.Time
	updated     time.Time
	lastRequest time.Time
	sessions    map[*session]struct{}
	place       *list.Element // in guests
}

// tokenHash stands for a token wherever it is kept, so that no file of the
// sandbox can be used to log in.
type tokenHash [sha256.Size]byte

func hashToken(token string) tokenHash { return sha256.Sum256([]byte(token)) }

type session struct {
	token   string // "" after a restart, until it is shown again
	key     tokenHash
	id      int64 // shown while there is no user
	user    *user // nil in an application session
	nonce   any
	ts      any
	created time.Time
	used    time.Time
	closed  bool
	place   *list.Element // in idle, unless the user is a guest
}

func newRegistry(maxUsers, maxSessions int) registry {
	return registry{
		maxUsers:    maxUsers,
		maxBytes:    maxUserBytes,
		maxSessions: maxSessions,
		nextUser:    firstID(time.Now()),
		nextID:      firstID(time.Now()),
		removed:     func(*user) {},
		users:       map[int64]*user{},
		byLogin:     map[string]*user{},
		byEmail:     map[string]*user{},
		byExternal:  map[string]*user{},
		sessions:    map[tokenHash]*session{},
		idle:        list.New(),
		guests:      list.New(),
	}
}

func randomHex(bytes int) string {
	raw := make([]byte, bytes)
	rand.Read(raw) // never fails, by its documentation
	return hex.EncodeToString(raw)
}

// firstID is where ids begin: four for each second since 2023, so that a
// sandbox made later does not hand out the ids of an earlier one again, unless
// that made users faster. It is less than 2^31, which SDKs for phones need,
// until 2040.
func firstID(now time.Time) int64 {
	const since = 1_700_000_000_000 // Unix milliseconds
	return max(100_000, (now.UnixMilli()-since)/250)
}

func (r *registry) newID() int64 {
	r.nextID++
	return r.nextID
}

// sweep removes what has ended by now.
func (r *registry) sweep(now time.Time) {
	for e := r.idle.Front(); e != nil && !e.Value.(*session).expires().After(now); e = r.idle.Front() {
		r.close(e.Value.(*session))
	}
	for e := r.guests.Front(); e != nil && !e.Value.(*user).created.Add(guestLife).After(now); e = r.guests.Front() {
		r.remove(e.Value.(*user))
	}
}

// expires says when the session ends if nobody uses it.
func (s *session) expires() time.Time {
	if s.user != nil && s.user.isGuest {
		return s.user.created.Add(guestLife)
	}
	return s.used.Add(sessionLife)
}

// use finds the live session of a token and prolongs it.
func (r *registry) use(token string, now time.Time) (*session, error) {
	r.sweep(now)
	if token == "" {
		return nil, errTokenRequired
	}
	s := r.holder(token)
	if s == nil {
		return nil, errSessionDead
	}
	s.used = now
	if s.place != nil {
		r.idle.MoveToBack(s.place)
	}
	if s.user != nil {
		s.user.lastRequest = now
	}
	return s, nil
}

// holder finds the session of a token without prolonging it; nil when there is
// none. Sessions that have ended are found until the next sweep.
func (r *registry) holder(token string) *session {
	s := r.sessions[hashToken(token)]
	if s != nil {
		s.token = token
	}
	return s
}

// open makes a session; u is nil for an application session.
func (r *registry) open(u *user, now time.Time) *session {
	r.sweep(now)
	for len(r.sessions) >= r.maxSessions {
		r.evict()
	}
	s := &session{
		token:   strings.ToUpper(randomHex(18)),
		id:      r.newID(),
		created: now,
		used:    now,
	}
	s.key = hashToken(s.token)
	r.sessions[s.key] = s
	s.place = r.idle.PushBack(s)
	r.attach(s, u)
	return s
}

// evict ends the session that was unused for longest, or a guest if there are
// only guests.
func (r *registry) evict() {
	if e := r.idle.Front(); e != nil {
		r.close(e.Value.(*session))
		return
	}
	r.remove(r.guests.Front().Value.(*user))
}

// attach gives the session another user, or none.
func (r *registry) attach(s *session, u *user) {
	if s.user != nil {
		delete(s.user.sessions, s)
	}
	s.user = u
	if u != nil {
		u.sessions[s] = struct{}{}
	}
	guest := u != nil && u.isGuest
	switch {
	case guest && s.place != nil:
		r.idle.Remove(s.place)
		s.place = nil
	case !guest && s.place == nil:
		s.place = r.idle.PushBack(s)
	}
}

func (r *registry) close(s *session) {
	if s.user != nil {
		delete(s.user.sessions, s)
	}
	if s.place != nil {
		r.idle.Remove(s.place)
	}
	delete(r.sessions, s.key)
	s.closed = true
}

// add stores a new user, unless the registry is full or a name is taken.
func (r *registry) add(u *user, now time.Time) error {
	r.sweep(now)
	if err := r.conflict(u, u.profile); err != nil {
		return err
	}
	if len(r.users) >= r.maxUsers || r.bytes+u.weight() > r.maxBytes {
		return errFull
	}
	r.nextUser++
	u.id = r.nextUser
	r.put(u, now)
	return nil
}

// put stores a user that has its id.
func (r *registry) put(u *user, now time.Time) {
	u.oid = randomHex(12)
	u.created, u.updated = now, now
	u.sessions = map[*session]struct{}{}
	r.users[u.id] = u
	r.index(u)
	if u.isGuest {
		u.place = r.guests.PushBack(u)
	}
}

// change gives a stored user another profile, unless a name is taken.
func (r *registry) change(u *user, to profile, now time.Time) error {
	if err := r.conflict(u, to); err != nil {
		return err
	}
	if more := to.weight() - u.weight(); more > 0 && r.bytes+more > r.maxBytes {
		return errFull
	}
	r.unindex(u)
	u.profile, u.updated = to, now
	r.index(u)
	return nil
}

// remove deletes the user and ends its sessions.
func (r *registry) remove(u *user) {
	for s := range u.sessions {
		r.close(s)
	}
	r.unindex(u)
	delete(r.users, u.id)
	if u.place != nil {
		r.guests.Remove(u.place)
	}
	r.removed(u)
}

// conflict reports every unique field of p that another user than u has.
func (r *registry) conflict(u *user, p profile) error {
	var texts []string
	for _, unique := range []struct {
		field, value string
		in           map[string]*user
	}{
		{"login", p.login, r.byLogin},
		{"email", p.email, r.byEmail},
		{"external_id", p.externalID, r.byExternal},
	} {
		if other := unique.in[unique.value]; unique.value != "" && other != nil && other != u {
			texts = append(texts, unique.field+" must be unique")
		}
	}
	if len(texts) > 0 {
		return asBase(422, texts...)
	}
	return nil
}

// named finds the user whom the fields of a login name; nil when there is none.
func (r *registry) named(fields params) *user {
	if u := r.byLogin[fields.text("login")]; u != nil {
		return u
	}
	return r.byEmail[normalEmail(fields.text("email"))]
}

func (r *registry) index(u *user) {
	r.bytes += u.weight()
	for value, in := range u.keys(r) {
		in[value] = u
	}
}

func (r *registry) unindex(u *user) {
	r.bytes -= u.weight()
	for value, in := range u.keys(r) {
		delete(in, value)
	}
}

// keys yields the user's unique values, each with the index it belongs to.
func (u *user) keys(r *registry) func(yield func(string, map[string]*user) bool) {
	return func(yield func(string, map[string]*user) bool) {
		_ = (u.login == "" || yield(u.login, r.byLogin)) &&
			(u.email == "" || yield(u.email, r.byEmail)) &&
			(u.externalID == "" || yield(u.externalID, r.byExternal))
	}
}
