package embedded

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"io"
	"os"
)

// bbolt's file format, version 2 (go.etcd.io/bbolt, internal/common: page.go, meta.go and
// bucket.go), in the byte order of the machine.
const (
	pageHeader  = 16 // id uint64, flags uint16, count uint16, overflow uint32
	pageElement = 16 // of a branch: pos, ksize uint32, page uint64; of a leaf: flags, pos, ksize, vsize uint32
	bucketHead  = 16 // root uint64, sequence uint64

	branchPage   = 0x01
	leafPage     = 0x02
	metaPage     = 0x04
	freelistPage = 0x10

	bucketElement = 0x01 // flag of a leaf's element
	metaSize      = 64
	metaMagic     = 0xED0CDAED
	noFreelist    = ^uint64(0)
)

// pageWalk reads every page that the root of the file leads to. It notes pages in which bbolt
// would read outside the page or the file.
type pageWalk struct {
	ctx    context.Context
	file   *os.File
	size   int64 // of a page, in bytes
	length int64 // of the file, in bytes
	end    uint64
	seen   []bool // by page
	found  *findings

	branchesOnly bool // skip the leaves of documents and index entries
}

const (
	// plainLevel is the level of the buckets of documents and of index entries, which contain
	// no buckets. They lie in the bucket of their collection, which lies in data.
	plainLevel = 3

	allLevels = -1
	maxHeight = 64 // of a tree, whose branches have at least two children each

	wrongChecksum = "this meta page has a wrong checksum"
)

// meta is the content of a meta page: page numbers and the ID of the transaction.
type meta struct{ root, freelist, end, txid uint64 }

func (w *pageWalk) run() error {
	newest, err := w.metas()
	if err != nil || newest.end == 0 {
		return err
	}
	w.end = newest.end
	if have := uint64(w.length / w.size); w.end > have {
		return w.found.add("page %d: the file is cut short, %d pages of %d are left", have, have, w.end)
	}
	w.seen = make([]bool, w.end)
	if newest.freelist != noFreelist {
		if err := w.freelist(newest.freelist); err != nil {
			return err
		}
	}
	return w.bucket(pageRef{id: newest.root}, 0)
}

// metas reads both meta pages and returns the newer valid one.
func (w *pageWalk) metas() (meta, error) {
	var newest meta
	for id := range uint64(2) {
		b := make([]byte, pageHeader+metaSize)
		if _, err := w.file.ReadAt(b, int64(id)*w.size); err != nil {
			return newest, w.found.add("page %d: %v", id, err)
		}
		flags, b := binary.NativeEndian.Uint16(b[8:]), b[pageHeader:]
		sum := fnv.New64a()
		_, _ = sum.Write(b[:56])
		if flags != metaPage || binary.NativeEndian.Uint32(b) != metaMagic || binary.NativeEndian.Uint64(b[56:]) != sum.Sum64() {
			if err := w.found.add("page %d: %s", id, wrongChecksum); err != nil {
				return newest, err
			}
			continue
		}
		m := meta{
			root: binary.NativeEndian.Uint64(b[16:]), freelist: binary.NativeEndian.Uint64(b[32:]),
			end: binary.NativeEndian.Uint64(b[40:]), txid: binary.NativeEndian.Uint64(b[48:]),
		}
		if m.txid >= newest.txid {
			newest = m
		}
	}
	return newest, nil
}

// pageRef is a page as another page names it.
type pageRef struct{ id, parent uint64 }

// mark notes a reference to a number of pages in a row, and reports whether it is the only
// one to each.
func (w *pageWalk) mark(r pageRef, pages uint64) (bool, error) {
	if pages > 0 && (r.id < 2 || r.id >= w.end) {
		return false, w.found.add("page %d: refers to page %d, which does not exist", r.parent, r.id)
	}
	for i := r.id; i < r.id+pages; i++ {
		if w.seen[i] {
			return false, w.found.add("page %d: is in two places", i)
		}
		w.seen[i] = true
	}
	return true, nil
}

// read returns a page with all its overflow, or nil after it has noted the damage.
func (w *pageWalk) read(r pageRef) ([]byte, error) {
	if w.ctx.Err() != nil {
		return nil, w.ctx.Err()
	}
	if ok, err := w.mark(r, 1); !ok {
		return nil, err
	}
	id := r.id
	header := make([]byte, pageHeader)
	if _, err := w.file.ReadAt(header, int64(id)*w.size); err != nil {
		return nil, w.found.add("page %d: %v", id, err)
	}
	if own := binary.NativeEndian.Uint64(header); own != id {
		return nil, w.found.add("page %d: has the number of page %d", id, own)
	}
	pages := uint64(binary.NativeEndian.Uint32(header[12:])) + 1
	if pages > w.end-id {
		return nil, w.found.add("page %d: claims a length of %d pages", id, pages)
	}
	if ok, err := w.mark(pageRef{id + 1, id}, pages-1); !ok {
		return nil, err
	}
	b := make([]byte, int64(pages)*w.size)
	if _, err := w.file.ReadAt(b, int64(id)*w.size); err != nil && err != io.EOF {
		return nil, w.found.add("page %d: %v", id, err)
	}
	return b, nil
}

