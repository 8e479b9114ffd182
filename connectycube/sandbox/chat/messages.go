package chat

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"cubegate/connectycube/xmpp"
)

// message handles a message by its content.
func (c *socket) message(st *stream, e *xmpp.Element) {
	if e.Attr("type") == "error" {
		return // a client could not handle a message; that concerns no one else
	}
	to, ok := c.s.target(e, st.user)
	switch {
	case !ok:
		st.refuse(e, notFound)
		return
	case to.user == 0 && to.dialog == "":
		st.refuse(e, unavailable) // the server takes no messages
		return
	case to.dialog != "" && to.resource != "":
		st.refuse(e, noPrivacy) // through the room, all occupants would get it
		return
	}
	private := e.Child(nsCarbons, "private") != nil
	clean(e)
	w := &wire{c: c, st: st, e: e, to: to, carbon: !private}
	var err error
	switch kind, about := classify(e); kind {
	case isContent:
		err = w.post()
	case isMark:
		err = w.mark(about)
	case isChange:
		err = w.change(about)
	case isNothing:
	default:
		w.carbon = false
		err = w.pass()
		w.noteTyping(err)
	}
	if err != nil {
		st.refuse(e, refusalFor(err))
	}
}

// clean removes the elements that only a server may send. The official SDK ignores
// namespaces, so clean removes most of them in any namespace. It also removes requests
// for receipts of XEP-0184, because the receipts would be removed, too.
func clean(e *xmpp.Element) {
	e.Children = slices.DeleteFunc(slices.Clone(e.Children), func(child xmpp.Element) bool {
		switch child.Name {
		case "sent", "forwarded", "delay", "reactions", "markable":
			return true
		case "received":
			return child.Space != nsMarkers
		case "request":
			return child.Space == nsReceipts
		}
		return child.Space == nsCarbons || child.Space == "jabber:x:delay"
	})
}

// kind is the purpose of a message.
type kind int

const (
	isNothing kind = iota // no content is left
	isPassing             // passed on and never stored: typing, signaling, unknown elements
	isContent
	isMark
	isChange
)

// classify returns a message's kind, and the child that names the message it is about.
func classify(e *xmpp.Element) (kind, *xmpp.Element) {
	if e.Attr("type") == "headline" {
		return isPassing, nil
	}
	for _, about := range []struct {
		space, name string
		kind        kind
	}{
		{nsCorrect, "replace", isChange},
		{nsDelete, "remove", isChange},
		{nsMarkers, "received", isMark},
		{nsMarkers, "displayed", isMark},
	} {
		if child := e.Child(about.space, about.name); child != nil {
			return about.kind, child
		}
	}
	params := e.Child(xmpp.NSClient, "extraParams")
	switch {
	case e.ChildText(xmpp.NSClient, "body") != "":
		return isContent, nil
	case params != nil && params.Child(xmpp.NSClient, "attachment") != nil:
		return isContent, nil
	case len(e.Children) == 0:
		return isNothing, nil
	}
	return isPassing, nil
}

// wire is one message from a client.
type wire struct {
	c      *socket
	st     *stream
	e      *xmpp.Element
	to     target
	carbon bool
}

// post passes content to the archive, and then to the recipients.
func (w *wire) post() error {
	if err := w.barred(); err != nil {
		return err
	}
	s := w.c.s
	kept := w.e.Clone() // the archive keeps parts of the stanza
	m := read(&kept)
	m.From, m.To = w.st.user, w.to.user
	if w.to.dialog != "" {
		m.DialogID = w.to.dialog
	}
	p, err := s.o.Archive.Post(m)
	if err != nil {
		return err
	}
	stanza := s.compose(m, p, w.e.Attr("type"))
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Again && !w.c.twice {
		s.echo(w.st, stanza, p)
		return nil
	}
	s.distribute(stanza, m, p, sender{w.st, w.to.resource, w.carbon, w.c.twice})
	return nil
}

