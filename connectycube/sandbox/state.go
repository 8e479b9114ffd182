package sandbox

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

const (
	maxListed    = 1000 // entries of each list of a State but the users'
	maxOccupants = 100  // of one dialog that are listed
	maxExcerpt   = 500  // bytes of a message
)

// State is what the sandbox holds, without secrets. Lists are in the order in
// which things came to be, dialogs in that in which something happened in them;
// all but Users hold the latest thousand at most.
type State struct {
	Users    []UserState `json:"users"`
	Sessions int         `json:"sessions"` // how many live

	LiveSessions []SessionState `json:"live_sessions"`
	Dialogs      []DialogState  `json:"dialogs"`
	Messages     []MessageState `json:"messages"`
	Sockets      []SocketState  `json:"sockets"` // by user
	Devices      []DeviceState  `json:"devices"` // that pushes go to
	Totals       Totals         `json:"totals"`
	Clock        ClockState     `json:"clock"`
}

// Totals says how much there is, listed or not.
type Totals struct {
	Users    int `json:"users"`
	Dialogs  int `json:"dialogs"`
	Messages int `json:"messages"`
	Sockets  int `json:"sockets"`
}

// UserState is one user of State.
type UserState struct {
	ID         int64   `json:"id"`
	Email      *string `json:"email"`
	Login      *string `json:"login"`
	ExternalID *string `json:"external_id"`
	FullName   *string `json:"full_name"`
}

// SessionState is one session of State, without its token.
type SessionState struct {
	ID      int64     `json:"id"`
	UserID  int64     `json:"user_id,omitempty"` // 0: an application session
	Guest   bool      `json:"guest,omitempty"`
	Created time.Time `json:"created_at"`
	Used    time.Time `json:"used_at"`
	Expires time.Time `json:"expires_at"`
}

// DialogState is one dialog of State.
type DialogState struct {
	ID        string    `json:"id"`
	Type      int       `json:"type"` // 1 broadcast, 2 group, 3 private, 4 public
	Name      *string   `json:"name"`
	OwnerID   int64     `json:"owner_id"`
	Occupants []int64   `json:"occupants_ids"` // the first hundred
	Count     int       `json:"occupants_count"`
	Messages  int       `json:"messages_count"`
	Updated   time.Time `json:"updated_at"`
}

// MessageState is one message of State.
type MessageState struct {
	ID          string    `json:"id"`
	DialogID    string    `json:"dialog_id"`
	SenderID    int64     `json:"sender_id"`
	Text        string    `json:"message"` // cut
	Attachments int       `json:"attachments_count"`
	Status      string    `json:"status"` // sent, delivered or read
	Sent        time.Time `json:"sent_at"`
}

// SocketState is one connection of the chat.
type SocketState struct {
	UserID    int64     `json:"user_id"`
	Resource  string    `json:"resource"`
	Address   string    `json:"address"`
	Since     time.Time `json:"since"`     // real time
	Available bool      `json:"available"` // presence was sent
	Inactive  bool      `json:"inactive"`  // the app says that it is in the background
	Managed   bool      `json:"managed"`   // stream management is on
	Waiting   bool      `json:"waiting"`   // lost, but may still be resumed
	Queued    int       `json:"queued"`    // stanzas not written yet
	Unacked   int       `json:"unacked"`   // stanzas written and not acknowledged
}

// DeviceState is one push subscription.
type DeviceState struct {
	ID       int64  `json:"id"`
	UserID   int64  `json:"user_id"`
	Platform string `json:"platform"`
	UDID     string `json:"udid"`
}

// State reports who exists, what lives and what was said.
func (s *Application) State() State { return s.StateUpTo(0, maxListed) }

