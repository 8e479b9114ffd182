package servertest

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// RaceRegistrations registers one email many times at once, and checks that one
// registration succeeds and the others report the conflict.
func RaceRegistrations(t *testing.T, r *Server, client *http.Client, callers int, email string) {
	t.Helper()
	bodies := make([]string, callers)
	for i := range bodies {
		user := NewUser(email)
		user["password"] = fmt.Sprint("correct horse ", i) // with one password, they would be one request
		bodies[i] = RequestBody(t, RegisterDocument, user)
	}
	var racers, ready sync.WaitGroup
	ready.Add(callers)
	answers := make([]string, callers)
	for i := range answers {
		racers.Go(func() {
			ready.Done()
			ready.Wait()
			got, err := ReadReply(client.Post(r.ResolveURL("/api"), "application/json", strings.NewReader(bodies[i])))
			answers[i] = fmt.Sprintf("%v %s", err, got.Body)
			if err == nil {
				answers[i] = got.Body
			}
		})
	}
	racers.Wait()
	succeeded := 0
	for _, text := range answers {
		switch {
		case CodeOf(text) == "CONFLICT" && strings.Contains(text, `"Email already exists"`):
		case strings.Contains(text, `"user register successfully"`):
			succeeded++
		default:
			t.Errorf("neither a success nor a conflict: %s", text)
		}
	}
	if succeeded != 1 {
		t.Errorf("%s: %d registrations succeeded, want 1", email, succeeded)
	}
}
