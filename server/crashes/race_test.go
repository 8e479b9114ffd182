package crashes

import (
	"fmt"
	"testing"

	"cubegate/server/servertest"
)

// Two simultaneous registrations of one address give one user and one clear
// answer, however often they meet: every round is another chance for the index,
// the clean-up of abandoned registrations and ConnectyCube to disagree.
func TestManyRacesForOneAddressHaveOneWinnerEach(t *testing.T) {
	t.Parallel()
	const rounds, callers = 200, 32
	r := servertest.Start(t, map[string]string{"LOG_LEVEL": "error"})
	client := servertest.NewClient(t, callers)
	for i := range rounds {
		servertest.RaceRegistrations(t, r, client, callers, fmt.Sprintf("ada%d@example.org", i))
		if t.Failed() {
			return
		}
	}
	if users := r.CubeUsers(t, ""); len(users) != 0 {
		t.Errorf("accounts without an address: %+v", users)
	}
	for i := range rounds {
		if found := r.CubeUsers(t, fmt.Sprintf("ada%d@example.org", i)); len(found) != 1 {
			t.Fatalf("round %d left %+v", i, found)
		}
	}
}
