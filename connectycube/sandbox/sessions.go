package sandbox

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// sessionJSON is the session as clients see it.
type sessionJSON struct {
	ApplicationID int64     `json:"application_id"`
	Token         string    `json:"token"`
	CreatedAt     string    `json:"created_at"`
	UpdatedAt     string    `json:"updated_at"`
	TS            any       `json:"ts"`
	Nonce         any       `json:"nonce,omitempty"`
	UserID        *int64    `json:"user_id"`
	ID            int64     `json:"id"`
	User          *userJSON `json:"user,omitempty"`
}

// millis is how sessions write dates; users and the rest do without fractions.
const millis = "2006-01-02T15:04:05.000Z"

func (s *Sandbox) sessionBody(live *session) any {
	out := sessionJSON{
		ApplicationID: s.appID,
		Token:         live.token,
		CreatedAt:     live.created.UTC().Format(millis),
		UpdatedAt:     live.used.UTC().Format(millis),
		TS:            live.ts,
		Nonce:         live.nonce,
		ID:            live.id,
	}
	if live.user != nil {
		u := live.user.public()
		out.UserID, out.ID, out.User = &u.ID, u.ID, &u
	}
	return map[string]any{"session": out}
}

// createSession is the decision table of POST /session, in its order.
func (s *Sandbox) createSession(q *request) (reply, error) {
	if id, ok := q.params.integer("application_id"); !ok || id != s.appID {
		return reply{}, errNoApplication
	}
	if !s.ownKey(q.params.text("auth_key")) {
		return reply{}, errWrongKey
	}
	if q.params.text("provider") != "" {
		return reply{}, errNotImitated
	}
	who := q.params.object("user")
	if len(who) == 0 {
		return s.startSession(q, nil)
	}
	if guest := who.text("guest"); guest == "1" || guest == "true" {
		u, err := s.createGuest(who, q.now)
		if err != nil {
			return reply{}, err
		}
		return s.startSession(q, u)
	}
	u, err := s.identify(q, who)
	if err != nil {
		return reply{}, err
	}
	return s.startSession(q, u)
}

// startSession opens the session of u, or without a user. A user that was
// deleted since it was identified gets none.
func (s *Sandbox) startSession(q *request, u *user) (reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u != nil && s.registry.users[u.id] != u {
		return reply{}, errUserNotFound
	}
	live := s.registry.open(u, q.now)
	live.nonce = number(q.params.text("nonce"))
	if live.ts = number(q.params.text("timestamp")); live.ts == nil {
		live.ts = q.now.Unix()
	}
	return reply{http.StatusCreated, s.sessionBody(live), live.expires()}, nil
}

// number echoes what looks like a number, which is all SDKs send here.
func number(text string) any {
	if _, err := strconv.ParseInt(text, 10, 64); err != nil {
		return nil
	}
	return json.Number(strings.TrimPrefix(text, "+"))
}

func (s *Sandbox) ownKey(key string) bool {
	return subtle.ConstantTimeCompare([]byte(key), []byte(s.authKey)) == 1
}

// identify finds out who logs in: by the identity provider when the application
// has one, else by password. It takes the lock itself and holds none while it
// asks the provider.
func (s *Sandbox) identify(q *request, who params) (*user, error) {
	if strings.TrimSpace(who.text("password")) == "" {
		return nil, errBlankPassword
	}
	s.mu.Lock()
	provider := s.cidp
	s.mu.Unlock()
	if provider.Enabled {
		return s.identifyByProvider(q, provider, who)
	}
	return s.identifyByPassword(q, who)
}

func (s *Sandbox) identifyByPassword(q *request, who params) (*user, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.registry.sweep(q.now)
	u := s.registry.byLogin[who.text("login")]
	if u == nil {
		u = s.registry.byEmail[normalEmail(who.text("email"))]
	}
	switch {
	case u != nil && u.checkPassword(who.text("password")):
		return u, nil
	case u != nil:
		return nil, errWrongPassword
	case s.denyCreate:
		return nil, errUserNotFound
	}
	only := params{"password": who.text("password")} // a profile sent along is not used
	for _, key := range []string{"login", "email"} {
		if who.has(key) {
			only[key] = who.text(key)
		}
	}
	return s.createUser(only, q.now)
}

func getSession(s *Sandbox, _ *request, live *session) (reply, error) {
	return reply{status: http.StatusOK, body: s.sessionBody(live)}, nil
}

func deleteSession(s *Sandbox, _ *request, live *session) (reply, error) {
	s.registry.close(live)
	return reply{status: http.StatusOK}, nil
}

// login gives an application session a user. The token stays the same.
func (s *Sandbox) login(q *request) (reply, error) {
	if _, err := s.useToken(q); err != nil {
		return reply{}, err
	}
	if q.params.text("provider") != "" {
		return reply{}, errNotImitated
	}
	u, err := s.identify(q, q.params)
	if err != nil {
		return reply{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	live, err := s.registry.use(q.token, time.Now()) // the provider may have taken its time
	if err != nil {
		return reply{}, err
	}
	if s.registry.users[u.id] != u {
		return reply{}, errUserNotFound
	}
	s.registry.attach(live, u)
	return reply{http.StatusAccepted, map[string]any{"user": u.public()}, live.expires()}, nil
}

func (s *Sandbox) useToken(q *request) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.registry.use(q.token, q.now)
}

func logout(s *Sandbox, _ *request, live *session) (reply, error) {
	s.registry.attach(live, nil)
	return reply{status: http.StatusOK}, nil
}
