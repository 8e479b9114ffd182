package embedded

import (
	"bytes"
	"math"
	"slices"
)

// sorter sorts documents in memory, up to maxSortBytes. From time to time it drops documents
// beyond the first want.
type sorter struct {
	want int64
	all  []keyed
	size int // bytes in all
}

// keyed is a document with its key in an order.
type keyed struct {
	key []byte
	d   document
}

// add keeps both slices.
func (s *sorter) add(key []byte, d document) error {
	s.all = append(s.all, keyed{key, d})
	s.size += len(key) + len(d)
	if s.size > maxSortBytes || s.want < math.MaxInt64/4 && int64(len(s.all)) > 2*s.want+1000 {
		s.trim()
	}
	if s.size > maxSortBytes {
		return fail(codeSortMemory, "Sort exceeded memory limit of %d bytes; use an index in that order or a limit", maxSortBytes)
	}
	return nil
}

func (s *sorter) trim() {
	slices.SortStableFunc(s.all, func(a, b keyed) int { return bytes.Compare(a.key, b.key) })
	if int64(len(s.all)) > s.want {
		s.all = slices.Delete(s.all, int(s.want), len(s.all))
	}
	s.size = 0
	for _, k := range s.all {
		s.size += len(k.key) + len(k.d)
	}
}

// docs returns the sorted documents without the first skip ones.
func (s *sorter) docs(skip int64) []document {
	s.trim()
	var docs []document
	for _, k := range s.all[min(skip, int64(len(s.all))):] {
		docs = append(docs, k.d)
	}
	return docs
}
