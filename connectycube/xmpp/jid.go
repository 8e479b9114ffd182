package xmpp

import (
	"errors"
	"strings"
)

// ErrBadJID means that a text is no JID.
var ErrBadJID = errors.New("xmpp: no JID")

// JID is local@domain/resource. The domain is required.
type JID struct {
	Local, Domain, Resource string
}

// maxPart bounds each part of a JID, in bytes: RFC 7622.
const maxPart = 1023

// ParseJID splits a JID into its parts. It turns the domain into lower case and
// leaves the rest unchanged; the mapping of RFC 7622, which letters beyond ASCII
// need, is missing. The error is ErrBadJID.
func ParseJID(s string) (JID, error) {
	var j JID
	bare, resource, hasResource := strings.Cut(s, "/")
	local, domain, hasLocal := strings.Cut(bare, "@")
	if !hasLocal {
		local, domain = "", bare
	}
	j = JID{local, strings.ToLower(domain), resource}
	wrong := j.Domain == "" || strings.ContainsAny(domain, "@ \t\r\n") ||
		hasLocal && local == "" || strings.ContainsAny(local, "\"&'/:<>@ \t\r\n") ||
		hasResource && resource == "" ||
		len(local) > maxPart || len(domain) > maxPart || len(resource) > maxPart
	if wrong || !validText(s) {
		return JID{}, ErrBadJID
	}
	return j, nil
}

// Bare returns the JID without resource.
func (j JID) Bare() JID {
	j.Resource = ""
	return j
}

// With returns the JID with this resource.
func (j JID) With(resource string) JID {
	j.Resource = resource
	return j
}

// String returns the JID in its usual notation.
func (j JID) String() string {
	s := j.Domain
	if j.Local != "" {
		s = j.Local + "@" + s
	}
	if j.Resource != "" {
		s += "/" + j.Resource
	}
	return s
}
