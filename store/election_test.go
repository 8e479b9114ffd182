package store_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cubegate/store"
	"cubegate/store/storetest"
)

// startReplicaSet runs an embedded database that looks like a replica set.
func startReplicaSet(t *testing.T) *storetest.ReplicaSet {
	t.Helper()
	db := start(t)
	return storetest.NewReplicaSet(t, func() (net.Conn, error) { return db.DialContext(context.Background(), "", "") })
}

func openReplicaSet(t *testing.T, uri string, timeout time.Duration) *store.Store {
	t.Helper()
	return openAvailable(t, store.Options{URI: uri, Timeout: timeout})
}

// stateChanges are MongoDB's codes for a member that changes its state
// (https://github.com/mongodb/specifications, server-discovery-and-monitoring), and for a mongos
// or a member that loses the others.
var stateChanges = []int32{91, 189, 10058, 10107, 11600, 11602, 13435, 13436, 6, 7, 89, 134, 262, 9001, 133, 64}

// operation is one operation of the store with the command that it sends.
type operation struct {
	command string
	do      func(context.Context, *store.Store, store.User) error
}

var operations = map[string]operation{
	"find": {"find", func(ctx context.Context, s *store.Store, u store.User) error {
		_, err := s.Users().ByID(ctx, u.ID)
		return err
	}},
	"list": {"find", func(ctx context.Context, s *store.Store, _ store.User) error {
		_, err := s.Users().All(ctx, "", 10)
		return err
	}},
	"count": {"aggregate", func(ctx context.Context, s *store.Store, _ store.User) error {
		_, err := s.Users().HashShare(ctx, "$argon2id$")
		return err
	}},
	"insert": {"insert", func(ctx context.Context, s *store.Store, _ store.User) error {
		return s.Sessions().Create(ctx, store.Session{ID: rand.Text(), UserID: "u"})
	}},
	"find and modify": {"findAndModify", func(ctx context.Context, s *store.Store, u store.User) error {
		_, err := s.Users().RemoveAllSessions(ctx, u.ID)
		return err
	}},
	"update": {"update", func(ctx context.Context, s *store.Store, _ store.User) error {
		_, err := s.Sessions().End(ctx, "s0", "logout")
		return err
	}},
	"update many": {"update", func(ctx context.Context, s *store.Store, _ store.User) error { return s.AccountWork().ReleaseAll(ctx) }},
	"bulk": {"update", func(ctx context.Context, s *store.Store, _ store.User) error {
		return s.Audit().RecordRefusals(ctx, []store.Event{{ID: store.NewEventID(time.Now()), Kind: store.AuditLogin, Count: 1}})
	}},
	"delete": {"delete", func(ctx context.Context, s *store.Store, _ store.User) error { return s.Sessions().Remove(ctx, "s0") }},
}

// TestStateChangesAreUnavailable answers operations with each code: as an error before and after the
// effect, and as a write concern error. The database is then unavailable, and neither the store
// nor the driver has sent a write twice, except a write that the server recognizes.
func TestStateChangesAreUnavailable(t *testing.T) {
	var cases sync.WaitGroup // after each failure the driver waits for its next look at the server
	refuse := func(name string, code int32, retries bool) {
		set := startReplicaSet(t)
		uri := fmt.Sprintf("%s&retryWrites=%t&retryReads=%t", set.URI(), retries, retries)
		r := refusal{set, openReplicaSet(t, uri, 3*time.Second), openReplicaSet(t, uri, time.Minute), name, code, retries}
		cases.Go(func() { refuseState(t, r) })
	}
	for _, code := range stateChanges {
		refuse("find and modify", code, true)
	}
	for name := range operations {
		if name != "count" { // its timeout is a minute, and the driver repeats it until then
			refuse(name, 189, true)
		}
		refuse(name, 91, false)
	}
	cases.Wait()
}

// refusal is a replica set that refuses an operation.
type refusal struct {
	set     *storetest.ReplicaSet
	store   *store.Store
	patient *store.Store // for operations that must succeed on a busy machine, too
	name    string       // of the operation
	code    int32
	retries bool // the driver repeats what it can repeat, until the timeout
}

