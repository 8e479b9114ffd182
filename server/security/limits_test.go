package security

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cubegate/server/servertest"
	"cubegate/tokens"
)

const limitsSecret tokens.Secret = "of these tests alone: c8Jq2vKx9wZr4mTn"

// attack returns one random request of an attacker. The attacker has many networks,
// including the victim's, own accounts, and sends all headers that name a client.
func attack(own []servertest.User, ring *tokens.SecretRing) (path, body string, header []string) {
	network := []string{
		"198.51.100.7", // the victim's
		fmt.Sprintf("192.0.2.%d", rand.IntN(200)),
		fmt.Sprintf("2001:db8:5:%x::1", rand.IntN(1<<16)), // one /48
	}[rand.IntN(3)]
	header = []string{"X-Forwarded-For", "198.51.100.200, " + network}
	for _, name := range []string{"Forwarded", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP"} {
		header = append(header, name, fmt.Sprintf("203.0.113.%d", rand.IntN(255)))
	}
	mine := rand.IntN(len(own))
	switch rand.IntN(5) {
	case 0:
		return "/auth/login", fmt.Sprintf(`{"email":"own%d@example.org","password":"correct horse","device":{"token":%q}}`, mine, deviceToken(ring, own[mine].ID, fmt.Sprintf("own%d@example.org", mine))), header
	case 1: // a token of an own account, with the victim's email
		return "/auth/login", fmt.Sprintf(`{"email":"ada@example.org","password":"guess","device":{"token":%q}}`, deviceToken(ring, own[mine].ID, fmt.Sprintf("own%d@example.org", mine))), header
	case 2:
		return "/auth/login", fmt.Sprintf(`{"email":"unknown%d@example.org","password":"guess"}`, rand.IntN(1000)), header
	case 3:
		return "/auth/register", `{"email":"ada@example.org","password":"correct horse","firstName":"E","lastName":"V"}`, header
	}
	return "/auth/login", `{"email":"` + []string{"ada@example.org", "ADA@Example.org", " ada@example.org"}[rand.IntN(3)] + `","password":"guess"}`, header
}

func deviceToken(ring *tokens.SecretRing, userID, email string) string {
	return ring.NewDeviceToken(tokens.KnownDevice{UserID: userID, EmailKey: email, Device: "phone", Issued: time.Now().Add(-time.Hour)})
}

// While an attacker sends all kinds of requests, also from the victim's network, a known
// device of the victim gets in, and so does a user from a network that has sent nothing.
// No network is charged for the requests of another.
func TestAttackersLockNeitherKnownDevicesNorOtherNetworksOut(t *testing.T) {
	t.Parallel()
	r := servertest.Start(t, map[string]string{
		"TRUSTED_PROXIES": "127.0.0.1", "JWT_SECRET": limitsSecret.Reveal(), "LOG_LEVEL": "error", "REGISTER_PER_NETWORK": "10",
	})
	ring, err := tokens.NewSecretRing(limitsSecret)
	if err != nil {
		t.Fatal(err)
	}
	ada, _ := r.Register(t, "ada@example.org"), r.Register(t, "bob@example.org")
	var own []servertest.User
	for i := range 5 {
		own = append(own, r.Register(t, fmt.Sprintf("own%d@example.org", i)))
	}
	begin := time.Now()
	var guesses atomic.Int64 // passwords that the server compared with the victim's
	done := make(chan struct{})
	var crowd sync.WaitGroup
	for range 20 {
		crowd.Go(func() {
			for range 200 {
				select {
				case <-done:
					return
				default:
				}
				path, body, header := attack(own, ring)
				got, err := servertest.Try(http.MethodPost, r.ResolveURL(path), body, header...)
				if err == nil && got.Status == http.StatusUnauthorized && strings.Contains(strings.ToLower(body), "ada@") {
					guesses.Add(1)
				}
			}
		})
	}
	for i := range 10 {
		phone := fmt.Sprintf(`{"email":"ada@example.org","password":"correct horse","device":{"token":%q}}`, deviceToken(ring, ada.ID, "ada@example.org"))
		if got := r.Request(t, http.MethodPost, "/auth/login", phone, "X-Forwarded-For", "198.51.100.7"); got.Status != http.StatusOK {
			t.Errorf("login %d of the known device: %d %s", i, got.Status, got.Body)
		}
		unknownDevice := `{"email":"bob@example.org","password":"correct horse"}`
		if got := r.Request(t, http.MethodPost, "/auth/login", unknownDevice, "X-Forwarded-For", fmt.Sprintf("100.64.0.%d", i)); got.Status != http.StatusOK {
			t.Errorf("login %d from another network: %d %s", i, got.Status, got.Body)
		}
	}
	close(done)
	crowd.Wait()
	// 20 for one account from all networks, and then one every 45 s.
	if n, most := guesses.Load(), 20+int64(time.Since(begin)/(45*time.Second)); n == 0 || n > most {
		t.Errorf("the server compared %d guesses, want 1 to %d", n, most)
	}
}
