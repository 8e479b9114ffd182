package chat

import (
	"slices"
	"strconv"
	"time"

	"cubegate/connectycube/xmpp"
)

// iq answers a request. It refuses unknown requests as RFC 6120, 8.4, requires, and those
// without one of the four types (8.2.3), because their client waits for an answer. It
// ignores answers of clients to our own requests.
func (c *socket) iq(st *stream, e *xmpp.Element) {
	kind := e.Attr("type")
	if !slices.Contains(iqTypes, kind) {
		st.refuse(e, badRequest)
		return
	}
	to, ok := c.s.target(e, st.user)
	if ok && to.resource != "" && to.user != 0 {
		c.s.forward(st, e, to)
		return
	}
	if kind != "get" && kind != "set" {
		return
	}
	if !ok || len(e.Children) == 0 {
		st.refuse(e, badRequest)
		return
	}
	answer, refusal := c.answer(st, e, to)
	if refusal != nil {
		st.refuse(e, *refusal)
		return
	}
	st.reply(answer)
}

// iqTypes are the types of an iq: RFC 6120, 8.2.3.
var iqTypes = []string{"get", "set", "result", "error"}

// request is an iq to the server, a user's account or a room.
type request struct {
	c     *socket
	st    *stream
	iq    *xmpp.Element
	query *xmpp.Element // the child of iq
	to    target
}

// answers maps requests to their handlers. A key is the request's type, and its query's
// namespace and name.
var answers = map[string]func(request) (xmpp.Element, *refused){
	"get " + nsPing + " ping":            empty,
	"set " + xmpp.NSSession + " session": empty,
	"set " + nsCarbons + " enable":       setCarbons(true),
	"set " + nsCarbons + " disable":      setCarbons(false),
	"set " + nsMobile + " mobile":        setMobile,
	"set " + nsStatuses + " subscribe":   follow,
	"get " + nsLast + " query":           lastActivity,
	"get " + nsPrivacy + " query":        getPrivacy,
	"set " + nsPrivacy + " query":        setPrivacy,
	"get " + nsItems + " query":          discoItems,
	"get " + nsInfo + " query":           discoInfo,
	"get " + nsRoster + " query":         emptyRoster,
}

func (c *socket) answer(st *stream, e *xmpp.Element, to target) (xmpp.Element, *refused) {
	query := &e.Children[0]
	handler := answers[e.Attr("type")+" "+query.Space+" "+query.Name]
	if handler == nil {
		return xmpp.Element{}, &unavailable
	}
	return handler(request{c, st, e, query, to})
}

func empty(q request) (xmpp.Element, *refused) {
	return resultOf(q.iq), nil
}

func setCarbons(on bool) func(request) (xmpp.Element, *refused) {
	return func(q request) (xmpp.Element, *refused) {
		q.c.s.mu.Lock()
		defer q.c.s.mu.Unlock()
		q.st.carbons = on
		return resultOf(q.iq), nil
	}
}

// setMobile records whether the app is in the background.
func setMobile(q request) (xmpp.Element, *refused) {
	q.c.s.mu.Lock()
	defer q.c.s.mu.Unlock()
	q.st.inactive = q.query.Attr("enable") == "true"
	return resultOf(q.iq), nil
}

