package rest

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube/sandbox/core"
)

// heapOf returns the growth of the used memory by fill. It keeps the result of fill
// until then.
func heapOf(fill func() any) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	kept := fill()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(kept)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

func listOf(item string, n int) string {
	return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
}

// The bound of the history holds for the memory: no form of a message takes much more
// than its counted size.
func TestArchiveCountsWhatItHolds(t *testing.T) { // not parallel: it measures memory
	var keys []string
	for i := range 3000 {
		keys = append(keys, fmt.Sprintf(`"k%d":1`, i))
	}
	shapes := map[string]string{
		"plain":         `"message":"x"`,
		"text":          `"message":"` + strings.Repeat("x", 20_000) + `"`,
		"long number":   `"message":"x","c":` + strings.Repeat("1", 50_000),
		"long numbers":  `"message":"x","c":` + listOf("1234567890123456", 3000),
		"numbers":       `"message":"x","c":` + listOf("1", 3000),
		"nulls":         `"message":"x","c":` + listOf("null", 3000),
		"texts":         `"message":"x","c":` + listOf(`"a"`, 3000),
		"empty lists":   `"message":"x","c":` + listOf("[]", 3000),
		"empty objects": `"message":"x","c":` + listOf("{}", 3000),
		"objects":       `"message":"x","c":` + listOf(`{"a":1}`, 3000),
		"keys":          `"message":"x",` + strings.Join(keys, ","),
		"nested":        `"message":"x","c":` + strings.Repeat("[", 3000) + strings.Repeat("]", 3000),
		"attachments":   `"message":"x","attachments":` + listOf(`{"type":"a","id":"b","z":"c"}`, 100),
	}
	for name, fields := range shapes {
		s := newTestAPI(core.Options{}, nil)
		ann, err := s.Seed(core.Seed{Users: []core.SeedUser{{Login: "ann", Password: "12345678"}, {Login: "bob", Password: "12345678"}}})
		if err != nil {
			t.Fatal(err)
		}
		live := s.Registry.Open(s.Registry.Users[ann.Users[0]], s.Now())
		n := 60
		if name == "plain" {
			n = 5000
		}
		real := heapOf(func() any {
			for range n {
				p, err := decodeJSON([]byte(`{"recipient_id":` + strconv.FormatInt(ann.Users[1], 10) + `,` + fields + `}`))
				if err == nil {
					_, err = withUser(createMessage)(s, &request{ctx: t.Context(), params: p, token: live.Token, now: time.Now()})
				}
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			s.EmptyOutbox()
			return s
		})
		if counted := int64(s.Archive.Bytes); real > counted*13/10+64<<10 {
			t.Errorf("%s: %d messages take %d bytes, counted as %d", name, len(s.Archive.Messages), real, counted)
		}
	}
}

// A short field of a form does not keep the whole form in memory.
func TestFieldsOfAFormKeepNothingElse(t *testing.T) { // not parallel: it measures memory
	const forms, size = 100, 200 << 10
	real := heapOf(func() any {
		var kept []any
		for range forms {
			p, err := decodeForm("user[login]=ann&user[tag_list][]=a&b=c&junk=" + strings.Repeat("x", size))
			if err != nil {
				t.Fatal(err)
			}
			delete(p, "junk")
			kept = append(kept, p)
		}
		return kept
	})
	if real > forms*size/10 {
		t.Errorf("%d forms keep %d bytes", forms, real)
	}
}

// A large body grows when it is decoded, so few are decoded at once. An incomplete one
// takes no place, and small ones need none.
func TestFewLargeBodiesAreDecodedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		hold := make(chan struct{})
		s := newTestAPI(core.Options{
			CIdP: core.CIdP{Enabled: true, Method: "GET", URL: "http://provider.invalid/", ResponseParams: map[string]string{"uid": "#{id}"}},
		}, &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			asked.Add(1)
			<-hold
			return nil, errors.New("the provider is away")
		})})
		logIn := func(junk int) int {
			body := `{"application_id":1001,"auth_key":"sandbox-auth-key","user":{"login":"ann","password":"12345678"},"junk":"` + strings.Repeat("x", junk) + `"}`
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/session", strings.NewReader(body)))
			return w.Code
		}
		var all sync.WaitGroup
		var busy atomic.Int64
		for range 3 * maxLarge {
			all.Go(func() {
				if logIn(largeBody) == http.StatusServiceUnavailable {
					busy.Add(1)
				}
			})
		}
		synctest.Wait()
		if n := asked.Load(); n != maxLarge {
			t.Errorf("%d large bodies at once, want %d", n, maxLarge)
		}
		all.Go(func() { logIn(10) })
		synctest.Wait()
		if n := asked.Load(); n != maxLarge+1 {
			t.Errorf("%d requests at once, want a small one beside the large", n)
		}
		time.Sleep(maxLargeQueue)
		synctest.Wait()
		if n := busy.Load(); n != 2*maxLarge {
			t.Errorf("%d were refused, want %d", n, 2*maxLarge)
		}
		close(hold)
		all.Wait()
		if len(s.largeBodies) != 0 {
			t.Errorf("%d places are still taken", len(s.largeBodies))
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
