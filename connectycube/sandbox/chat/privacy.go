package chat

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"cubegate/connectycube/xmpp"
)

// Privacy lists, XEP-0016, as the official SDK uses them for block lists: two items for
// each user, the JID and <domain of rooms>/<user>.

// Bounds of the lists of one user, and of the items of all users.
const (
	maxLists        = 20
	maxItems        = 2000 // of one list
	maxPrivacyItems = 500_000
)

// privacy is the lists of a user.
type privacy struct {
	lists     map[string][]rule // by name
	byDefault string            // name of the default list, or empty
}

func (p *privacy) empty() bool { return len(p.lists) == 0 }

// stanzaKinds is the kinds of stanzas that a rule covers.
type stanzaKinds int

const (
	messageIn stanzaKinds = 1 << iota
	presenceIn
	presenceOut
	iqIn
	messageOut // covered only by a rule without kinds, which blocks both ways
)

const everything = messageIn | presenceIn | presenceOut | iqIn | messageOut

var stanzaKindNames = map[string]stanzaKinds{"message": messageIn, "presence-in": presenceIn, "presence-out": presenceOut, "iq": iqIn}

// rule is an item of a list.
type rule struct {
	order int
	deny  bool
	value string // a JID; empty: any
	about stanzaKinds
	raw   xmpp.Element // as the client sent it
}

// lets reports whether a list of the account lets a stanza of other pass: the stream's
// active list, else the default list. Without an account, or without a list, all stanzas
// pass. The caller holds the lock.
func (s *Server) lets(a *account, st *stream, about stanzaKinds, other int64, room bool) bool {
	if a == nil || a.privacy.empty() || other == 0 {
		return true
	}
	name := a.privacy.byDefault
	if st != nil && st.active != nil {
		name = *st.active
	}
	if other != 0 && st != nil && other == st.user {
		return true
	}
	value := s.jid(other).String()
	if room {
		value = s.rooms + "/" + strconv.FormatInt(other, 10)
	}
	for _, r := range a.privacy.lists[name] {
		if r.about&about != 0 && (r.value == "" || r.value == value) {
			return !r.deny
		}
	}
	return true
}

// letsAny reports whether a stream of the user lets a stanza of other pass, or the default
// list if there is no stream. The caller holds the lock.
func (s *Server) letsAny(user int64, about stanzaKinds, other int64, room bool) bool {
	a := s.users[user]
	streams := s.streams(user)
	if len(streams) == 0 {
		return s.lets(a, nil, about, other, room)
	}
	return slices.ContainsFunc(streams, func(st *stream) bool { return s.lets(a, st, about, other, room) })
}

// sees reports whether a stream may see a user's presence: neither side blocks it. The
// caller holds the lock.
func (s *Server) sees(st *stream, user int64, room bool) bool {
	return user == st.user ||
		s.letsAny(user, presenceOut, st.user, room) && s.lets(s.users[st.user], st, presenceIn, user, room)
}

// getPrivacy returns the names of the lists, or one list.
func getPrivacy(q request) (xmpp.Element, *refused) {
	s := q.c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	var p privacy
	if a := s.users[q.st.user]; a != nil {
		p = a.privacy
	}
	answer := xmpp.New(nsPrivacy, "query")
	switch len(q.query.Children) {
	case 0:
		if q.st.active != nil && *q.st.active != "" {
			answer = answer.With(xmpp.New("", "active", "name", *q.st.active))
		}
		if p.byDefault != "" {
			answer = answer.With(xmpp.New("", "default", "name", p.byDefault))
		}
		for _, name := range slices.Sorted(keys(p.lists)) {
			answer = answer.With(xmpp.New("", "list", "name", name))
		}
	case 1:
		name := q.query.Children[0].Attr("name")
		rules, ok := p.lists[name]
		if !ok || q.query.Children[0].Name != "list" {
			return xmpp.Element{}, &notFound
		}
		answer = answer.With(listElement(name, rules))
	default:
		return xmpp.Element{}, &badRequest
	}
	return resultOf(q.iq).With(answer), nil
}

func keys[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// setPrivacy stores or removes a list, or selects the default or active one.
func setPrivacy(q request) (xmpp.Element, *refused) {
	if len(q.query.Children) != 1 {
		return xmpp.Element{}, &badRequest
	}
	failure := q.c.s.changePrivacy(q.st, &q.query.Children[0])
	if failure != nil {
		return xmpp.Element{}, failure
	}
	q.c.s.o.Changed()
	return resultOf(q.iq), nil
}

// changePrivacy applies the child of a query.
func (s *Server) changePrivacy(st *stream, change *xmpp.Element) *refused {
	name := change.Attr("name")
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.account(st.user)
	defer s.forget(st.user)
	_, known := a.privacy.lists[name]
	switch change.Name {
	case "list":
		return s.setList(a, change)
	case "default":
		if name != "" && !known {
			return &notFound
		}
		a.privacy.byDefault = name
	case "active":
		if name != "" && !known {
			return &notFound
		}
		st.active = &name
		if name == "" {
			st.active = nil
		}
	default:
		return &badRequest
	}
	return nil
}

// setList stores a list; one without items removes it. The caller holds the lock.
func (s *Server) setList(a *account, list *xmpp.Element) *refused {
	name := list.Attr("name")
	old := a.privacy.lists[name]
	if len(list.Children) == 0 {
		if old == nil {
			return &notFound
		}
		s.privacy -= len(old)
		delete(a.privacy.lists, name)
		a.unuse(name)
		return nil
	}
	rules, ok := s.readRules(list.Children)
	switch {
	case !ok || name == "":
		return &badRequest
	case len(rules) > maxItems, old == nil && len(a.privacy.lists) >= maxLists,
		s.privacy-len(old)+len(rules) > maxPrivacyItems:
		return &resourceConstraint
	}
	if a.privacy.lists == nil {
		a.privacy.lists = map[string][]rule{}
	}
	s.privacy += len(rules) - len(old)
	a.privacy.lists[name] = rules
	return nil
}

// unuse deselects a removed list.
func (a *account) unuse(name string) {
	if a.privacy.byDefault == name {
		a.privacy.byDefault = ""
	}
	for _, st := range a.streams {
		if st.active != nil && *st.active == name {
			st.active = nil
		}
	}
}

// readRules reads items and sorts them by their order. Items for contacts and groups never
// apply, because the sandbox has none.
func (s *Server) readRules(items []xmpp.Element) ([]rule, bool) {
	var rules []rule
	for _, item := range items {
		order, err := strconv.Atoi(item.Attr("order"))
		action := item.Attr("action")
		if err != nil || order < 0 || item.Name != "item" || action != "allow" && action != "deny" {
			return nil, false
		}
		r := rule{order: order, deny: action == "deny", value: strings.ToLower(strings.Clone(item.Attr("value"))), raw: item.Clone()}
		for _, child := range item.Children {
			r.about |= stanzaKindNames[child.Name]
		}
		if len(item.Children) == 0 {
			r.about = everything
		}
		if kind := item.Attr("type"); kind != "" && kind != "jid" {
			r.about = 0
		}
		rules = append(rules, r)
	}
	slices.SortStableFunc(rules, func(a, b rule) int { return cmp.Compare(a.order, b.order) })
	return rules, true
}
