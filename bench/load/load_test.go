package load_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"cubegate/bench/load"
)

// shop is a server whose refresh token is valid once, as cubegate's is.
type shop struct {
	mu      sync.Mutex
	valid   map[string]bool
	issued  int
	seen    map[string]bool // bodies of registrations
	dropped int
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	switch r.URL.Path {
	case "/register":
		if s.seen[string(body)] {
			http.Error(w, "taken", http.StatusConflict)
			return
		}
		s.seen[string(body)] = true
		w.Header().Set("Set-Cookie", "sid=abc; HttpOnly")
		fmt.Fprintf(w, `{"user":{"id":7,"email":"ada"}}`)
	case "/refresh":
		old := r.Header.Get("Authorization")
		if s.issued > 0 && !s.valid[old] && old != "Bearer first" {
			http.Error(w, `{"errors":[]}`, http.StatusOK)
			return
		}
		delete(s.valid, old)
		s.issued++
		token := fmt.Sprint("t", s.issued)
		s.valid["Bearer "+token] = true
		fmt.Fprintf(w, `{"data":{"token":%q}}`, token)
	case "/echo":
		fmt.Fprint(w, r.Method, " ", r.Header.Get("Cookie"), " ", r.URL.Query().Get("id"), " ", string(body))
	case "/drop":
		s.dropped++
		panic(http.ErrAbortHandler)
	}
}

func newShop(t *testing.T) (*shop, *load.Spec) {
	t.Helper()
	s := &shop{valid: map[string]bool{}, seen: map[string]bool{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	spec, err := load.Parse([]byte(`{
		"name": "shop", "url": "` + server.URL + `",
		"client": [
			{"path": "/register", "body": {"email": "{{n}}@example.org", "client": "{{client}}"}, "take": {"id": "user.id", "cookie": "header:Set-Cookie"}},
			{"path": "/refresh", "headers": {"Authorization": "Bearer first"}, "method": "POST", "take": {"token": "data.token"}}
		],
		"rows": {
			"refresh": {"path": "/refresh", "method": "POST", "headers": {"Authorization": "Bearer {{token}}"}, "lacks": "errors", "take": {"token": "data.token"}},
			"echo": {"path": "/echo?id={{id}}", "headers": {"Cookie": "{{cookie}}"}, "body": "name={{client}}", "has": "POST sid=abc 7 name="},
			"stale": {"path": "/refresh", "method": "POST", "headers": {"Authorization": "Bearer never"}, "lacks": "errors"},
			"drop": {"path": "/drop"},
			"gone": {"path": "/echo", "headers": {"A": "{{unknown}}"}},
			"status": {"path": "/echo", "status": 404}
		}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	return s, spec
}

// Each client has values of its own, and takes the new token from each answer.
func TestClientsTakeValuesFromAnswers(t *testing.T) {
	t.Parallel()
	_, spec := newShop(t)
	clients, err := spec.Clients(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	defer load.CloseAll(clients)
	for range 3 {
		for _, c := range clients {
			for _, row := range []string{"refresh", "echo"} {
				if err := c.Send(spec.Rows[row]); err != nil {
					t.Errorf("%s: %v", row, err)
				}
			}
		}
	}
	r := load.Run(clients, spec.Rows["refresh"], time.Millisecond)
	if r.Failed > 0 || len(r.Took) < len(clients) || r.Rate() <= 0 || r.Percentile(99) < r.Percentile(50) {
		t.Errorf("%+v", r)
	}
}

func TestUnwantedAnswersFail(t *testing.T) {
	t.Parallel()
	s, spec := newShop(t)
	clients, err := spec.Clients(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer load.CloseAll(clients)
	for row, want := range map[string]string{
		"stale":  `unwanted answer: 200 {"errors":[]}`,
		"drop":   "EOF",
		"gone":   "no earlier request has taken {{unknown}}",
		"status": "unwanted answer: 200",
	} {
		if err := clients[0].Send(spec.Rows[row]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", row, err, want)
		}
	}
	if err := clients[0].Send(spec.Rows["stale"]); !errors.Is(err, load.ErrUnwanted) {
		t.Errorf("%v is not ErrUnwanted", err)
	}
	r := load.Run(clients, spec.Rows["drop"], time.Millisecond)
	if r.Failed == 0 || len(r.Took) > 0 || r.First == nil {
		t.Errorf("%+v", r)
	}
	if s.mu.Lock(); s.dropped != 1+r.Failed {
		t.Errorf("the server saw %d requests, the client %d: one was repeated", s.dropped, 1+r.Failed)
	}
	s.mu.Unlock()
}

func TestPreparationEndsWithItsContext(t *testing.T) {
	t.Parallel()
	_, spec := newShop(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := spec.Clients(ctx, 3); !errors.Is(err, context.Canceled) {
		t.Errorf("Clients = %v, want context.Canceled", err)
	}
}
