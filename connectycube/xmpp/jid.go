package xmpp

import (
	"errors"
	"strings"
)

// ErrAddress says that a text is no JID.
var ErrAddress = errors.New("xmpp: no address")

// JID is an address, local@domain/resource. Only the domain is always there.
type JID struct {
	Local, Domain, Resource string
}

// maxPart is how many bytes each part of a JID may have: RFC 7622.
const maxPart = 1023

// ParseJID takes an address apart. The domain is put in lower case; the rest is
// left as it is, without the mapping of RFC 7622, which letters beyond ASCII
// would need. Errors are ErrAddress.
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
		return JID{}, ErrAddress
	}
	return j, nil
}

// Bare is the address without resource.
func (j JID) Bare() JID {
	j.Resource = ""
	return j
}

// With is the address with this resource.
func (j JID) With(resource string) JID {
	j.Resource = resource
	return j
}

// String is the address as it is written.
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
