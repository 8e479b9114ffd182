package embedded

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// TestBuildPutsEntriesInOrder checks the order in which fill puts entries. An entry out of
// order would move all later ones, so that twice as many documents would take four times as
// long. With little memory, fill reads the collection several times with the same result.
func TestBuildPutsEntriesInOrder(t *testing.T) {
	s := start(t)
	c := connect(t, s).Database("test").Collection("c")
	const n = 3000
	docs := make([]any, n)
	for i, k := range rand.Perm(n) {
		docs[i] = D{{Key: "_id", Value: i}, {Key: "a", Value: k}, {Key: "same", Value: "x"}, {Key: "tags", Value: A{k, k % 7}}}
	}
	insertAll(t, c, docs...)
	for _, field := range []string{"a", "same", "tags"} {
		for _, memory := range []int{buildMemory, 20_000, 1} {
			if memory == 1 && field != "a" {
				continue // slow, with one pass for each entry: one field is enough
			}
			t.Run(fmt.Sprintf("%s in %d bytes", field, memory), func(t *testing.T) {
				var last []byte
				entries := 0
				_, err := s.read(func(txn *txn) ([]byte, error) {
					ix, err := parseIndex(rawDoc(t, `{"v":2,"name":"new","key":{"`+field+`":1}}`))
					if err != nil {
						return nil, err
					}
					col := txn.catalog.collections["test.c"]
					if memory == 1 {
						return nil, txn.fillFirst(t, col, ix)
					}
					return nil, txn.fill(t.Context(), col, ix, memory, func(entry, _ []byte) error {
						if bytes.Compare(entry, last) <= 0 {
							return fmt.Errorf("entry %x after %x", entry, last)
						}
						last, entries = bytes.Clone(entry), entries+1
						return nil
					})
				})
				want := map[string]int{"a": n, "same": n, "tags": 2*n - 7}[field] // [k, k%7] is one entry for k < 7
				if err != nil || entries != want && memory != 1 {
					t.Errorf("%d entries, %v; want %d", entries, err, want)
				}
			})
		}
	}
	for _, field := range []string{"a", "tags"} {
		makeIndex(t, c, D{{Key: field, Value: 1}}, nil)
	}
	checkIndexes(t, s)
}

// fillFirst collects with memory for a single entry and expects the smallest one.
func (t *txn) fillFirst(tb testing.TB, c *collection, ix *index) error {
	r := &entryRun{limit: 1}
	if err := t.collect(tb.Context(), c, ix, r); err != nil {
		return err
	}
	if len(r.entries) != 1 || len(r.held) > 100 || !r.next() {
		return fmt.Errorf("%d entries, %d bytes held", len(r.entries), len(r.held))
	}
	return nil
}

// TestBuildFindsDuplicates checks duplicates within one pass and across passes.
func TestBuildFindsDuplicates(t *testing.T) {
	s := start(t)
	c := connect(t, s).Database("test").Collection("c")
	const n = 2000
	docs := make([]any, n)
	for i, k := range rand.Perm(n) {
		docs[i] = D{{Key: "_id", Value: i}, {Key: "email", Value: fmt.Sprint("mail", k)}}
	}
	insertAll(t, c, docs...)
	insertAll(t, c, D{{Key: "_id", Value: n}, {Key: "email", Value: "mail7"}})
	unique := options.Index().SetUnique(true).SetName("email_1")
	for _, memory := range []int{buildMemory, 10_000, 2_000} {
		_, err := s.read(func(txn *txn) ([]byte, error) {
			ix, err := parseIndex(rawDoc(t, `{"v":2,"name":"email_1","key":{"email":1},"unique":true}`))
			if err != nil {
				return nil, err
			}
			return nil, txn.fill(t.Context(), txn.catalog.collections["test.c"], ix, memory, func(_, _ []byte) error { return nil })
		})
		if f := asFailure(err); f.code != codeDuplicateKey || f.message != `E11000 duplicate key error collection: test.c index: email_1 dup key: { email: "mail7" }` {
			t.Errorf("in %d bytes: %v", memory, err)
		}
	}
	_, err := c.Indexes().CreateOne(t.Context(), mongo.IndexModel{Keys: D{{Key: "email", Value: 1}}, Options: unique})
	wantCode(t, "building over duplicates", err, codeDuplicateKey)
	if _, err := c.DeleteOne(t.Context(), D{{Key: "_id", Value: n}}); err != nil {
		t.Fatal(err)
	}
	makeIndex(t, c, D{{Key: "email", Value: 1}}, unique)
	checkIndexes(t, s)
}

// BenchmarkBuildIndex builds one index over values in random order:
//
//	BUILD_USERS=250000 go test -run='^$' -bench=BuildIndex -benchtime=1x ./store/embedded
func BenchmarkBuildIndex(b *testing.B) {
	users, err := strconv.Atoi(os.Getenv("BUILD_USERS"))
	if err != nil {
		users = 80_000
	}
	s := startAt(b, Options{File: filepath.Join(b.TempDir(), "bench.db"), NoSync: true})
	c := connect(b, s).Database("test").Collection("users")
	const chunk = 2000
	order := rand.Perm(users)
	for len(order) > 0 {
		docs := make([]any, 0, chunk)
		for _, k := range order[:min(chunk, len(order))] {
			docs = append(docs, user(k))
		}
		insertAll(b, c, docs...)
		order = order[len(docs):]
	}
	for b.Loop() {
		makeIndex(b, c, D{{Key: "email", Value: 1}}, options.Index().SetName("email_1"))
		b.StopTimer()
		if err := c.Indexes().DropOne(b.Context(), "email_1"); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(users), "users")
	reportMemory(b)
}