// StateUpTo gives at most so many of each list, the newest; 0 users means all.
func (s *Application) StateUpTo(users, most int) State {
	sockets := s.sockets() // not under the lock: the chat has its own
	s.mu.Lock()
	defer s.mu.Unlock()
	s.registry.sweep(s.Now())
	state := State{
		Users:        s.registry.userStates(users),
		Sessions:     len(s.registry.sessions),
		LiveSessions: s.registry.sessionStates(most),
		Dialogs:      s.archive.dialogStates(most),
		Messages:     s.archive.messageStates(most),
		Sockets:      []SocketState{},
		Devices:      s.subscriptions.states(most),
		Totals:       Totals{len(s.registry.users), len(s.archive.dialogs), len(s.archive.messages), len(sockets)},
		Clock:        s.Clock(),
	}
	for _, c := range newest(sockets, most) {
		c.Since = shown(c.Since)
		state.Sockets = append(state.Sockets, c)
	}
	return state
}

func (a *archive) dialogStates(most int) []DialogState {
	states := []DialogState{}
	for e := a.active.Back(); e != nil && len(states) < most; e = e.Prev() {
		d := e.Value.(*dialog)
		states = append(states, DialogState{
			ID: d.id, Type: int(d.kind), Name: orNull(d.name), OwnerID: d.owner,
			Occupants: d.occupants[:min(len(d.occupants), maxOccupants)].list(),
			Count:     len(d.occupants),
			Messages:  len(d.messages),
			Updated:   shown(d.updated),
		})
	}
	slices.Reverse(states)
	return states
}

func (a *archive) messageStates(most int) []MessageState {
	states := []MessageState{}
	for e := a.history.Back(); e != nil && len(states) < most; e = e.Prev() {
		m := e.Value.(*message)
		states = append(states, MessageState{
			ID: m.id, DialogID: m.dialog.id, SenderID: m.sender, Status: m.status(),
			Text:        clean(m.body[:min(len(m.body), maxExcerpt)]),
			Attachments: len(m.attachments),
			Sent:        shown(m.created),
		})
	}
	slices.Reverse(states)
	return states
}

// shown is a time as the control area writes it.
func shown(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func (r *registry) userStates(most int) []UserState {
	ordered := slices.SortedFunc(maps.Values(r.users), func(a, b *user) int { return cmp.Compare(a.id, b.id) })
	states := make([]UserState, 0, len(ordered))
	for _, u := range newest(ordered, most) {
		states = append(states, UserState{
			ID:         u.id,
			Email:      orNull(u.email),
			Login:      orNull(u.login),
			ExternalID: orNull(u.externalID),
			FullName:   orNull(u.fullName),
		})
	}
	return states
}

func (r *registry) sessionStates(most int) []SessionState {
	ordered := slices.SortedFunc(maps.Values(r.sessions), func(a, b *session) int { return cmp.Compare(a.id, b.id) })
	states := []SessionState{}
	for _, live := range newest(ordered, most) {
		one := SessionState{ID: live.id, Created: shown(live.created), Used: shown(live.used), Expires: shown(live.expires())}
		if live.user != nil {
			one.UserID, one.Guest = live.user.id, live.user.isGuest
		}
		states = append(states, one)
	}
	return states
}

// newest is the end of an ordered list; 0 means all of it.
func newest[T any](ordered []T, most int) []T {
	if most == 0 || len(ordered) <= most {
		return ordered
	}
	return ordered[len(ordered)-most:]
}

// Reset makes the sandbox what New made it: nobody there, the CIdP of its
// Options, no sockets, faults, files or journal, and the clock at real time. Only
// ids count on, so that an app under test cannot take one user for another, and
// Settings stay.
func (s *Application) Reset() {
	empty := s.fresh()
	s.mu.Lock()
	for id := range s.registry.users {
		s.chat.Kick(id)
	}
	empty.registry.nextUser = max(empty.registry.nextUser, s.registry.nextUser)
	empty.registry.nextID = max(empty.registry.nextID, s.registry.nextID)
	s.contents = empty
	s.outgoing.clear()
	s.subscriptions.clear()
	s.bucket.clear()
	s.ahead.Store(0)
	s.mu.Unlock()
	s.chat.Forgive()
	s.journal.clear()
	s.changed()
}
