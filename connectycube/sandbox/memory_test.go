package sandbox

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// heapOf is how much more memory is in use after fill. What fill returns is kept
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

// The history's bound is one of memory: no form of a message takes much more
// than it is counted for.
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
		s := New(Options{})
		ann, err := s.Seed(Seed{Users: []SeedUser{{Login: "ann", Password: "12345678"}, {Login: "bob", Password: "12345678"}}})
		if err != nil {
			t.Fatal(err)
		}
		live := s.registry.open(s.registry.users[ann.Users[0]], s.now())
		n := 60
		if name == "plain" {
			n = 5000
		}
		real := heapOf(func() any {
			for range n {
				p, err := decodeJSON([]byte(`{"recipient_id":` + strconv.FormatInt(ann.Users[1], 10) + `,` + fields + `}`))
				if err == nil {
					_, err = withUser(createMessage)(s, &request{ctx: t.Context(), params: p, token: live.token, now: time.Now()})
				}
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			s.EmptyOutbox()
			return s
		})
		if counted := int64(s.archive.bytes); real > counted*13/10+64<<10 {
			t.Errorf("%s: %d messages take %d bytes, counted as %d", name, len(s.archive.messages), real, counted)
		}
	}
}

// A short field of a form does not keep the whole form.
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

// The journal's bound is one of bytes, whatever a client sends.
func TestJournalIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	const most = 4*2*journalText + journalMethod // of one entry
	s := New(Options{})
	big := strings.Repeat("\xff", 64<<10)
	for i := range journalSize + 10 {
		r := httptest.NewRequest(http.MethodPost, "/users?"+strings.Repeat("x", 64<<10), strings.NewReader(big))
		r.Method = strings.Repeat("M", 64<<10)
		for n := range 30 {
			r.Header.Set(fmt.Sprintf("Cb-%d-%s", n, strings.Repeat("x", 2000)), "x")
		}
		s.ServeHTTP(httptest.NewRecorder(), r)
		s.tap(1, int64(i), big)
	}
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	if len(s.journal.entries) != journalSize {
		t.Errorf("%d entries", len(s.journal.entries))
	}
	for _, e := range s.journal.entries {
		n := 0
		for _, text := range []string{e.On, e.Method, e.Path, e.Headers, e.Fault, e.Request, e.Response, e.Direction, e.Stanza} {
			n += len(text)
		}
		if n > most+32 {
			t.Fatalf("an entry has %d bytes, want at most %d: method %d, headers %d", n, most, len(e.Method), len(e.Headers))
		}
	}
}

// The outbox's bound is one of bytes, too.
func TestOutboxIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	o := &outbox{}
	for range maxOutbox + 10 {
		o.put(Outgoing{Kind: OutgoingPush, Text: strings.Repeat("x", 1<<16), Users: make([]int64, 1<<13), Email: strings.Repeat("x", 255)})
	}
	n := 0
	for _, item := range o.items {
		n += len(item.Text) + 8*cap(item.Users) + len(item.Email) + len(item.Subject)
	}
	if most := maxOutbox * (maxOutboxText + 9*maxOutboxUsers + 1<<10); n > most || len(o.items) != maxOutbox {
		t.Errorf("%d items with %d bytes, want at most %d", len(o.items), n, most)
	}
}