// follow starts or stops following a user's status. A client that the user has blocked
// gets no error: it receives nothing, as if the user never came online.
func follow(q request) (xmpp.Element, *refused) {
	s := q.c.s
	jid, err := xmpp.ParseJID(q.query.Attr("user_jid"))
	user, ok := s.userOf(jid.Local)
	if err != nil || !ok {
		return xmpp.Element{}, &badRequest
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.query.Attr("enable") != "true" {
		delete(q.st.watching, user)
		delete(s.watchers[user], q.st)
		if len(s.watchers[user]) == 0 {
			delete(s.watchers, user)
		}
		return resultOf(q.iq), nil
	}
	if len(q.st.watching) >= maxRooms {
		return xmpp.Element{}, &resourceConstraint
	}
	if q.st.over() {
		return resultOf(q.iq), nil
	}
	if q.st.watching == nil {
		q.st.watching = map[int64]struct{}{}
	}
	q.st.watching[user] = struct{}{}
	if s.watchers[user] == nil {
		s.watchers[user] = map[*stream]struct{}{}
	}
	s.watchers[user][q.st] = struct{}{}
	return resultOf(q.iq), nil
}

// lastActivity returns the seconds since the user was online (XEP-0012); 0 means online.
// A client that the user has blocked gets the error of XEP-0016, 2.14.
func lastActivity(q request) (xmpp.Element, *refused) {
	s := q.c.s
	if q.to.user == 0 {
		if q.to.dialog != "" {
			return xmpp.Element{}, &unavailable
		}
		return seconds(q, time.Since(s.began)), nil // for the server: its uptime
	}
	s.mu.Lock()
	hidden := q.to.user != q.st.user &&
		!(s.letsAny(q.to.user, presenceOut, q.st.user, false) && s.letsAny(q.to.user, iqIn, q.st.user, false))
	online := s.online(q.to.user)
	seen, known := s.lastSeen.Peek(q.to.user)
	s.mu.Unlock()
	switch {
	case hidden:
		return xmpp.Element{}, &unavailable
	case online:
		return seconds(q, 0), nil
	}
	if !s.o.Accounts.Exists(q.to.user) {
		return xmpp.Element{}, &notFound
	}
	if rest := s.o.Accounts.LastActivity(q.to.user); rest.After(seen) {
		seen, known = rest, true
	}
	if !known {
		seen = s.began
	}
	return seconds(q, max(time.Since(seen), time.Second)), nil
}

func seconds(q request, since time.Duration) xmpp.Element {
	return resultOf(q.iq).With(xmpp.New(nsLast, "query", "seconds", strconv.Itoa(int(since/time.Second))))
}

// discoItems lists the occupants of a room who are online.
func discoItems(q request) (xmpp.Element, *refused) {
	s := q.c.s
	list := xmpp.New(nsItems, "query")
	if q.to.dialog == "" {
		return resultOf(q.iq).With(list), nil
	}
	occupants, err := s.o.Archive.Occupants(q.st.user, q.to.dialog)
	if err != nil {
		r := refusalFor(err)
		return xmpp.Element{}, &r
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, user := range occupants {
		if s.online(user) && s.sees(q.st, user, true) {
			list.Children = append(list.Children, xmpp.New("", "item", "jid", s.occupant(q.to.dialog, user)))
		}
	}
	return resultOf(q.iq).With(list), nil
}

// discoInfo lists the supported features. Native clients ask before they use one.
func discoInfo(q request) (xmpp.Element, *refused) {
	info := xmpp.New(nsInfo, "query")
	switch {
	case q.to.dialog != "":
		info = info.With(xmpp.New("", "identity", "category", "conference", "type", "text"),
			xmpp.New("", "feature", "var", nsMUC))
	case q.to.user != 0:
		info = info.With(xmpp.New("", "identity", "category", "account", "type", "registered"))
	default:
		info = info.With(xmpp.New("", "identity", "category", "server", "type", "im", "name", "cubegate sandbox"))
		for _, feature := range []string{nsInfo, nsItems, nsCarbons, nsPing, nsLast, nsPrivacy} {
			info = info.With(xmpp.New("", "feature", "var", feature))
		}
	}
	return resultOf(q.iq).With(info), nil
}

// emptyRoster answers native clients, which ask for a roster; the sandbox has none.
func emptyRoster(q request) (xmpp.Element, *refused) {
	return resultOf(q.iq).With(xmpp.New(nsRoster, "query")), nil
}

// forward passes an iq, or the answer to one, to another client.
func (s *Server) forward(from *stream, e *xmpp.Element, to target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams(to.user) {
		if st.jid.Resource == to.resource && s.lets(s.users[to.user], st, iqIn, from.user, false) {
			out := *e
			out.Set("from", from.fullJID)
			st.reply(out)
			return
		}
	}
	from.refuse(e, unavailable)
}

// ping pings a silent client.
func (s *Server) ping(st *stream) {
	st.reply(xmpp.New(xmpp.NSClient, "iq", "type", "get", "from", s.o.Domain,
		"id", "ping-"+strconv.FormatUint(s.serial.Add(1), 10)).With(xmpp.New(nsPing, "ping")))
}