// read reads the parts of a content stanza.
func read(e *xmpp.Element) Message {
	m := Message{ID: e.Attr("id")}
	for _, child := range e.Children {
		switch {
		case child.Is(xmpp.NSClient, "body") && m.Body == "":
			m.Body = child.Text
		case child.Is(xmpp.NSClient, "extraParams"):
			readParams(&m, child.Children)
		default:
			m.Rest = append(m.Rest, child)
		}
	}
	return m
}

func readParams(m *Message, params []xmpp.Element) {
	for _, param := range params {
		switch param.Name {
		case "save_to_history":
			m.Save = strings.TrimSpace(param.Text) == "1" || strings.TrimSpace(param.Text) == "true"
		case "dialog_id":
			m.DialogID = strings.TrimSpace(param.Text)
		case "message_id", "date_sent": // set by the server only
		default:
			m.Params = append(m.Params, param)
		}
	}
}

// compose builds the stanza for recipients, without from and to. Its form is that of
// the service in 2022 (docs/connectycube.md, Chat).
func (s *Server) compose(m Message, p Posted, kind string) xmpp.Element {
	params := xmpp.New(xmpp.NSClient, "extraParams")
	if m.Save {
		params = params.With(param("save_to_history", "1"))
	}
	params = params.With(m.Params...).With(
		param("dialog_id", p.DialogID),
		param("message_id", p.MessageID),
		param("date_sent", strconv.FormatInt(p.Sent.Unix(), 10)))
	e := xmpp.New(xmpp.NSClient, "message")
	e.Set("id", cmp.Or(p.StanzaID, p.MessageID))
	e.Set("type", kind)
	if m.Body != "" {
		e = e.With(xmpp.New("", "body").Saying(m.Body))
	}
	return e.With(params).With(m.Rest...).With(xmpp.New(nsMarkers, "markable"))
}

func param(name, value string) xmpp.Element {
	return xmpp.New(xmpp.NSClient, name).Saying(value)
}

// sender is the origin of a message; st is nil for a message by REST.
type sender struct {
	st       *stream
	resource string // of the recipient, if the stanza names one
	carbon   bool
	twice    bool
}

// distribute delivers content to all recipients. The caller holds the lock.
func (s *Server) distribute(stanza xmpp.Element, m Message, p Posted, from sender) {
	d := delivery{stanza: stanza, from: m.From, content: true, sent: p.Sent, twice: from.twice}
	if !p.Private {
		d.stanza.Set("from", s.occupant(p.DialogID, m.From))
		d.stanza.Set("type", "groupchat")
		d.room = true
		for _, user := range p.Recipients {
			s.to(user, d)
		}
		return
	}
	d.stanza.Set("from", s.senderJID(m.From, from.st))
	if d.stanza.Attr("type") == "groupchat" {
		d.stanza.Set("type", "chat") // sent to the room of a dialog of two
	}
	for _, user := range privately(m, p) {
		s.direct(user, from.resource, d)
		if from.carbon {
			copied := d.stanza
			copied.Set("to", s.jid(user).String())
			s.carbons(m.From, from.st, copied)
		}
	}
}

// senderJID returns the sender's full JID, or the bare one for a message by REST.
func (s *Server) senderJID(user int64, st *stream) string {
	if st != nil {
		return st.fullJID
	}
	return s.jid(user).String()
}

// privately returns the recipients of a 1:1 message.
func privately(m Message, p Posted) []int64 {
	if m.To != 0 {
		return []int64{m.To}
	}
	return slices.DeleteFunc(slices.Clone(p.Recipients), func(user int64) bool { return user == m.From })
}

// errBlocked means that the recipient has blocked the sender, errBlocks that the sender
// has blocked the recipient.
var (
	errBlocked = errors.New("chat: blocked by the recipient")
	errBlocks  = errors.New("chat: recipient is blocked by the sender")
)

