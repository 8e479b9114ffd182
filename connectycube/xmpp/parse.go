package xmpp

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// The reasons why Parse refuses a frame. The first two end a stream by RFC 6120
// (not-well-formed, restricted-xml), the third by the policy of the reader.
var (
	ErrMalformed  = errors.New("xmpp: not well-formed")
	ErrRestricted = errors.New("xmpp: comment, instruction, declaration or entity") // RFC 6120, 11.1
	ErrTooLarge   = errors.New("xmpp: too large")
)

// Limits bound what Parse accepts. A zero field has its default, which is far above
// the needs of chat clients.
type Limits struct {
	Bytes    int // of the frame; default 64 KiB
	Depth    int // of nested elements, the stanza included; default 32
	Elements int // in the frame; default 1000
	Attrs    int // of one element, namespace declarations included; default 64
}

func (l Limits) orDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{{&l.Bytes, 64 << 10}, {&l.Depth, 32}, {&l.Elements, 1000}, {&l.Attrs, 64}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return l
}

// Parse reads the elements of one frame. There are none if the frame is only white
// space, which some clients send to keep a connection open. Usually there is one,
// and several if a peer violates RFC 7395.
//
// Parse resolves namespaces and drops prefixes. An element without a namespace is
// in NSClient, as in a stream that declares it. So is an element with xmlns="":
// XMPP has no elements without namespace, and serializers of DOM trees write that
// by accident.
//
// Errors wrap ErrMalformed, ErrRestricted or ErrTooLarge.
func Parse(frame string, l Limits) ([]Element, error) {
	l = l.orDefaults()
	if len(frame) > l.Bytes {
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(frame))
	}
	if !validText(frame) {
		return nil, fmt.Errorf("%w: a character that XML does not have", ErrMalformed)
	}
	p := &parser{in: frame, limits: l}
	var out []Element
	for {
		p.skipSpace()
		if p.pos == len(p.in) {
			return out, nil
		}
		e, err := p.element(1)
		if err != nil {
			return nil, fmt.Errorf("%w, near byte %d", err, p.pos)
		}
		out = append(out, e)
	}
}

// parser holds the position in a frame. The strings that it returns are parts of
// the frame, except those that contained references.
type parser struct {
	in     string
	pos    int
	limits Limits
	seen   int       // elements
	scope  []binding // the innermost last
}

type binding struct{ prefix, space string }

// element reads an element, from its first < to the last >.
func (p *parser) element(depth int) (Element, error) {
	if p.seen++; p.seen > p.limits.Elements || depth > p.limits.Depth {
		return Element{}, fmt.Errorf("%w: elements", ErrTooLarge)
	}
	if err := p.restricted(); err != nil {
		return Element{}, err
	}
	if !p.skip("<") {
		return Element{}, fmt.Errorf("%w: want <", ErrMalformed)
	}
	outer := len(p.scope)
	defer func() { p.scope = p.scope[:outer] }()

	var e Element
	tag, empty, err := p.startTag(&e)
	if err != nil || empty {
		return e, err
	}
	return e, p.content(&e, tag, depth)
}

// startTag reads a tag after its <, up to its >, and resolves its names.
func (p *parser) startTag(e *Element) (tag string, empty bool, err error) {
	tag, err = p.name()
	if err != nil {
		return "", false, err
	}
	count := 0
	for {
		spaced := p.skipSpace()
		switch {
		case p.skip("/>"):
			return tag, true, p.resolve(e, tag)
		case p.skip(">"):
			return tag, false, p.resolve(e, tag)
		case !spaced:
			return "", false, fmt.Errorf("%w: tag", ErrMalformed)
		}
		if count++; count > p.limits.Attrs {
			return "", false, fmt.Errorf("%w: attributes", ErrTooLarge)
		}
		if err := p.attribute(e); err != nil {
			return "", false, err
		}
	}
}

// attribute reads one attribute. It adds namespace declarations to the scope, and
// other attributes to e, with the prefix still in the name.
func (p *parser) attribute(e *Element) error {
	name, err := p.name()
	if err != nil {
		return err
	}
	p.skipSpace()
	if !p.skip("=") {
		return fmt.Errorf("%w: attribute without value", ErrMalformed)
	}
	p.skipSpace()
	value, err := p.quoted()
	if err != nil {
		return err
	}
	prefix, declares := strings.CutPrefix(name, "xmlns:")
	if name == "xmlns" {
		prefix, declares = "", true
	}
	if !declares {
		e.Attrs = append(e.Attrs, Attr{Name: name, Value: value})
		return nil
	}
	if prefix == "xmlns" || (prefix == "xml") != (value == nsXML) || value == nsXMLNS || value == "" && prefix != "" {
		return fmt.Errorf("%w: declaration of %q", ErrMalformed, prefix)
	}
	p.scope = append(p.scope, binding{prefix, value})
	return nil
}

