package identitytest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"cubegate/store"
)

// Users keeps at most one user.
type Users struct {
	mu         sync.Mutex
	User       *store.User
	Err        error // of each finder and of create
	UpgradeErr error // of UpgradeHash
	LookUps    int   // calls of a finder
}

func (f *Users) create(u store.User) (store.User, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Err != nil {
		return store.User{}, f.Err
	}
	if f.User != nil {
		return store.User{}, store.TakenError{Field: "email"}
	}
	u.Created = time.Now()
	f.User = &u
	return u, nil
}

func (f *Users) find(match func(store.User) bool) (store.User, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.LookUps++
	if f.Err != nil {
		return store.User{}, f.Err
	}
	if f.User == nil || !match(*f.User) {
		return store.User{}, store.ErrNotFound
	}
	return *f.User, nil
}

func (f *Users) ByEmail(_ context.Context, email string) (store.User, error) {
	return f.find(func(u store.User) bool { return strings.EqualFold(u.Email, email) })
}

func (f *Users) ByID(_ context.Context, id string) (store.User, error) {
	return f.find(func(u store.User) bool { return u.ID == id })
}

func (f *Users) UpgradeHash(_ context.Context, c store.HashUpgrade) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.UpgradeErr != nil {
		return f.UpgradeErr
	}
	if f.User.PasswordHash == c.OldHash {
		f.User.PasswordHash, f.User.PasswordForm = c.NewHash, c.NewForm
	}
	return nil
}

func (f *Users) AddSession(_ context.Context, s store.SessionStart) (store.User, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.User == nil {
		return store.User{}, store.ErrNotFound
	}
	if f.User.PasswordHash != s.PasswordHash || f.User.Disabled {
		return store.User{}, store.ErrChanged
	}
	f.User.Sessions = append(slices.Clone(f.User.Sessions), s.SessionID)
	return *f.User, nil
}

func (f *Users) RemoveSession(_ context.Context, id, session string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.User == nil || f.User.ID != id || !slices.Contains(f.User.Sessions, session) {
		return false, nil
	}
	f.User.Sessions = slices.DeleteFunc(slices.Clone(f.User.Sessions), func(s string) bool { return s == session })
	return true, nil
}

func (f *Users) EvictSession(ctx context.Context, id, session string) (bool, error) {
	ended, err := f.RemoveSession(ctx, id, session)
	if ended {
		f.User.Evicted = append(f.User.Evicted, session)
	}
	return ended, err
}

func (f *Users) RevokeSession(ctx context.Context, id, session string) (bool, error) {
	ended, err := f.RemoveSession(ctx, id, session)
	if ended {
		f.User.DeviceGeneration++
	}
	return ended, err
}

func (f *Users) RemoveAllSessions(context.Context, string) (store.User, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.User.Sessions = nil
	return *f.User, nil
}

// Evictions logs out from login sessions that EvictSession has ended.
type Evictions struct {
	*Users
	*Sessions
}

func (f Evictions) LogOut(_ context.Context, l store.LateLogout) (string, error) {
	f.Users.mu.Lock()
	defer f.Users.mu.Unlock()
	f.Sessions.mu.Lock()
	defer f.Sessions.mu.Unlock()
	s, ok := f.All[l.SessionID]
	pending := l.UserID != "" && s.UserID == l.UserID && slices.Contains(f.User.Evicted, l.SessionID)
	if !ok || s.EndReason != store.Evicted && !pending {
		return "", store.ErrNotFound
	}
	f.User.Evicted = slices.DeleteFunc(f.User.Evicted, func(id string) bool { return id == l.SessionID })
	s.Ended, s.EndReason = time.Now(), store.LoggedOut
	f.All[l.SessionID] = s
	return s.UserID, nil
}
