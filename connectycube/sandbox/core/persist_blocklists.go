package core

import (
	"fmt"
	"slices"
)

// BlockList is a block list of a user in the data file. The chat owns the lists and knows
// their meaning.
type BlockList struct {
	UserID  int64  `json:"user_id"`
	Default bool   `json:"default,omitempty"`
	List    string `json:"list"` // XML
}

// BlockLists is the part of the chat that the data file keeps. Its methods are called
// under the application's lock.
type BlockLists interface {
	BlockLists() []BlockList
	RestoreBlockLists(saved []BlockList) error
}

// saveBlockLists leaves out lists without a user: a request of a user who is being deleted
// can still store one.
func (s *Application) saveBlockLists(out *savedState) {
	out.BlockLists = slices.DeleteFunc(s.blockLists.BlockLists(), func(l BlockList) bool { return s.Registry.Users[l.UserID] == nil })
}

func (s *Application) restoreBlockLists(saved *savedState) error {
	for _, l := range saved.BlockLists {
		if s.Registry.Users[l.UserID] == nil {
			return fmt.Errorf("a block list belongs to user %d, who does not exist", l.UserID)
		}
	}
	return s.blockLists.RestoreBlockLists(saved.BlockLists)
}
