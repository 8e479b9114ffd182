package crashes

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cubegate/server/servertest"
	"cubegate/store/storetest"
)

// TestElectionUnderLoad checks that every answer during an election is the right one or says
// SERVICE_UNAVAILABLE, and that afterwards every user can log in.
func TestElectionUnderLoad(t *testing.T) {
	t.Parallel()
	db := servertest.StartDatabase(t)
	set := storetest.NewReplicaSet(t, func() (net.Conn, error) { return net.Dial("tcp", db.Addr().String()) })
	r := servertest.Start(t, map[string]string{"MONGO_URI": set.URI(), "MONGO_TIMEOUT": "5s", "JWT_SECRET": servertest.JWTSecret})
	var ended atomic.Bool
	var load, refused sync.WaitGroup
	var clients []*electionClient
	for i, send := range slices.Repeat([]func(*electionClient) bool{
		(*electionClient).me, (*electionClient).logIn, (*electionClient).logInByToken, (*electionClient).refresh, (*electionClient).register, (*electionClient).verify,
	}, 3) {
		refused.Add(1)
		c := &electionClient{t: t, server: r, name: fmt.Sprintf("user%d", i), send: send, answers: map[string]int{}, refused: sync.OnceFunc(refused.Done)}
		email := c.name + "@example.org"
		servertest.Eventually(t, email+" logs in", func() bool { // a busy machine may miss MONGO_TIMEOUT
			registered := r.GraphQL(t, servertest.RegisterDocument, servertest.NewUser(email)).Code()
			if registered != "" && registered != "SERVICE_UNAVAILABLE" {
				t.Fatalf("registering %s: %s", email, registered)
			}
			in := r.GraphQL(t, servertest.LoginDocument, servertest.Credentials(email))
			if in.Code() == "" {
				c.login = *in.Data.Answer
			}
			return registered+in.Code() == ""
		})
		clients = append(clients, c)
	}
	set.SetElection(true) // for longer than MONGO_TIMEOUT
	for _, c := range clients {
		load.Go(func() { c.run(&ended) })
	}
	refused.Wait()
	set.SetElection(false)
	ended.Store(true)
	load.Wait()
	total := map[string]int{}
	for _, c := range clients {
		for answer, n := range c.answers {
			total[answer] += n
		}
	}
	for _, operation := range []string{"me", "login", "login_By_token", "refresh", "register", "verify"} {
		if total[operation+" SERVICE_UNAVAILABLE"] == 0 || total[operation+" OK"] == 0 {
			t.Errorf("the load has not met both the election and its end with %s: %v", operation, total)
		}
	}
	if log := r.Log.String(); strings.Contains(log, `"level":"ERROR"`) || strings.Contains(log, "panic") {
		t.Errorf("the log has errors of our own:\n%s", tail(log))
	}
}

// electionClient sends one operation again and again.
type electionClient struct {
	t       *testing.T
	server  *servertest.Server
	name    string
	send    func(*electionClient) bool
	login   servertest.LoginReply
	answers map[string]int // by operation and code
	refused func()         // the client has met the election
	unknown string         // email of a registration that may have happened
	created int
}

// run sends operations until one succeeds after the election.
func (c *electionClient) run(ended *atomic.Bool) {
	defer c.refused() // else the test waits for a client that has failed
	deadline := time.Now().Add(2 * time.Minute)
	for time.Now().Before(deadline) {
		if afterwards := ended.Load(); c.send(c) && afterwards {
			return
		}
	}
	c.t.Errorf("%s has no success after the election: %v", c.name, c.answers)
}

// count checks the code of an answer. It returns true for a success.
func (c *electionClient) count(operation, code, body string) bool {
	if code == "" {
		code = "OK"
	}
	c.answers[operation+" "+code]++
	if code == "SERVICE_UNAVAILABLE" {
		c.refused()
	}
	if code != "OK" && code != "SERVICE_UNAVAILABLE" {
		c.t.Errorf("%s of %s: %s", operation, c.name, body)
	}
	return code == "OK"
}

func (c *electionClient) me() bool {
	got := c.server.SendAs(c.t, c.login.Token, `{ me { email } }`, nil)
	code := servertest.CodeOf(got.Body)
	if code == "" && !strings.Contains(got.Body, `"`+c.name+`@example.org"`) {
		c.t.Errorf("me of %s: %s", c.name, got.Body)
	}
	return c.count("me", code, got.Body)
}

func (c *electionClient) logIn() bool {
	got := c.server.GraphQL(c.t, servertest.LoginDocument, servertest.Credentials(c.name+"@example.org"))
	return c.count("login", got.Code(), got.Body)
}

func (c *electionClient) logInByToken() bool {
	got := c.server.GraphQL(c.t, servertest.ByTokenDocument, servertest.Credentials(c.name+"@example.org"))
	return c.count("login_By_token", got.Code(), got.Body)
}

// refresh keeps the new token only if it arrives. The previous one stays valid until then.
func (c *electionClient) refresh() bool {
	got := c.server.SendAs(c.t, "", fmt.Sprintf(`mutation { refresh(refreshToken: %q) { token refreshToken } }`, c.login.RefreshToken), nil)
	var answer struct {
		Data struct{ Refresh servertest.LoginReply }
	}
	if err := json.Unmarshal([]byte(got.Body), &answer); err == nil && answer.Data.Refresh.RefreshToken != "" {
		c.login.RefreshToken, c.login.Token = answer.Data.Refresh.RefreshToken, answer.Data.Refresh.Token
	}
	return c.count("refresh", servertest.CodeOf(got.Body), got.Body)
}

// register repeats a registration after SERVICE_UNAVAILABLE. The user may then exist, and must be
// able to log in.
func (c *electionClient) register() bool {
	email := fmt.Sprintf("%s-%d@example.org", c.name, c.created)
	got := c.server.GraphQL(c.t, servertest.RegisterDocument, servertest.NewUser(email))
	code := got.Code()
	if code == "CONFLICT" && c.unknown == email {
		got = c.server.GraphQL(c.t, servertest.LoginDocument, servertest.Credentials(email))
		code = got.Code()
	}
	if code == "" {
		c.created++
	} else {
		c.unknown = email
	}
	return c.count("register", code, got.Body)
}

// verify asks the route that ConnectyCube calls. It must not refuse a good token.
func (c *electionClient) verify() bool {
	ok := true
	for _, got := range c.server.Verify(c.t, c.login.Token) {
		ok = c.count("verify", servertest.CodeOf(got.Body), got.Body) && ok
	}
	return ok
}
