package transport

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"sync"
	"unsafe"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/vektah/gqlparser/v2/ast"
)

// Bounds of the cache of documents. The smallest document takes about 1 KiB.
const (
	maxKnownBytes = 4 << 20
	maxKnown      = maxKnownBytes >> 10
	bytesPerEntry = 256 // of the cache itself
)

// digest is the SHA-256 of a document's text, computed by this server.
type digest [sha256.Size]byte

// documents caches the documents that passed the guard, by their digest. An app has few
// documents, the same for all its users, so most requests find theirs here. It also
// holds the documents of automatic persisted queries, which name a document by its
// digest alone (https://www.apollographql.com/docs/apollo-server/performance/apq).
//
// A cached document is checked against the schema only. All costs that depend on
// variables are computed for each request.
type documents struct {
	mu    sync.Mutex
	known *simplelru.LRU[digest, knownDocument]
	bytes int // of all known documents
}

// knownDocument is a valid document. It is read-only, because requests share it.
type knownDocument struct {
	tree  *ast.QueryDocument
	bytes int
}

func newDocuments() (*documents, error) {
	d := &documents{}
	forget := func(_ digest, old knownDocument) { d.bytes -= old.bytes }
	var err error
	if d.known, err = simplelru.NewLRU(maxKnown, forget); err != nil {
		return nil, fmt.Errorf("making the cache of documents: %w", err)
	}
	return d, nil
}

// find returns the document with a digest, or nil.
func (d *documents) find(key digest) *ast.QueryDocument {
	d.mu.Lock()
	defer d.mu.Unlock()
	found, _ := d.known.Get(key)
	return found.tree
}

// keep caches a valid document, and forgets the documents that were not used for the
// longest time, until all fit. It keeps no document that may hold a password.
func (d *documents) keep(key digest, text string, doc *ast.QueryDocument) {
	m := measureDocument(text, doc)
	size := m.bytes + bytesPerEntry
	if m.mayHoldSecret(doc) || size > maxKnownBytes {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known.Contains(key) { // another request was faster
		return
	}
	d.known.Add(key, knownDocument{tree: doc, bytes: size})
	for d.bytes += size; d.bytes > maxKnownBytes; {
		d.known.RemoveOldest()
	}
}

// measure walks over a document, and adds up its memory.
type measure struct {
	text   string // of the document; most names are parts of it and take no memory of their own
	seen   map[unsafe.Pointer]bool
	bytes  int
	inline bool // a string or an object stands in the document
}

func measureDocument(text string, doc *ast.QueryDocument) *measure {
	m := &measure{text: text, seen: map[unsafe.Pointer]bool{}}
	m.allocated(len(text))
	m.add(reflect.ValueOf(doc))
	return m
}

// mayHoldSecret reports whether a document has a mutation and, at any place, a string
// or an object that is not in a variable. Such a mutation may contain a password, and a
// client could test guesses with the digest of the whole document.
func (m *measure) mayHoldSecret(doc *ast.QueryDocument) bool {
	for _, op := range doc.Operations {
		if op.Operation != ast.Query && m.inline {
			return true
		}
	}
	return false
}

// add adds all that a value refers to, each part once. The definitions of the schema do
// not count, because all documents share them.
func (m *measure) add(v reflect.Value) {
	switch v.Kind() {
	case reflect.Interface:
		m.add(v.Elem())
	case reflect.Pointer:
		if v.IsNil() || m.seen[v.UnsafePointer()] {
			return
		}
		m.seen[v.UnsafePointer()] = true
		switch node := v.Interface().(type) {
		case *ast.Definition, *ast.FieldDefinition, *ast.DirectiveDefinition:
			return
		case *ast.Value:
			m.inline = m.inline || node.Kind == ast.StringValue || node.Kind == ast.BlockValue || node.Kind == ast.ObjectValue
		}
		m.allocated(int(v.Type().Elem().Size()))
		m.add(v.Elem())
	case reflect.Slice:
		m.allocated(v.Cap() * int(v.Type().Elem().Size()))
		for i := range v.Len() {
			m.add(v.Index(i))
		}
	case reflect.Struct:
		for field, value := range v.Fields() {
			if field.Name != "ExpectedType" { // the schema's
				m.add(value)
			}
		}
	case reflect.String:
		if !within(m.text, v.String()) {
			m.allocated(v.Len())
		}
	}
}

// allocated adds one allocation, as rounded up by the runtime: to a multiple of 16
// bytes, and by an eighth at most beyond that
// (https://go.dev/src/internal/runtime/gc/sizeclasses.go).
func (m *measure) allocated(bytes int) {
	rounded := (bytes + 15) &^ 15
	if bytes > 256 {
		rounded += bytes / 8
	}
	m.bytes += rounded
}

// within reports whether part shares the memory of text.
func within(text, part string) bool {
	from, at := uintptr(unsafe.Pointer(unsafe.StringData(text))), uintptr(unsafe.Pointer(unsafe.StringData(part)))
	return at >= from && at+uintptr(len(part)) <= from+uintptr(len(text))
}
