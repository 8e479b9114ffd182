package core

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

const (
	MaxListed    = 1000 // entries of each list of a State, except users
	maxOccupants = 100  // listed of one dialog
	maxExcerpt   = 500  // bytes of a message
)

// State is the content of the sandbox, without secrets. Lists are ordered by
// creation, dialogs by their last activity. All except Users hold at most the
// latest thousand entries.
type State struct {
	Users    []UserState `json:"users"`
	Sessions int         `json:"sessions"` // number of live sessions

	LiveSessions []SessionState `json:"live_sessions"`
	Dialogs      []DialogState  `json:"dialogs"`
	Messages     []MessageState `json:"messages"`
	Sockets      []SocketState  `json:"sockets"` // by user
	Devices      []DeviceState  `json:"devices"` // that receive pushes
	Totals       Totals         `json:"totals"`
	Clock        ClockState     `json:"clock"`
}

// Totals counts all entries, listed or not.
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
	Disabled   bool    `json:"disabled,omitempty"`
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
	Text        string    `json:"message"` // shortened
	Attachments int       `json:"attachments_count"`
	Status      string    `json:"status"` // sent, delivered or read
	Sent        time.Time `json:"sent_at"`
}

// SocketState is one connection of the chat.
type SocketState struct {
	UserID    int64     `json:"user_id"`
	Resource  string    `json:"resource"`
	Peer      string    `json:"address"`   // IP and port of the client
	Since     time.Time `json:"since"`     // real time
	Available bool      `json:"available"` // the client has sent presence
	Inactive  bool      `json:"inactive"`  // the app is in the background
	Managed   bool      `json:"managed"`   // stream management is on
	Waiting   bool      `json:"waiting"`   // lost, but the client may still resume it
	Queued    int       `json:"queued"`    // stanzas not yet written
	Unacked   int       `json:"unacked"`   // stanzas written and not acknowledged
}

// DeviceState is one push subscription.
type DeviceState struct {
	ID       int64  `json:"id"`
	UserID   int64  `json:"user_id"`
	Platform string `json:"platform"`
	UDID     string `json:"udid"`
}

// State returns the content of the sandbox.
func (s *Application) State() State { return s.StateUpTo(0, MaxListed) }

// StateUpTo returns at most the newest entries of each list: users users (0 means
// all) and most of the others.
func (s *Application) StateUpTo(users, most int) State {
	sockets := s.sockets() // without the lock: the chat has its own
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Registry.Sweep(s.Now())
	state := State{
		Users:        s.Registry.userStates(users),
		Sessions:     len(s.Registry.sessions),
		LiveSessions: s.Registry.sessionStates(most),
		Dialogs:      s.Archive.dialogStates(most),
		Messages:     s.Archive.messageStates(most),
		Sockets:      []SocketState{},
		Devices:      s.Subscriptions.states(most),
		Totals:       Totals{len(s.Registry.Users), len(s.Archive.Dialogs), len(s.Archive.Messages), len(sockets)},
		Clock:        s.Clock(),
	}
	for _, c := range newest(sockets, most) {
		c.Since = shown(c.Since)
		state.Sockets = append(state.Sockets, c)
	}
	return state
}

func (a *Archive) dialogStates(most int) []DialogState {
	states := []DialogState{}
	for e := a.active.Back(); e != nil && len(states) < most; e = e.Prev() {
		d := e.Value.(*Dialog)
		states = append(states, DialogState{
			ID: d.ID, Type: int(d.Kind), Name: OrNull(d.Name), OwnerID: d.Owner,
			Occupants: d.Occupants[:min(len(d.Occupants), maxOccupants)].List(),
			Count:     len(d.Occupants),
			Messages:  len(d.Messages),
			Updated:   shown(d.Updated),
		})
	}
	slices.Reverse(states)
	return states
}

func (a *Archive) messageStates(most int) []MessageState {
	states := []MessageState{}
	for e := a.history.Back(); e != nil && len(states) < most; e = e.Prev() {
		m := e.Value.(*Message)
		states = append(states, MessageState{
			ID: m.ID, DialogID: m.Dialog.ID, SenderID: m.Sender, Status: m.Status(),
			Text:        ValidText(m.Body[:min(len(m.Body), maxExcerpt)]),
			Attachments: len(m.Attachments),
			Sent:        shown(m.Created),
		})
	}
	slices.Reverse(states)
	return states
}

// shown returns a time as the control area writes it.
func shown(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func (r *Registry) userStates(most int) []UserState {
	ordered := slices.SortedFunc(maps.Values(r.Users), func(a, b *User) int { return cmp.Compare(a.ID, b.ID) })
	states := make([]UserState, 0, len(ordered))
	for _, u := range newest(ordered, most) {
		states = append(states, u.state())
	}
	return states
}

func (u *User) state() UserState {
	return UserState{
		ID:         u.ID,
		Email:      OrNull(u.Email),
		Login:      OrNull(u.Login),
		ExternalID: OrNull(u.ExternalID),
		FullName:   OrNull(u.FullName),
		Disabled:   u.IsDisabled,
	}
}

func (r *Registry) sessionStates(most int) []SessionState {
	ordered := slices.SortedFunc(maps.Values(r.sessions), func(a, b *Session) int { return cmp.Compare(a.ID, b.ID) })
	states := []SessionState{}
	for _, live := range newest(ordered, most) {
		states = append(states, live.state())
	}
	return states
}

func (s *Session) state() SessionState {
	one := SessionState{ID: s.ID, Created: shown(s.Created), Used: shown(s.Used), Expires: shown(s.Expires())}
	if s.User != nil {
		one.UserID, one.Guest = s.User.ID, s.User.IsGuest
	}
	return one
}

// newest returns the last entries of an ordered list; 0 means all.
func newest[T any](ordered []T, most int) []T {
	if most == 0 || len(ordered) <= most {
		return ordered
	}
	return ordered[len(ordered)-most:]
}

// Reset returns the sandbox to the state after New: no users, the CIdP of its
// Options, no sockets, faults, files or journal, and the clock at real time. IDs
// continue, so that an app under test cannot take one user for another, and
// Settings stay.
func (s *Application) Reset() {
	empty := s.fresh()
	s.mu.Lock()
	for id := range s.Registry.Users {
		s.Chat.Kick(id)
	}
	empty.Registry.NextUser = max(empty.Registry.NextUser, s.Registry.NextUser)
	empty.Registry.nextID = max(empty.Registry.nextID, s.Registry.nextID)
	s.contents = empty
	s.outgoing.clear()
	s.Subscriptions.clear()
	s.Bucket.clear()
	s.Typing.clear()
	s.ahead.Store(0)
	s.mu.Unlock()
	s.Chat.Forgive()
	s.journal.clear()
	s.Changed()
}
