package crashes

import (
	"fmt"
	"testing"

	"cubegate/server/servertest"
)

// Of simultaneous registrations of one email one succeeds, and the others report a
// conflict. In each round the index, the cleanup of unfinished registrations and
// ConnectyCube could disagree. CUBEGATE_RACES sets the number of rounds.
func TestRacingRegistrationsHaveOneWinner(t *testing.T) {
	t.Parallel()
	const callers = 32
	rounds := number(t, "CUBEGATE_RACES", 40)
	r := servertest.Start(t, map[string]string{"LOG_LEVEL": "error", "MONGO_TIMEOUT": "1m"})
	client := servertest.NewClient(t, callers)
	for i := range rounds {
		servertest.RaceRegistrations(t, r, client, callers, fmt.Sprintf("ada%d@example.org", i))
		if t.Failed() {
			return
		}
	}
	if users := r.CubeUsers(t, ""); len(users) != 0 {
		t.Errorf("accounts without an email: %+v", users)
	}
	for i := range rounds {
		if found := r.CubeUsers(t, fmt.Sprintf("ada%d@example.org", i)); len(found) != 1 {
			t.Fatalf("round %d left %+v", i, found)
		}
	}
}
