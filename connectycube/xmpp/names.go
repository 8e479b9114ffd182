// Package xmpp is the codec of the chat protocol: it reads stanzas from WebSocket
// frames (RFC 7395) as trees of elements, writes such frames, and splits JIDs. It
// knows nothing of connections, logins or the meaning of a stanza.
//
// Start reading at Element, then at Parse and Append.
package xmpp

// Namespaces.
const (
	NSClient  = "jabber:client"
	NSFraming = "urn:ietf:params:xml:ns:xmpp-framing"
	NSStreams = "http://etherx.jabber.org/streams"
	NSSASL    = "urn:ietf:params:xml:ns:xmpp-sasl"
	NSBind    = "urn:ietf:params:xml:ns:xmpp-bind"
	NSSession = "urn:ietf:params:xml:ns:xmpp-session"
	NSStanzas = "urn:ietf:params:xml:ns:xmpp-stanzas" // conditions of a stanza's error
	NSErrors  = "urn:ietf:params:xml:ns:xmpp-streams" // conditions of a stream's error
	NSSM      = "urn:xmpp:sm:3"                       // stream management, XEP-0198
	nsXML     = "http://www.w3.org/XML/1998/namespace"
	nsXMLNS   = "http://www.w3.org/2000/xmlns/"
)
