package chat_test

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"cubegate/connectycube/sandbox/chat"
)

// archive is the minimal archive for the chat.
type archive struct {
	mu    sync.Mutex
	users map[int64]time.Time

	anySecret bool // except "wrong"
	forgetful bool // stores nothing
	gate      chan struct{}
	dialogs   map[string][]int64
	stored    []chat.Message
	posted    []chat.Posted
	marks     []chat.Mark
	changes   []chat.Change
}

func newArchive() *archive {
	return &archive{
		users:   map[int64]time.Time{101: {}, 202: {}, 303: {}},
		dialogs: map[string][]int64{team: {101, 202, 303}},
	}
}

func (a *archive) Login(user int64, secret string) bool {
	good := secret == "password" || secret == "token" || a.anySecret && secret != "wrong"
	return good && a.Exists(user)
}

func (a *archive) Exists(user int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.users[user]
	return ok
}

func (a *archive) LastActivity(user int64) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.users[user]
}

func (a *archive) Post(m chat.Message) (chat.Posted, error) {
	if m.Body == "waits at the gate" {
		<-a.gate
		<-a.gate
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	p := chat.Posted{DialogID: m.DialogID, MessageID: m.ID, Sent: time.Now()}
	if m.To != 0 {
		if _, ok := a.users[m.To]; !ok {
			return chat.Posted{}, chat.ErrNoUser
		}
		p.Private, p.Recipients = true, []int64{m.From, m.To}
		p.DialogID = fmt.Sprintf("%012x%012x", min(m.From, m.To), max(m.From, m.To))
		a.dialogs[p.DialogID] = p.Recipients
	} else {
		occupants, err := a.occupants(m.From, m.DialogID)
		if err != nil {
			return chat.Posted{}, err
		}
		p.Recipients, p.Private = occupants, len(occupants) == 2
	}
	if m.Save && !a.forgetful {
		a.stored, a.posted = append(a.stored, m), append(a.posted, p)
	}
	return p, nil
}

func (a *archive) occupants(by int64, dialog string) ([]int64, error) {
	occupants, ok := a.dialogs[dialog]
	switch {
	case !ok:
		return nil, chat.ErrNoDialog
	case !slices.Contains(occupants, by):
		return nil, chat.ErrNotOccupant
	}
	return occupants, nil
}

func (a *archive) Occupants(by int64, dialog string) ([]int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.occupants(by, dialog)
}

func (a *archive) Mark(_ int64, m chat.Mark) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.marks = append(a.marks, m)
	return nil
}

func (a *archive) Change(by int64, c chat.Change) (chat.Posted, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, m := range a.stored {
		if a.posted[i].MessageID != c.MessageID {
			continue
		}
		if m.From != by {
			return chat.Posted{}, chat.ErrForbidden
		}
		a.changes = append(a.changes, c)
		return a.posted[i], nil
	}
	return chat.Posted{}, chat.ErrNoMessage
}
