package chat

import (
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
	"time"

	"cubegate/connectycube/xmpp"
)

// Namespaces outside of XMPP's core.
const (
	nsCarbons  = "urn:xmpp:carbons:2"
	nsForward  = "urn:xmpp:forward:0"
	nsDelay    = "urn:xmpp:delay"
	nsMarkers  = "urn:xmpp:chat-markers:0"
	nsReceipts = "urn:xmpp:receipts"
	nsStates   = "http://jabber.org/protocol/chatstates"
	nsCorrect  = "urn:xmpp:message-correct:0"
	nsDelete   = "urn:xmpp:message-delete:0"
	nsMUC      = "http://jabber.org/protocol/muc"
	nsMUCUser  = "http://jabber.org/protocol/muc#user"
	nsPing     = "urn:xmpp:ping"
	nsLast     = "jabber:iq:last"
	nsPrivacy  = "jabber:iq:privacy"
	nsRoster   = "jabber:iq:roster"
	nsItems    = "http://jabber.org/protocol/disco#items"
	nsInfo     = "http://jabber.org/protocol/disco#info"
	nsMobile   = "http://tigase.org/protocol/mobile#v2"
	nsStatuses = "https://connectycube.com/protocol/status_streaming"
)

var (
	framingClose = xmpp.New(xmpp.NSFraming, "close")
	english      = xmpp.Attr{Space: "http://www.w3.org/XML/1998/namespace", Name: "lang", Value: "en"}
)

func streamFault(condition string) xmpp.Element {
	return xmpp.New(xmpp.NSStreams, "error").With(xmpp.New(xmpp.NSErrors, condition))
}

func smFailed(condition string) xmpp.Element {
	return xmpp.New(xmpp.NSSM, "failed").With(xmpp.New(xmpp.NSStanzas, condition))
}

// refused is the reason for refusing a stanza: a condition of RFC 6120, 8.3.3, and its
// former number, which the official SDK reports.
type refused struct {
	code      int
	kind      string // the error's type
	condition string
	text      string
}

var (
	badRequest         = refused{400, "modify", "bad-request", "Bad request."}
	forbidden          = refused{403, "auth", "forbidden", "Forbidden."}
	notOccupant        = refused{403, "auth", "forbidden", "You are not an occupant of this dialog."}
	notFound           = refused{404, "cancel", "item-not-found", "Not found."}
	noPrivacy          = refused{403, "auth", "forbidden", "A room passes no private messages on. Write to the user."} // XEP-0045, 7.5
	notAcceptable      = refused{406, "cancel", "not-acceptable", "You have blocked this user."}
	resourceConstraint = refused{500, "wait", "resource-constraint", "Too much."}
	internalError      = refused{500, "wait", "internal-server-error", "Internal server error."}
	unavailable        = refused{503, "cancel", "service-unavailable", "Service not available."}
)

// refusalFor returns the refusal for an Archive's error.
func refusalFor(err error) refused {
	for _, known := range []struct {
		is error
		r  refused
	}{
		{ErrNoUser, unavailable}, // RFC 6121, 8.5.1
		{ErrNoDialog, notFound},
		{ErrNoMessage, notFound},
		{ErrNotOccupant, notOccupant},
		{ErrForbidden, forbidden},
		{errBlocked, unavailable}, // XEP-0016, 2.14: as if the user did not exist
		{errBlocks, notAcceptable},
	} {
		if errors.Is(err, known.is) {
			return known.r
		}
	}
	return internalError
}

// refusal builds the error answer to a stanza: of the same kind and with the same ID. The
// default text is that of the condition.
func refusal(e *xmpp.Element, r refused, text string) xmpp.Element {
	if text == "" {
		text = r.text
	}
	words := xmpp.New(xmpp.NSStanzas, "text").Saying(text)
	words.Attrs = append(words.Attrs, english)
	out := xmpp.New(xmpp.NSClient, e.Name, "type", "error").With(
		xmpp.New("", "error", "code", strconv.Itoa(r.code), "type", r.kind).With(
			xmpp.New(xmpp.NSStanzas, r.condition), words))
	out.Set("id", e.Attr("id"))
	out.Set("from", e.Attr("to"))
	return out
}

// resultOf returns the empty answer to an iq.
func resultOf(iq *xmpp.Element) xmpp.Element {
	out := xmpp.New(xmpp.NSClient, "iq", "type", "result")
	out.Set("id", iq.Attr("id"))
	out.Set("from", iq.Attr("to"))
	return out
}

// delayed returns a message's text with its time of sending (XEP-0203) as the last child.
func (s *Server) delayed(text []byte, sent time.Time) []byte {
	delay := xmpp.New(nsDelay, "delay", "from", s.o.Domain,
		"stamp", sent.UTC().Format("2006-01-02T15:04:05.000Z")).Saying("Offline Storage")
	const end = "</message>" // content is never empty
	out := slices.Clone(text[:len(text)-len(end)])
	return append(xmpp.Append(out, &delay), end...)
}

func (s *Server) jid(user int64) xmpp.JID {
	return xmpp.JID{Local: strconv.FormatInt(user, 10) + "-" + strconv.FormatInt(s.o.AppID, 10), Domain: s.o.Domain}
}

func (s *Server) room(dialogID string) xmpp.JID {
	return xmpp.JID{Local: strconv.FormatInt(s.o.AppID, 10) + "_" + dialogID, Domain: s.rooms}
}

// occupant returns a user's JID in a room.
func (s *Server) occupant(dialogID string, user int64) string {
	return s.room(dialogID).With(strconv.FormatInt(user, 10)).String()
}

func randomID() string {
	return rand.Text()
}
