package chat

import (
	"cmp"
	"fmt"
	"slices"

	"cubegate/connectycube/xmpp"
)

// BlockList is a privacy list of a user, as the data file keeps it.
type BlockList struct {
	UserID  int64
	Default bool   // the user's default list
	List    string // the list element with its items, in the namespace jabber:iq:privacy
}

// savedLimits bounds the text of a saved list. It exceeds what a frame can hold, because
// the text repeats namespaces and escapes more characters than a client does.
var savedLimits = xmpp.Limits{Bytes: 1 << 20, Elements: 5*maxItems + 1}

// BlockLists returns the lists of all users, by user and name. Active lists are not among
// them: they belong to a connection.
func (s *Server) BlockLists() []BlockList {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []BlockList
	for user, a := range s.users {
		for name, rules := range a.privacy.lists {
			list := listElement(name, rules)
			list.Space = nsPrivacy
			out = append(out, BlockList{UserID: user, Default: name == a.privacy.byDefault, List: list.String()})
		}
	}
	slices.SortFunc(out, func(a, b BlockList) int {
		return cmp.Or(cmp.Compare(a.UserID, b.UserID), cmp.Compare(a.List, b.List))
	})
	return out
}

// listElement returns a list with its items as the client sent them.
func listElement(name string, rules []rule) xmpp.Element {
	list := xmpp.New("", "list", "name", name)
	for _, r := range rules {
		list.Children = append(list.Children, r.raw)
	}
	return list
}

// RestoreBlockLists adds saved lists. It applies the checks and bounds of a request.
func (s *Server) RestoreBlockLists(saved []BlockList) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, from := range saved {
		if err := s.restoreList(from); err != nil {
			return fmt.Errorf("block list of user %d: %w", from.UserID, err)
		}
	}
	return nil
}

// restoreList adds one list. The caller holds the lock.
func (s *Server) restoreList(from BlockList) error {
	read, err := xmpp.Parse(from.List, savedLimits)
	if err != nil {
		return err
	}
	if len(read) != 1 || !read[0].Is(nsPrivacy, "list") || len(read[0].Children) == 0 {
		return fmt.Errorf("%q is not a list with items", from.List)
	}
	list := &read[0]
	name := list.Attr("name")
	a := s.account(from.UserID)
	defer s.forget(from.UserID)
	if a.privacy.lists[name] != nil || from.Default && a.privacy.byDefault != "" {
		return fmt.Errorf("list %q occurs twice, or is a second default list", name)
	}
	if failure := s.setList(a, list); failure != nil {
		return fmt.Errorf("list %q is invalid or too large", name)
	}
	if from.Default {
		a.privacy.byDefault = name
	}
	return nil
}