// bucket checks all pages of a bucket that lies level buckets deep.
func (w *pageWalk) bucket(root pageRef, level int) error {
	height := allLevels
	if w.branchesOnly && level == plainLevel {
		height = w.height(root.id)
	}
	return w.visit(root, level, height)
}

// height counts the levels of branches from a page down. It follows the first branch of each
// page, because all leaves of a tree have the same depth.
func (w *pageWalk) height(id uint64) int {
	b := make([]byte, pageHeader+pageElement)
	for h := range maxHeight {
		if id >= w.end {
			return h
		}
		if _, err := w.file.ReadAt(b, int64(id)*w.size); err != nil || binary.NativeEndian.Uint16(b[8:]) != branchPage {
			return h
		}
		id = binary.NativeEndian.Uint64(b[pageHeader+8:])
	}
	return maxHeight
}

// visit checks a page of a bucket and height levels of branches, itself included.
func (w *pageWalk) visit(r pageRef, level, height int) error {
	if height == 0 {
		_, err := w.mark(r, 1)
		return err
	}
	b, err := w.read(r)
	if b == nil {
		return err
	}
	return w.elements(node{r.id, b, level, max(height-1, allLevels)})
}

// node is a page of a tree, or a bucket that lies inline in one.
type node struct {
	page   uint64
	bytes  []byte
	level  int // of its bucket
	height int // levels of branches to check below
}

func (n node) isBranch() bool { return binary.NativeEndian.Uint16(n.bytes[8:]) == branchPage }

// elements checks the elements of a node.
func (w *pageWalk) elements(n node) error {
	flags, count := binary.NativeEndian.Uint16(n.bytes[8:]), int(binary.NativeEndian.Uint16(n.bytes[10:]))
	if flags != branchPage && flags != leafPage {
		return w.found.add("page %d: has the unknown type %#x", n.page, flags)
	}
	if pageHeader+count*pageElement > len(n.bytes) || n.isBranch() && count == 0 {
		return w.found.add("page %d: claims %d elements", n.page, count)
	}
	for i := range count {
		if err := w.element(n, pageHeader+i*pageElement); err != nil {
			return err
		}
	}
	return nil
}

// element checks the element at an offset of a node, and all pages below it.
func (w *pageWalk) element(n node, at int) error {
	number := func(i int) int { return int(binary.NativeEndian.Uint32(n.bytes[at+4*i:])) }
	if n.isBranch() {
		if key := at + number(0); number(1) == 0 || key+number(1) > len(n.bytes) {
			return w.found.add("page %d: a key lies outside the page", n.page)
		}
		return w.visit(pageRef{binary.NativeEndian.Uint64(n.bytes[at+8:]), n.page}, n.level, n.height)
	}
	from := at + number(1) + number(2)
	to := from + number(3)
	if number(2) == 0 || to > len(n.bytes) {
		return w.found.add("page %d: an element lies outside the page", n.page)
	}
	if number(0)&bucketElement == 0 {
		return nil
	}
	value := n.bytes[from:to]
	if len(value) < bucketHead {
		return w.found.add("page %d: contains a bucket of %d bytes", n.page, len(value))
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return w.bucket(pageRef{root, n.page}, n.level+1)
	}
	if value = value[bucketHead:]; len(value) < pageHeader {
		return w.found.add("page %d: contains an inline bucket of %d bytes", n.page, len(value))
	}
	return w.elements(node{n.page, value, n.level + 1, allLevels})
}

// freelist checks the page that lists the free ones.
func (w *pageWalk) freelist(id uint64) error {
	b, err := w.read(pageRef{id: id})
	if b == nil {
		return err
	}
	if flags := binary.NativeEndian.Uint16(b[8:]); flags != freelistPage {
		return w.found.add("page %d: has type %#x, want the list of free pages", id, flags)
	}
	count, ids := uint64(binary.NativeEndian.Uint16(b[10:])), b[pageHeader:]
	if count == 0xFFFF { // the first id is the count
		count, ids = binary.NativeEndian.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return w.found.add("page %d: claims a list of %d pages", id, count)
	}
	for i := range count {
		if free := binary.NativeEndian.Uint64(ids[8*i:]); free < 2 || free >= w.end {
			return w.found.add("page %d: lists page %d, which does not exist", id, free)
		}
	}
	return nil
}