// resolve sets the namespaces of e and its attributes. All declarations of the tag
// must be read.
func (p *parser) resolve(e *Element, tag string) error {
	var err error
	if e.Space, e.Name, err = p.lookUp(tag); err != nil {
		return err
	}
	if e.Space == "" {
		e.Space = NSClient
	}
	for i := range e.Attrs {
		a := &e.Attrs[i]
		if strings.Contains(a.Name, ":") { // without prefix an attribute has no namespace
			if a.Space, a.Name, err = p.lookUp(a.Name); err != nil {
				return err
			}
		}
		for _, earlier := range e.Attrs[:i] {
			if earlier.Name == a.Name && earlier.Space == a.Space {
				return fmt.Errorf("%w: attribute twice", ErrMalformed)
			}
		}
	}
	return nil
}

func (p *parser) lookUp(name string) (space, local string, err error) {
	prefix, local, ok := strings.Cut(name, ":")
	if !ok {
		prefix, local = "", name
	}
	for i := len(p.scope) - 1; i >= 0; i-- {
		if p.scope[i].prefix == prefix {
			return p.scope[i].space, local, nil
		}
	}
	switch prefix {
	case "":
		return "", local, nil
	case "xml":
		return nsXML, local, nil
	}
	return "", "", fmt.Errorf("%w: prefix %q", ErrMalformed, prefix)
}

// content reads the content of an element and its end tag.
func (p *parser) content(e *Element, tag string, depth int) error {
	for {
		n := strings.IndexByte(p.in[p.pos:], '<')
		if n < 0 {
			p.pos = len(p.in)
			return fmt.Errorf("%w: no end of an element", ErrMalformed)
		}
		text, err := unescape(p.in[p.pos:p.pos+n], false)
		if err != nil {
			return err
		}
		e.Text += text
		p.pos += n
		switch {
		case p.skip("</"):
			end := p.skip(tag)
			p.skipSpace()
			if !end || !p.skip(">") {
				return fmt.Errorf("%w: end of another element", ErrMalformed)
			}
			return nil
		case p.skip("<![CDATA["):
			data, _, ok := strings.Cut(p.in[p.pos:], "]]>")
			if !ok {
				return fmt.Errorf("%w: no end of CDATA", ErrMalformed)
			}
			p.pos += len(data) + len("]]>")
			e.Text += lines(data)
		default:
			child, err := p.element(depth + 1)
			if err != nil {
				return err
			}
			e.Children = append(e.Children, child)
		}
	}
}

func (p *parser) restricted() error {
	if rest := p.in[p.pos:]; strings.HasPrefix(rest, "<!") || strings.HasPrefix(rest, "<?") {
		return ErrRestricted
	}
	return nil
}

// name reads a name with at most one prefix.
func (p *parser) name() (string, error) {
	start := p.pos
	for p.pos < len(p.in) {
		r, size := utf8.DecodeRuneInString(p.in[p.pos:])
		if r != ':' && !nameRune(r) {
			break
		}
		p.pos += size
	}
	name := p.in[start:p.pos]
	prefix, local, ok := strings.Cut(name, ":")
	if !ValidName(prefix) || ok && !ValidName(local) {
		return "", fmt.Errorf("%w: name", ErrMalformed)
	}
	return name, nil
}

// quoted reads an attribute's value with its quotes.
func (p *parser) quoted() (string, error) {
	if p.pos == len(p.in) || p.in[p.pos] != '"' && p.in[p.pos] != '\'' {
		return "", fmt.Errorf("%w: value without quotes", ErrMalformed)
	}
	value, _, ok := strings.Cut(p.in[p.pos+1:], p.in[p.pos:p.pos+1])
	if !ok || strings.IndexByte(value, '<') >= 0 {
		return "", fmt.Errorf("%w: value", ErrMalformed)
	}
	p.pos += len(value) + 2
	return unescape(value, true)
}

func (p *parser) skip(s string) bool {
	if !strings.HasPrefix(p.in[p.pos:], s) {
		return false
	}
	p.pos += len(s)
	return true
}

func (p *parser) skipSpace() bool {
	start := p.pos
	for p.pos < len(p.in) && strings.IndexByte(" \t\r\n", p.in[p.pos]) >= 0 {
		p.pos++
	}
	return p.pos > start
}