// Dialogs are bounded in bytes: in what their occupants, texts and extensions
// take. The longest quiet ones go.
func TestDialogsAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	a := newArchive(10_000, 100, 100)
	a.maxDialogBytes = 200_000
	now := time.Unix(1_800_000_000, 0)
	occupants := make(userSet, 300)
	for i := range occupants {
		occupants[i] = int64(i + 1)
	}
	var made []*dialog
	grow := map[string]func(d *dialog){
		"occupants":  func(d *dialog) { d.occupants = slices.Clone(occupants) },
		"text":       func(d *dialog) { d.description = strings.Repeat("x", 30_000) },
		"extensions": func(d *dialog) { d.extensions = map[string]string{"a": strings.Repeat("x", 30_000)} },
	}
	for name, set := range grow {
		for range 10 {
			d := &dialog{kind: kindGroup, owner: 1, occupants: userSet{1}}
			set(d)
			a.add(d, now)
			a.post(&message{dialog: d, sender: 1, body: "x"}, now)
			made = append(made, d)
			if a.dialogBytes > a.maxDialogBytes {
				t.Fatalf("%s: %d bytes", name, a.dialogBytes)
			}
			a.verify(t)
		}
	}
	if len(a.dialogs) < 3 || len(a.dialogs) > 9 || a.dialogs[made[len(made)-1].id] == nil || a.dialogs[made[0].id] != nil {
		t.Errorf("%d dialogs are there; the newest ones must be", len(a.dialogs))
	}
	quiet := slices.Collect(maps.Values(a.dialogs))
	one := made[len(made)-1]
	one.description = strings.Repeat("x", 100_000) // grows by an update
	a.touch(one, now)
	if a.dialogBytes > a.maxDialogBytes || a.dialogs[one.id] == nil || len(a.dialogs) == len(quiet) {
		t.Errorf("%d bytes in %d dialogs after one grew", a.dialogBytes, len(a.dialogs))
	}
	one.description = strings.Repeat("x", 300_000) // one alone stays, however large
	a.touch(one, now)
	if len(a.dialogs) != 1 || a.dialogs[one.id] == nil {
		t.Errorf("%d dialogs", len(a.dialogs))
	}
	a.verify(t)
}

func TestUsersAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	r := &s.registry
	r.maxBytes = 20_000
	signUp := func(login, data string) (*user, error) {
		return s.createUser(params{"login": login, "password": "12345678", "custom_data": data}, s.now())
	}
	ann, err := signUp("ann", strings.Repeat("x", 8000))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signUp("bob", strings.Repeat("x", 8000)); err != nil {
		t.Fatal(err)
	}
	if _, err := signUp("cid", strings.Repeat("x", 8000)); !errors.Is(err, errFull) {
		t.Errorf("a third user: %v", err)
	}
	larger, smaller := ann.profile, ann.profile
	larger.fullName, smaller.customData = strings.Repeat("x", 4000), ""
	if err := r.change(ann, larger, s.now()); !errors.Is(err, errFull) || ann.fullName != "" {
		t.Errorf("a profile that grows: %v", err)
	}
	if err := r.change(ann, smaller, s.now()); err != nil {
		t.Error(err)
	}
	if _, err := signUp("cid", strings.Repeat("x", 4000)); err != nil {
		t.Error(err)
	}
	for _, u := range slices.Collect(maps.Values(r.users)) {
		r.remove(u)
	}
	if r.bytes != 0 {
		t.Errorf("%d bytes are counted without a user", r.bytes)
	}
}

// A seed whose dialogs would drop one another is refused as a whole.
func TestSeedOfTooLargeDialogsIsRefused(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	s.archive.maxDialogBytes = 10_000
	seed := Seed{Users: []SeedUser{{Login: "ann", Password: "12345678"}}}
	for i := range 3 {
		seed.Dialogs = append(seed.Dialogs, SeedDialog{Key: fmt.Sprint(i), Name: "x", Owner: "ann", Description: strings.Repeat("x", 3000)})
	}
	if _, err := s.Seed(seed); err == nil || !strings.Contains(err.Error(), "bytes") || len(s.registry.users) != 0 {
		t.Errorf("error = %v, %d users", err, len(s.registry.users))
	}
	seed.Dialogs = seed.Dialogs[:1]
	if _, err := s.Seed(seed); err != nil {
		t.Error(err)
	}
}

// A large body is small beside what it becomes, so few are decoded at once. One
// that is not whole yet takes no place, and small ones need none.
func TestFewLargeBodiesAreDecodedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		hold := make(chan struct{})
		s := New(Options{
			CIdP: CIdP{Enabled: true, Method: "GET", URL: "http://provider.invalid/", ResponseParams: map[string]string{"uid": "#{id}"}},
			HTTP: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				asked.Add(1)
				<-hold
				return nil, errors.New("the provider is away")
			})},
		})
		logIn := func(junk int) int {
			body := `{"application_id":1001,"auth_key":"` + DefaultAuthKey + `","user":{"login":"ann","password":"12345678"},"junk":"` + strings.Repeat("x", junk) + `"}`
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
			t.Errorf("%d were told to come later, want %d", n, 2*maxLarge)
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
