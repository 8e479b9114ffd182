// Package xmpp is XMPP's notation: stanzas as trees of elements, read from and
// written to WebSocket frames (RFC 7395), and addresses. It knows nothing of
// connections, logins or what a stanza means.
//
// Start reading at Parse and Append; Element is what both are about.
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
