package chat

import (
	"time"

	"cubegate/connectycube/xmpp"
)

// stanza handles a stanza on a bound stream.
func (c *socket) stanza(st *stream, e *xmpp.Element) error {
	switch e.Space {
	case xmpp.NSFraming:
		if e.Name == "close" {
			st.leave(c)
			st.push(outgoing{text: xmpp.Append(nil, &framingClose), last: true})
			time.AfterFunc(goodbye, c.drop)
			return nil
		}
		c.fail("policy-violation")
		return errDone
	case xmpp.NSSM:
		return c.manage(st, e)
	case xmpp.NSClient:
		return c.counted(st, e)
	}
	c.fail("unsupported-stanza-type")
	return errDone
}

// counted handles message, presence and iq, one at a time: a stream that moves to
// another socket must know which stanzas were handled.
func (c *socket) counted(st *stream, e *xmpp.Element) error {
	st.turn.Lock()
	defer st.turn.Unlock()
	if !st.has(c) {
		return errDone
	}
	fault := c.fault(e)
	switch {
	case !c.sleep(fault.Delay), fault.Drop:
		c.drop()
		return errDone
	case fault.HalfOpen:
		c.quiet.Store(true)
		return nil
	case fault.Refuse:
		st.refuse(e, unavailable)
	default:
		c.twice = fault.Duplicate
		c.dispatch(st, e)
		if fault.Duplicate && e.Name != "message" { // a message is stored once and doubled at delivery
			c.dispatch(st, e)
		}
	}
	st.mu.Lock()
	st.in++
	st.mu.Unlock()
	if fault.LostAnswer {
		c.drop()
		return errDone
	}
	return nil
}

func (c *socket) dispatch(st *stream, e *xmpp.Element) {
	switch e.Name {
	case "message":
		c.message(st, e)
	case "presence":
		c.presence(st, e)
	case "iq":
		c.iq(st, e)
	}
}

// has reports whether c is still the stream's socket.
func (st *stream) has(c *socket) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.sock == c && !st.ended
}

// refuse answers a stanza with an error, unless it is an error or a result: those are
// never answered.
func (st *stream) refuse(e *xmpp.Element, r refused) {
	if kind := e.Attr("type"); kind != "error" && kind != "result" {
		st.reply(refusal(e, r, ""))
	}
}

// target is the recipient of a stanza: a user, a user's resource, a room, or the server
// itself.
type target struct {
	user     int64
	resource string
	dialog   string
}

// target reads the to of a stanza; without one the recipient is the sender's own
// account. ok is false for a JID that no recipient can have.
func (s *Server) target(e *xmpp.Element, sender int64) (target, bool) {
	to := e.Attr("to")
	if to == "" {
		return target{user: sender}, true
	}
	jid, err := xmpp.ParseJID(to)
	switch {
	case err != nil:
		return target{}, false
	case jid.Domain == s.rooms:
		dialog, ok := s.dialogOf(jid.Local)
		return target{dialog: dialog, resource: jid.Resource}, ok || jid.Local == ""
	case jid.Domain == s.o.Domain && jid.Local == "":
		return target{}, true
	case jid.Domain == s.o.Domain:
		user, ok := s.userOf(jid.Local)
		return target{user: user, resource: jid.Resource}, ok
	}
	return target{}, false
}
