package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// filled returns a file of some hundred pages with indexes, free pages and a long document.
func filled(t *testing.T) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "filled.db")
	s, err := Start(Options{File: file, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, s).Database("test").Collection("c")
	makeIndex(t, c, D{{Key: "email", Value: 1}}, options.Index().SetUnique(true))
	makeIndex(t, c, D{{Key: "n", Value: 1}}, nil)
	for part := range 3 {
		var docs []any
		for i := range 400 {
			id := 400*part + i
			docs = append(docs, D{{Key: "_id", Value: id}, {Key: "email", Value: fmt.Sprint("mail", id)}, {Key: "n", Value: id * 7919 % 1200}, {Key: "text", Value: strings.Repeat("x", 300)}})
		}
		insertAll(t, c, docs...)
	}
	insertAll(t, c, D{{Key: "_id", Value: "long"}, {Key: "email", Value: "long"}, {Key: "text", Value: strings.Repeat("y", 20_000)}})
	if _, err := c.DeleteMany(t.Context(), D{{Key: "n", Value: D{{Key: "$lt", Value: 100}}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func written(t *testing.T, raw []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "test.db")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCheckAcceptsAGoodFile(t *testing.T) {
	file := written(t, filled(t))
	if found, err := Check(t.Context(), file); err != nil || len(found) > 0 {
		t.Errorf("found %q, %v", found, err)
	}
	fresh := filepath.Join(t.TempDir(), "fresh.db")
	s := startAt(t, Options{File: fresh})
	if _, err := Check(t.Context(), fresh); !errors.Is(err, ErrLocked) {
		t.Errorf("beside a running server: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if found, err := Check(t.Context(), fresh); err != nil || len(found) > 0 {
		t.Errorf("in an empty database: %q, %v", found, err)
	}
	if _, err := Check(t.Context(), fresh+"2"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := os.Stat(fresh + "2"); err == nil {
		t.Error("checking made a file")
	}
}

// pageOf returns a used page of a type with several elements.
func pageOf(t *testing.T, raw []byte, flags uint16) []byte {
	t.Helper()
	file, err := os.Open(written(t, raw))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	w := &pageWalk{ctx: t.Context(), file: file, size: int64(os.Getpagesize()), length: int64(len(raw)), found: &findings{}}
	if err := w.run(); err != nil {
		t.Fatal(err)
	}
	for id, used := range w.seen {
		p := raw[id*os.Getpagesize():]
		if used && binary.NativeEndian.Uint16(p[8:]) == flags && binary.NativeEndian.Uint16(p[10:]) > 5 && id > 1 {
			return p
		}
	}
	t.Fatalf("no page of type %#x", flags)
	return nil
}

// TestDamage damages a file in each place where damage once ended the process or stayed
// unnoticed.
func TestDamage(t *testing.T) {
	whole := filled(t)
	page := os.Getpagesize()
	tests := []struct {
		name string
		harm func(raw []byte) []byte
		want string // in the findings or in the error of Check
	}{
		{"a child far outside", func(raw []byte) []byte {
			binary.NativeEndian.PutUint64(pageOf(t, raw, branchPage)[pageHeader+8:], 1<<40)
			return raw
		}, "does not exist"},
		{"a child that is its parent", func(raw []byte) []byte {
			p := pageOf(t, raw, branchPage)
			binary.NativeEndian.PutUint64(p[pageHeader+8:], binary.NativeEndian.Uint64(p))
			return raw
		}, "in two places"},
		{"a key far outside", func(raw []byte) []byte {
			binary.NativeEndian.PutUint32(pageOf(t, raw, leafPage)[pageHeader+4:], 1<<30)
			return raw
		}, "outside the page"},
		{"keys out of order", func(raw []byte) []byte {
			p := pageOf(t, raw, leafPage)[pageHeader:]
			for i := range 4 { // exchanges the position of the first element and that of the second
				p[4+i], p[4+pageElement+i] = p[4+pageElement+i], p[4+i]
			}
			return raw
		}, "needs to be >"},
		{"an unknown type", func(raw []byte) []byte {
			binary.NativeEndian.PutUint16(pageOf(t, raw, leafPage)[8:], 0x40)
			return raw
		}, "unknown type"},
		{"a free list that is none", func(raw []byte) []byte {
			binary.NativeEndian.PutUint16(pageOf(t, raw, freelistPage)[8:], leafPage)
			return raw
		}, "page"},
		{"a meta page", func(raw []byte) []byte { raw[pageHeader+20] ^= 4; return raw }, "page 0: "},
		{"both meta pages", func(raw []byte) []byte { raw[pageHeader+20] ^= 4; raw[page+pageHeader+20] ^= 4; return raw }, "first pages are invalid"},
		{"cut in half", func(raw []byte) []byte { return raw[:20*page] }, "cut short"},
		{"cut to the meta pages", func(raw []byte) []byte { return raw[:2*page] }, "cut short"},
		{"cut to one byte", func(raw []byte) []byte { return raw[:1] }, "first pages are invalid"},
		{"cut to one page", func(raw []byte) []byte { return raw[:page] }, "is truncated"},
		{"zeroed", func(raw []byte) []byte { return make([]byte, len(raw)) }, "first pages are invalid"},
		{"a document", func(raw []byte) []byte {
			for i := 0; i < len(raw); { // in all versions of the pages
				next := bytes.Index(raw[i:], []byte("email\x00"))
				if next < 1 {
					break
				}
				if at := i + next; string(raw[at+10:at+14]) == "mail" { // skips the catalog
					raw[at-1] = 0x7e // the type of the field
				}
				i += next + 1
			}
			return raw
		}, "not BSON"},
		{"an index entry", func(raw []byte) []byte {
			for at := bytes.Index(raw, []byte("mail1199")); at >= 0; { // the last entry of its index stays in order
				raw[at+7] = '8' + 1
				if raw[at-1] != 0 { // an index entry; a document has the length of the text here
					raw[at+7] = 'x'
				}
				next := bytes.Index(raw[at+1:], []byte("mail1199"))
				if next < 0 {
					break
				}
				at += 1 + next
			}
			return raw
		}, "lead"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := written(t, tt.harm(slices.Clone(whole)))
			found, err := Check(t.Context(), file)
			if text := fmt.Sprint(strings.Join(found, "\n"), err); !strings.Contains(text, tt.want) {
				t.Errorf("found %q, %v; want %q", found, err, tt.want)
			}
			exercise(t, file)
		})
	}
}

// exercise serves a file that may be damaged. Commands may fail, but must return.
func exercise(t *testing.T, file string) {
	t.Helper()
	s, err := Start(Options{File: file, NoSync: true})
	if err != nil {
		if !strings.Contains(err.Error(), file) || errors.Is(err, ErrDamaged) && !strings.Contains(err.Error(), "restore") {
			t.Errorf("starting: %v; want the file and the remedy", err)
		}
		if _, err = Start(Options{File: file, NoSync: true}); err == nil || errors.Is(err, ErrLocked) {
			t.Errorf("starting again: %v", err) // the first Start must release the file
		}
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client, err := mongo.Connect(options.Client().ApplyURI(s.URI()).SetDialer(s))
	if err != nil {
		t.Fatal(err)
	}
	c := client.Database("test").Collection("c")
	for _, filter := range []D{{}, {{Key: "email", Value: "mail700"}}, {{Key: "n", Value: D{{Key: "$gt", Value: 0}}}}} {
		var all []D
		if cur, err := c.Find(ctx, filter); err == nil {
			_ = cur.All(ctx, &all)
		}
	}
	for i := range 20 {
		_, _ = c.InsertOne(ctx, D{{Key: "_id", Value: 5000 + i}, {Key: "email", Value: fmt.Sprint("new", i)}, {Key: "n", Value: i}})
	}
	_, _ = c.UpdateMany(ctx, D{}, D{{Key: "$inc", Value: D{{Key: "n", Value: 1}}}})
	_, _ = c.DeleteMany(ctx, D{{Key: "n", Value: D{{Key: "$gt", Value: 600}}}})
	if ctx.Err() != nil {
		t.Error("a command hung")
	}
	_ = client.Disconnect(ctx)
	_ = s.Close() // a damaged file makes it fail
}

// TestFlippedBits flips random bits. Commands may fail, but must return.
func TestFlippedBits(t *testing.T) {
	whole := filled(t)
	rounds := 40
	if more := os.Getenv("FLIPS"); more != "" {
		_, _ = fmt.Sscan(more, &rounds)
	}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		raw := slices.Clone(whole)
		for range 1 + r.IntN(30) {
			at := r.IntN(len(raw))
			if r.IntN(2) == 0 { // in headers and elements, with the greatest effect
				at = at / os.Getpagesize() * os.Getpagesize()
				at += r.IntN(200)
			}
			raw[at] ^= 1 << r.IntN(8)
		}
		file := written(t, raw)
		if _, err := Check(t.Context(), file); err != nil && !strings.Contains(err.Error(), file) {
			t.Errorf("seed %d: checking: %v", seed, err)
		}
		exercise(t, file)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
