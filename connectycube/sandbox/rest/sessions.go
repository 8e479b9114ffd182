package rest

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"

	"cubegate/connectycube/sandbox/core"
)

// sessionJSON is a session in an answer.
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

// millis is the date format of sessions (docs/connectycube.md, Sessions).
const millis = "2006-01-02T15:04:05.000Z"

func (s *API) sessionBody(live *core.Session) any {
	out := sessionJSON{
		ApplicationID: s.AppID,
		Token:         live.Token,
		CreatedAt:     live.Created.UTC().Format(millis),
		UpdatedAt:     live.Used.UTC().Format(millis),
		TS:            live.TS,
		Nonce:         live.Nonce,
		ID:            live.ID,
	}
	if live.User != nil {
		u := userBody(live.User)
		out.UserID, out.ID, out.User = &u.ID, u.ID, &u
	}
	return map[string]any{"session": out}
}

// createSession answers POST /session. The order of its checks is assumed.
func (s *API) createSession(q *request) (reply, error) {
	if id, ok := q.params.Integer("application_id"); !ok || id != s.AppID {
		return reply{}, errNoApplication
	}
	if !s.ownKey(q.params.Text("auth_key")) {
		return reply{}, errWrongKey
	}
	c, named, err := s.claimOf(q)
	if err != nil {
		return reply{}, err
	}
	s.Lock()
	defer s.Unlock()
	if !named {
		return s.startSession(q, nil)
	}
	u, err := s.userOf(c)
	if err != nil {
		return reply{}, err
	}
	return s.startSession(q, u)
}

// claimOf reads the user of a session request; named is false for an application session.
func (s *API) claimOf(q *request) (c claim, named bool, err error) {
	if q.params.Text("provider") != "" {
		return socialClaim(q.params)
	}
	fields := q.params.Object("user")
	if len(fields) == 0 {
		return claim{}, false, nil
	}
	if fields.Flag("guest") {
		return claim{fields, asGuest}, true, nil
	}
	c, err = s.prove(q, fields, http.StatusOK)
	return c, true, err
}

// startSession opens the session of u, or one without a user. The caller holds the lock.
func (s *API) startSession(q *request, u *core.User) (reply, error) {
	live := s.Registry.Open(u, s.Now())
	live.Nonce = number(q.params.Text("nonce"))
	if live.TS = number(q.params.Text("timestamp")); live.TS == nil {
		live.TS = q.now.Unix()
	}
	return reply{http.StatusCreated, s.sessionBody(live), live.Expires()}, nil
}

// number echoes a number, which is all that SDKs send here.
func number(text string) any {
	n, ok := core.Whole(text)
	if !ok {
		return nil
	}
	return n
}

func (s *API) ownKey(key string) bool {
	return subtle.ConstantTimeCompare([]byte(key), []byte(s.AuthKey)) == 1
}

// claim is the proof of identity in a login so far.
type claim struct {
	fields core.Params
	kind   claimKind
}

type claimKind int

const (
	byPassword claimKind = iota // fields are the request's; not checked yet
	byProvider                  // fields are the identity provider's answer
	bySocial                    // fields are the token's claims, which are never checked
	asGuest                     // fields are the request's; need no check
)

// prove does the part of a login that runs without the lock: it asks the identity
// provider, if the application has one, and else computes argon2id. status2020 is the
// status of a provider's refusal with core.Answers2020.
func (s *API) prove(q *request, fields core.Params, status2020 int) (claim, error) {
	if strings.TrimSpace(fields.Text("password")) == "" {
		return claim{}, core.ErrBlankPassword
	}
	provider := s.Provider()
	if !provider.Enabled {
		return claim{fields, byPassword}, s.Recall(q.ctx, func() *core.User { return s.Registry.FindNamed(fields) }, fields.Text("password"))
	}
	mapped, err := s.askProvider(q.ctx, provider, fields)
	if failure, ok := errors.AsType[*providerFailure](err); ok {
		err = failure.refusal()
		if provider.Answers == core.Answers2020 {
			err = failure.refusalOf2020(status2020)
		}
	}
	return claim{mapped, byProvider}, err
}

// userOf finds or creates the user of a claim, who must not be disabled. The caller
// holds the lock until the user has its session, so that the user cannot be deleted
// before.
func (s *API) userOf(c claim) (*core.User, error) {
	u, err := s.claimant(c)
	if err == nil && u.IsDisabled {
		return nil, core.ErrDisabled
	}
	return u, err
}

func (s *API) claimant(c claim) (*core.User, error) {
	now := s.Now() // the provider may have taken a while
	s.Registry.Sweep(now)
	switch c.kind {
	case asGuest:
		return s.CreateGuest(c.fields, now)
	case bySocial:
		return s.userOfSocial(c.fields, now)
	case byProvider:
		return s.UserOfProvider(c.fields, now)
	}
	return s.UserByPassword(c.fields, now)
}

func getSession(s *API, _ *request, live *core.Session) (reply, error) {
	return reply{status: http.StatusOK, body: s.sessionBody(live)}, nil
}

func deleteSession(s *API, _ *request, live *core.Session) (reply, error) {
	s.Registry.Close(live)
	return reply{status: http.StatusOK}, nil
}

// login sets the user of an application session. The token stays the same.
func (s *API) login(q *request) (reply, error) {
	if err := s.checkToken(q); err != nil {
		return reply{}, err
	}
	c, err := s.loginClaim(q)
	if err != nil {
		return reply{}, err
	}
	s.Lock()
	defer s.Unlock()
	live, err := s.Registry.Use(q.token, s.Now()) // it may have expired while the provider was asked
	if err != nil {
		return reply{}, err
	}
	u, err := s.userOf(c)
	if err != nil {
		return reply{}, err
	}
	s.Registry.Attach(live, u)
	return reply{http.StatusAccepted, map[string]any{"user": userBody(u)}, live.Expires()}, nil
}

// loginClaim is claimOf for POST /login, whose fields are flat.
func (s *API) loginClaim(q *request) (claim, error) {
	if q.params.Text("provider") == "" {
		return s.prove(q, q.params, http.StatusUnprocessableEntity)
	}
	c, named, err := socialClaim(q.params)
	if err == nil && !named {
		err = errBlankToken
	}
	return c, err
}

func (s *API) checkToken(q *request) error {
	s.Lock()
	defer s.Unlock()
	_, err := s.Registry.Use(q.token, q.now)
	return err
}

func logout(s *API, _ *request, live *core.Session) (reply, error) {
	s.Registry.Attach(live, nil)
	return reply{status: http.StatusOK}, nil
}
