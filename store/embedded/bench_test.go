package embedded

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// user is about 400 bytes of BSON, like the service's own.
func user(i int) D {
	now := time.Now()
	return D{
		{Key: "_id", Value: bson.NewObjectID()},
		{Key: "firstName", Value: "Firstname"}, {Key: "lastName", Value: "Lastname"},
		{Key: "email", Value: fmt.Sprintf("user%07d@example.org", i)},
		{Key: "emailKey", Value: fmt.Sprintf("user%07d@example.org", i)},
		{Key: "password", Value: "$argon2id$v=19$m=19456,t=2,p=1$" + strings.Repeat("x", 66)},
		{Key: "connectyCubeId", Value: int64(1_000_000 + i)},
		{Key: "createdAt", Value: now}, {Key: "updatedAt", Value: now},
	}
}

func userIndex(b *testing.B, c *mongo.Collection) {
	makeIndex(b, c, D{{Key: "emailKey", Value: 1}}, options.Index().SetUnique(true))
}

// memory reads a line of /proc/self/status, in MiB.
func memory(b *testing.B, line string) float64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		b.Skip("no /proc on this system")
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), line+":"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024
		}
	}
	return 0
}

func reportMemory(b *testing.B) {
	b.ReportMetric(memory(b, "RssAnon"), "MiB-anon")
	b.ReportMetric(memory(b, "VmRSS"), "MiB-with-file-pages")
}

// load fills a file with n users, quickly, and closes it.
func load(b *testing.B, file string, n int) {
	s, err := Start(Options{File: file, NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	c := connect(b, s).Database("cubegate").Collection("users")
	userIndex(b, c)
	const chunk = 2000
	for i := 0; i < n; i += chunk {
		docs := make([]any, 0, chunk)
		for j := range chunk {
			docs = append(docs, user(i+j))
		}
		insertAll(b, c, docs...)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	debug.FreeOSMemory() // the memory of the loading must not count
}

// BenchmarkFindByEmail500k looks up random users of half a million by the unique
// index. The target is a median under 1 ms in less than 100 MiB.
func BenchmarkFindByEmail500k(b *testing.B) {
	const users = 500_000
	file := filepath.Join(b.TempDir(), "bench.db")
	load(b, file, users)
	s := startAt(b, Options{File: file})
	c := connect(b, s).Database("cubegate").Collection("users")
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		email := fmt.Sprintf("user%07d@example.org", rand.IntN(users))
		if err := c.FindOne(b.Context(), D{{Key: "emailKey", Value: email}}).Err(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-median")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
	reportMemory(b)
	if info, err := os.Stat(file); err == nil {
		b.ReportMetric(float64(info.Size())/(1<<20), "MiB-file")
	}
}

// BenchmarkInsert64Writers inserts users from 64 goroutines and syncs before each answer. The
// target is 2,000 inserts per second.
func BenchmarkInsert64Writers(b *testing.B) {
	s := startAt(b, Options{File: filepath.Join(b.TempDir(), "bench.db")})
	c := connect(b, s).Database("cubegate").Collection("users")
	userIndex(b, c)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range 64 {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if _, err := c.InsertOne(b.Context(), user(int(i))); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "inserts/s")
	reportMemory(b)
}
