package core

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

const maxPage = 100 // rows of a page of users, dialogs or messages

// PageQuery selects a part of a list.
type PageQuery struct {
	Search string // a part of a name, in any letter case, or a whole ID; "": all
	Skip   int
	Limit  int // at most 100; 0 means 50
}

func (q PageQuery) limit() int { return cmp.Or(min(max(q.Limit, 0), maxPage), maxPage/2) }

// UserRow is a user in a list of users.
type UserRow struct {
	UserState
	Created     time.Time `json:"created_at"`
	LastRequest time.Time `json:"last_request_at,omitzero"`
	Sessions    int       `json:"sessions"`
	Sockets     int       `json:"sockets"`
}

// UserPage holds users, the newest first.
type UserPage struct {
	Users   []UserRow `json:"users"`
	Matched int       `json:"matched"`
	Total   int       `json:"total"`
}

// UserDetail is one user with all connections.
type UserDetail struct {
	UserRow
	Live    []SessionState `json:"live_sessions"` // the newest
	Open    []SocketState  `json:"open_sockets"`
	Devices []DeviceState  `json:"devices"` // the newest
	Dialogs int            `json:"dialogs"`
}

// Users returns a page of the users.
func (s *Application) Users(q PageQuery) UserPage {
	sockets := s.socketsByUser()
	search := strings.ToLower(q.Search)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Registry.Sweep(s.Now())
	var ids []int64
	for id, u := range s.Registry.Users {
		if search == "" || u.matches(search) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	page := UserPage{Users: []UserRow{}, Matched: len(ids), Total: len(s.Registry.Users)}
	for _, id := range part(ids, q) {
		page.Users = append(page.Users, s.Registry.Users[id].row(len(sockets[id])))
	}
	return page
}

// part returns the entries of a page.
func part[T any](all []T, q PageQuery) []T {
	all = all[min(max(q.Skip, 0), len(all)):]
	return all[:min(q.limit(), len(all))]
}

func (u *User) matches(search string) bool {
	if strconv.FormatInt(u.ID, 10) == search {
		return true
	}
	for _, text := range []string{u.FullName, u.Login, u.Email, u.ExternalID} {
		if strings.Contains(strings.ToLower(text), search) {
			return true
		}
	}
	return false
}

func (u *User) row(sockets int) UserRow {
	row := UserRow{UserState: u.state(), Created: shown(u.Created), Sessions: len(u.sessions), Sockets: sockets}
	if !u.LastRequest.IsZero() {
		row.LastRequest = shown(u.LastRequest)
	}
	return row
}

func (s *Application) socketsByUser() map[int64][]SocketState {
	by := map[int64][]SocketState{}
	for _, c := range s.sockets() { // without the lock: the chat has its own
		c.Since = shown(c.Since)
		by[c.UserID] = append(by[c.UserID], c)
	}
	return by
}

// UserDetails returns one user, or ErrUserNotFound.
func (s *Application) UserDetails(id int64) (UserDetail, error) {
	open := s.socketsByUser()[id]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Registry.Sweep(s.Now())
	u := s.Registry.Users[id]
	if u == nil {
		return UserDetail{}, ErrUserNotFound
	}
	out := UserDetail{UserRow: u.row(len(open)), Live: []SessionState{}, Open: append([]SocketState{}, open...), Devices: []DeviceState{}}
	byAge := slices.SortedFunc(maps.Keys(u.sessions), func(a, b *Session) int { return cmp.Compare(a.ID, b.ID) })
	for _, live := range newest(byAge, maxPage) {
		out.Live = append(out.Live, live.state())
	}
	for _, sub := range newest(s.Subscriptions.List(id), maxPage) {
		out.Devices = append(out.Devices, DeviceState{sub.ID, sub.User, sub.Platform, sub.UDID})
	}
	for range s.Archive.DialogsOf(id) {
		out.Dialogs++
	}
	return out, nil
}

// SetDisabled disables a user or ends that. A disabled user's sessions end, and logins
// are refused. The caller ends the user's chat connections. Messages to the user are
// still possible.
func (s *Application) SetDisabled(id int64, disabled bool) error {
	return s.changeUser(id, func(u *User) error {
		u.IsDisabled = disabled
		if disabled {
			for live := range u.sessions {
				s.Registry.Close(live)
			}
		}
		return nil
	})
}

// changeUser runs change under the lock, or returns ErrUserNotFound.
func (s *Application) changeUser(id int64, change func(*User) error) error {
	defer s.Changed()
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.Registry.Users[id]
	if u == nil {
		return ErrUserNotFound
	}
	return change(u)
}

// RemoveUser deletes a user as an administrator would, or returns ErrUserNotFound.
func (s *Application) RemoveUser(id int64) error {
	return s.changeUser(id, func(u *User) error {
		s.Registry.Remove(u)
		return nil
	})
}

// SignedIn is a new session of a user. Its token is a secret.
type SignedIn struct {
	UserID  int64     `json:"user_id"`
	Token   string    `json:"token"`
	Expires time.Time `json:"expires_at"`
}

// SignInAs opens a session of a user without a password. The error is ErrUserNotFound
// or ErrDisabled.
func (s *Application) SignInAs(id int64) (in SignedIn, err error) {
	err = s.changeUser(id, func(u *User) error {
		if u.IsDisabled {
			return ErrDisabled
		}
		live := s.Registry.Open(u, s.Now())
		live.TS = s.Now().Unix()
		in = SignedIn{id, live.Token, shown(live.Expires())}
		return nil
	})
	return in, err
}

// nameOf returns the name by which people know a user; "" for no user.
func (r *Registry) nameOf(id int64) string {
	if id == 0 {
		return ""
	}
	u := r.Users[id]
	if u == nil {
		return "deleted user " + strconv.FormatInt(id, 10)
	}
	return cmp.Or(u.FullName, u.Login, u.Email, u.ExternalID)
}
