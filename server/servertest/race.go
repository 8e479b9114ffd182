package servertest

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// RaceRegistrations lets many register one address at once, and checks that one succeeds
// and the others are told why they did not.
func RaceRegistrations(t *testing.T, r *Server, client *http.Client, callers int, address string) {
	t.Helper()
	body := RequestBody(t, RegisterDocument, NewUser(address))
	var racers, ready sync.WaitGroup
	ready.Add(callers)
	answers := make([]string, callers)
	for i := range answers {
		racers.Go(func() {
			ready.Done()
			ready.Wait()
			got, err := ReadReply(client.Post(r.At("/api"), "application/json", strings.NewReader(body)))
			answers[i] = fmt.Sprintf("%v %s", err, got.Body)
			if err == nil {
				answers[i] = got.Body
			}
		})
	}
	racers.Wait()
	won := 0
	for _, text := range answers {
		switch {
		case CodeOf(text) == "CONFLICT" && strings.Contains(text, `"Email already exists"`):
		case strings.Contains(text, `"user register successfully"`):
			won++
		default:
			t.Errorf("an answer of neither kind: %s", text)
		}
	}
	if won != 1 {
		t.Errorf("%s: %d registrations succeeded", address, won)
	}
}
