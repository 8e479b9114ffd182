package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// killFile names the file that a child process writes to until the test kills it.
const killFile = "EMBEDDED_KILL_FILE"

func TestMain(m *testing.M) {
	if file := os.Getenv(killFile); file != "" {
		if err := writeUntilKilled(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// writeUntilKilled inserts and updates with eight writers and prints the acknowledged writes.
func writeUntilKilled(file string) error {
	s, err := Start(Options{File: file})
	if err != nil {
		return err
	}
	ctx := context.Background()
	client, err := mongo.Connect(options.Client().ApplyURI(s.URI()).SetDialer(s))
	if err != nil {
		return err
	}
	c := client.Database("test").Collection("c")
	if _, err := c.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: D{{Key: "email", Value: 1}}, Options: options.Index().SetUnique(true)}); err != nil {
		return err
	}
	var mu sync.Mutex // one line at a time
	failed := make(chan error)
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, i)
				if _, err := c.InsertOne(ctx, D{{Key: "_id", Value: id}, {Key: "email", Value: "mail" + id}, {Key: "n", Value: 0}}); err != nil {
					failed <- err
				}
				if _, err := c.UpdateOne(ctx, D{{Key: "_id", Value: id}}, D{{Key: "$set", Value: D{{Key: "n", Value: i + 1}}}}); err != nil {
					failed <- err
				}
				mu.Lock()
				fmt.Printf("%s %d\n", id, i+1)
				mu.Unlock()
			}
		}()
	}
	return <-failed
}

// TestKillLosesNothing kills a writing process twenty times over one file.
func TestKillLosesNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kill.db")
	acknowledged := map[string]int{}
	for range 20 {
		killOne(t, file, acknowledged)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d acknowledged over 20 kills", len(acknowledged))
	if len(acknowledged) == 0 {
		t.Error("the children acknowledged nothing")
	}
}

func killOne(t *testing.T, file string, acknowledged map[string]int) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), killFile+"="+file)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for first := true; lines.Scan(); {
		if first { // without the time to start
			first = false
			time.AfterFunc(300*time.Millisecond, func() { _ = child.Process.Kill() })
		}
		var id string
		var n int
		if k, _ := fmt.Sscanf(lines.Text(), "%s %d", &id, &n); k == 2 && strings.Count(id, "-") == 2 {
			acknowledged[id] = n
		}
	}
	_ = child.Wait() // returns an error, because the child was killed
	checkSurvivors(t, file, acknowledged)
}

// checkSurvivors opens the file after a kill. The last line may be incomplete, so an
// acknowledged n may be too small, and never too large.
func checkSurvivors(t *testing.T, file string, acknowledged map[string]int) {
	s, err := Start(Options{File: file, NoSync: true})
	if err != nil {
		t.Fatalf("reopening: %v", err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	client, err := mongo.Connect(options.Client().ApplyURI(s.URI()).SetDialer(s))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(context.Background()) }()
	c := client.Database("test").Collection("c")
	cur, err := c.Find(t.Context(), D{})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for cur.Next(t.Context()) {
		var d struct {
			ID string `bson:"_id"`
			N  int
		}
		if err := bson.Unmarshal(cur.Current, &d); err != nil {
			t.Fatal(err)
		}
		found[d.ID] = d.N
	}
	if err := cur.Err(); err != nil {
		t.Fatal(err)
	}
	for id, n := range acknowledged {
		if got, ok := found[id]; !ok || got < n {
			t.Errorf("%s: acknowledged with n %d, found %v with n %d", id, n, ok, got)
		}
	}
	checkIndexes(t, s)
}

// checkIndexes compares the entries of every index with those that the documents require.
func checkIndexes(t *testing.T, s *Server) {
	t.Helper()
	_, err := s.read(func(txn *txn) ([]byte, error) {
		for _, c := range txn.catalog.collections {
			for _, ix := range c.indexes {
				want := map[string]string{}
				docs := txn.docs(c).Cursor()
				for id, d := docs.First(); id != nil; id, d = docs.Next() {
					k, err := ix.keysFor(d)
					if err != nil {
						return nil, err
					}
					for _, key := range k.keys {
						want[string(ix.entry(key, id))] = string(id)
					}
				}
				err := txn.entries(c, ix).ForEach(func(key, id []byte) error {
					if want[string(key)] != string(id) {
						return errors.New("an entry of index " + ix.name + " has no document")
					}
					delete(want, string(key))
					return nil
				})
				if err == nil && len(want) > 0 {
					err = fmt.Errorf("%d entries are missing in index %s", len(want), ix.name)
				}
				if err != nil {
					return nil, err
				}
			}
		}
		return nil, nil
	})
	if err != nil {
		t.Error(err)
	}
}
