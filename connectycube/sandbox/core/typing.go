package core

import (
	"slices"
	"sync"
	"time"
)

const (
	typingTime = 30 * time.Second // after the last sign, as clients may not say that they stopped
	maxTyping  = 1000             // users who type at once; beyond it, new ones are not shown
)

// Typing knows the users who are typing. It has its own lock, which is taken last, and
// uses real time.
type Typing struct {
	mu    sync.Mutex
	until map[typist]time.Time
}

type typist struct {
	dialog string
	user   int64
}

// Set records that a user is typing in a dialog, or has stopped.
func (t *Typing) Set(dialogID string, user int64, composing bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for one, until := range t.until {
		if until.Before(now) {
			delete(t.until, one)
		}
	}
	one := typist{dialogID, user}
	if !composing {
		delete(t.until, one)
		return
	}
	if t.until == nil {
		t.until = map[typist]time.Time{}
	}
	if len(t.until) < maxTyping {
		t.until[one] = now.Add(typingTime)
	}
}

// in returns the users who are typing in a dialog, ascending.
func (t *Typing) in(dialogID string) (users []int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for one, until := range t.until {
		if one.dialog == dialogID && until.After(now) {
			users = append(users, one.user)
		}
	}
	slices.Sort(users)
	return users
}

func (t *Typing) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until = nil
}