// barred reports whether block lists forbid a 1:1 message.
func (w *wire) barred() error {
	if w.to.user == 0 || w.to.user == w.st.user {
		return nil
	}
	s := w.c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.lets(s.users[w.st.user], w.st, messageOut, w.to.user, false):
		return errBlocks
	case !s.letsAny(w.to.user, messageIn, w.st.user, false):
		return errBlocked
	}
	return nil
}

// mark stores a receipt and passes it on. Its author gets no error: receipts of messages
// that were not stored are usual.
func (w *wire) mark(about *xmpp.Element) error {
	m := Mark{Kind: Delivered, MessageID: about.Attr("id"), DialogID: w.dialog(), To: w.to.user}
	if about.Name == "displayed" {
		m.Kind = Read
	}
	w.carbon = w.carbon && m.Kind == Read // other devices of the user show the message as read
	_ = w.c.s.o.Archive.Mark(w.st.user, m)
	return w.pass()
}

// dialog returns the message's dialog, as the client claims.
func (w *wire) dialog() string {
	if w.to.dialog != "" {
		return w.to.dialog
	}
	if params := w.e.Child(xmpp.NSClient, "extraParams"); params != nil {
		return strings.TrimSpace(params.ChildText(xmpp.NSClient, "dialog_id"))
	}
	return ""
}

// change applies an edit or a deletion and passes it on.
func (w *wire) change(about *xmpp.Element) error {
	if err := w.barred(); err != nil {
		return err
	}
	ch := Change{
		MessageID: about.Attr("id"),
		DialogID:  w.dialog(),
		To:        w.to.user,
		Remove:    about.Name == "remove",
		Body:      w.e.ChildText(xmpp.NSClient, "body"),
		Last:      about.Attr("last") == "true",
	}
	p, err := w.c.s.o.Archive.Change(w.st.user, ch)
	switch {
	case errors.Is(err, ErrNoMessage):
		return w.pass()
	case err != nil:
		return err
	}
	if p.DialogID != "" {
		setParam(w.e, "dialog_id", p.DialogID)
	}
	return w.pass()
}

// noteTyping notes the chat state (XEP-0085) of a stanza that was passed on, unless err
// refuses it.
func (w *wire) noteTyping(err error) {
	for _, child := range w.e.Children {
		if err == nil && child.Space == nsStates {
			w.c.s.o.Typing(Typist{User: w.st.user, DialogID: w.dialog(), To: w.to.user, Composing: child.Name == "composing"})
		}
	}
}

// setParam sets a value in extraParams.
func setParam(e *xmpp.Element, name, value string) {
	params := xmpp.New(xmpp.NSClient, "extraParams")
	rest := make([]xmpp.Element, 0, len(e.Children)+1)
	for _, child := range e.Children {
		if child.Is(xmpp.NSClient, "extraParams") {
			params = child
			continue
		}
		rest = append(rest, child)
	}
	others := slices.DeleteFunc(slices.Clone(params.Children), func(c xmpp.Element) bool { return c.Name == name })
	params.Children = append(others, param(name, value))
	e.Children = append(rest, params)
}

// pass sends a stanza on unchanged: to a user's devices, or to a room's occupants. It
// drops the stanza for absent users.
func (w *wire) pass() error {
	s := w.c.s
	p := delivery{stanza: *w.e, from: w.st.user, twice: w.c.twice}
	if w.to.dialog != "" {
		occupants, err := s.o.Archive.Occupants(w.st.user, w.to.dialog)
		if err != nil {
			return err
		}
		p.room = true
		if w.e.Attr("type") != "headline" {
			p.stanza.Set("type", "groupchat")
		}
		p.stanza.Set("from", s.occupant(w.to.dialog, w.st.user))
		p.stanza.Set("to", "")
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, user := range occupants {
			s.to(user, p)
		}
		return nil
	}
	if w.barred() != nil {
		return nil // typing and receipts get no error
	}
	p.stanza.Set("from", w.st.fullJID)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.direct(w.to.user, w.to.resource, p)
	if w.carbon {
		s.carbons(w.st.user, w.st, p.stanza)
	}
	return nil
}
