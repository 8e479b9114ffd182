package xmpp

import (
	"slices"
	"strings"
)

// Attr is an attribute. Space is its namespace, empty for most attributes.
type Attr struct {
	Space, Name, Value string
}

// Element is an element of a stanza, or a stanza.
//
// Text is all character data directly inside the element. The position of text
// between children is lost; outside of XHTML-IM, XMPP has no such mixed content.
type Element struct {
	Space    string // namespace; empty when building: that of the parent, NSClient for the root
	Name     string // without prefix
	Attrs    []Attr
	Text     string
	Children []Element
}

// New builds an element; attrs alternates names and values.
func New(space, name string, attrs ...string) Element {
	e := Element{Space: space, Name: name}
	for i := 0; i+1 < len(attrs); i += 2 {
		e.Attrs = append(e.Attrs, Attr{Name: attrs[i], Value: attrs[i+1]})
	}
	return e
}

// With returns e with children added.
func (e Element) With(children ...Element) Element {
	e.Children = append(slices.Clip(e.Children), children...)
	return e
}

// Saying returns e with its text set.
func (e Element) Saying(text string) Element {
	e.Text = text
	return e
}

// Is reports whether e has this name in this namespace.
func (e *Element) Is(space, name string) bool {
	return e.Name == name && e.Space == space
}

// Attr returns the value of the attribute without namespace, empty if it is
// missing.
func (e *Element) Attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name == name && a.Space == "" {
			return a.Value
		}
	}
	return ""
}

// Set sets the value of an attribute. An empty value removes the attribute.
func (e *Element) Set(name, value string) {
	i := slices.IndexFunc(e.Attrs, func(a Attr) bool { return a.Name == name && a.Space == "" })
	switch {
	case i >= 0 && value == "":
		e.Attrs = slices.Concat(e.Attrs[:i], e.Attrs[i+1:])
	case i >= 0:
		e.Attrs = slices.Clone(e.Attrs)
		e.Attrs[i].Value = value
	case value != "":
		e.Attrs = append(slices.Clip(e.Attrs), Attr{Name: name, Value: value})
	}
}

// Child returns the first child of this name in this namespace, or nil.
func (e *Element) Child(space, name string) *Element {
	for i := range e.Children {
		if e.Children[i].Is(space, name) {
			return &e.Children[i]
		}
	}
	return nil
}

// ChildText returns the text of the first child of this name in this namespace,
// empty if there is none.
func (e *Element) ChildText(space, name string) string {
	if c := e.Child(space, name); c != nil {
		return c.Text
	}
	return ""
}

// Clone returns a copy that shares no memory with e, and so none with the frame of
// e: a part of a frame keeps the whole frame in memory.
func (e *Element) Clone() Element {
	out := Element{Space: strings.Clone(e.Space), Name: strings.Clone(e.Name), Text: strings.Clone(e.Text)}
	for _, a := range e.Attrs {
		out.Attrs = append(out.Attrs, Attr{strings.Clone(a.Space), strings.Clone(a.Name), strings.Clone(a.Value)})
	}
	for i := range e.Children {
		out.Children = append(out.Children, e.Children[i].Clone())
	}
	return out
}