// refuseState answers an operation with a code in each way.
func refuseState(t *testing.T, r refusal) {
	op := operations[r.name]
	user, err := r.patient.Users().Create(t.Context(), store.User{Email: "ada@example.org"}, store.Lease{ID: "x", Until: time.Now().Add(time.Hour)})
	if err != nil {
		t.Error(err)
		return
	}
	isRead := op.command == "find" || op.command == "aggregate"
	repeats := r.retries && r.name != "update many" // no server recognizes its repetition
	for _, failure := range []storetest.Failure{{Code: r.code}, {Code: r.code, After: true}, {Code: r.code, WriteConcern: true}} {
		if isRead && failure.WriteConcern {
			continue
		}
		recognized, asked := repeats && !isRead && failure.After, r.store
		if recognized || !repeats { // one answer ends it
			asked = r.patient
		}
		r.set.SetScript(failing(op.command, failure))
		err := op.do(t.Context(), asked, user)
		n := r.set.Counts()[op.command]
		switch {
		case recognized && err != nil:
			t.Errorf("%s, %+v: %v, want the first answer", r.name, failure, err)
		case !recognized && !errors.Is(err, store.ErrUnavailable):
			t.Errorf("%s, %+v, retries %t: %v, want %v", r.name, failure, r.retries, err, store.ErrUnavailable)
		case !repeats && n != 1:
			t.Errorf("%s, %+v, retries %t: %d commands, want 1", r.name, failure, r.retries, n)
		}
	}
}

// failing answers every command of a name with a failure.
func failing(name string, failure storetest.Failure) func(string) storetest.Failure {
	return func(command string) storetest.Failure {
		if command == name {
			return failure
		}
		return storetest.Failure{}
	}
}

// TestRepeatedWritesHaveOneEffect loses the answer of each write once. The driver repeats the
// write, and the replica set recognizes it.
func TestRepeatedWritesHaveOneEffect(t *testing.T) {
	set := startReplicaSet(t)
	s := openReplicaSet(t, set.URI(), time.Minute)
	user, err := s.Users().Create(t.Context(), store.User{Email: "ada@example.org"}, store.Lease{ID: "x", Until: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for i, code := range []int32{91, 189, 11602} {
		var lost atomic.Bool
		set.SetScript(func(command string) storetest.Failure {
			if command == "findAndModify" && lost.CompareAndSwap(false, true) {
				return storetest.Failure{Code: code, After: true}
			}
			return storetest.Failure{}
		})
		changed, err := s.Users().RemoveAllSessions(t.Context(), user.ID)
		if err != nil || changed.DeviceGeneration != int64(i+1) {
			t.Errorf("code %d: generation %d, %v; want %d", code, changed.DeviceGeneration, err, i+1)
		}
	}
}

// TestElectionOutlivesTheTimeout checks that an operation during an election ends with
// ErrUnavailable and has no effect, and that the store works again after the election.
func TestElectionOutlivesTheTimeout(t *testing.T) {
	t.Parallel()
	set := startReplicaSet(t)
	s := openReplicaSet(t, set.URI(), time.Second)
	set.SetElection(true)
	for name, op := range operations {
		if name == "count" { // its timeout is a minute
			continue
		}
		if err := op.do(t.Context(), s, store.User{ID: "507f1f77bcf86cd799439011"}); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s during the election: %v, want %v", name, err, store.ErrUnavailable)
		}
	}
	if err := s.Ping(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("ping during the election: %v", err)
	}
	set.SetElection(false)
	err := untilAvailable(func() error { _, err := s.Users().ByEmail(t.Context(), "ada@example.org"); return err })
	if !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("after the election: %v", err)
	}
	var list []store.Session
	err = untilAvailable(func() (err error) { list, err = s.Sessions().OfUser(t.Context(), "u"); return err })
	if err != nil || len(list) != 0 {
		t.Errorf("the refused insert has an effect: %v, %v", list, err)
	}
}
