package security

import (
	"fmt"
	"testing"

	"cubegate/server/servertest"
)

// One password in the forms of two keyboards.
const (
	ofMac   = "man\u0303ana1"
	ofPhone = "ma\u00f1ana1"
)

func loginWith(t *testing.T, r *servertest.Server, email, password string) servertest.GraphQLReply {
	t.Helper()
	return r.GraphQL(t, servertest.LoginDocument, map[string]string{"email": email, "password": password})
}

// A password is the same from all keyboards: for a new user, and for a user of the
// original once the keyboard of the registration has logged in. The chat opens, too.
func TestPasswordOfAnyKeyboard(t *testing.T) {
	t.Parallel()
	for _, cidp := range []bool{false, true} {
		for _, mode := range []string{"shared", "derived"} {
			t.Run(fmt.Sprint(mode, " ", cidp), func(t *testing.T) {
				t.Parallel()
				db := servertest.StartDatabase(t)
				u := servertest.NewUpstream(t)
				original := servertest.OriginalUser(t, "eve@example.org", ofMac)
				original["connectyCubeId"] = servertest.SignUpAtUpstream(t, u, fmt.Sprintf(`{"user":{"email":"eve@example.org","password":%q,"full_name":"Ada Lovelace"}}`, ofMac))
				servertest.InsertUsers(t, db, original)
				r := u.Start(t, cidp, map[string]string{"CONNECTYCUBE_PASSWORD": mode, "MONGO_URI": db.URI()})

				if got := loginWith(t, r, "eve@example.org", ofPhone); got.Code() != "UNAUTHENTICATED" {
					t.Errorf("a phone before the hash is normalized: %s", got.Body)
				}
				ada := servertest.Merge(servertest.NewUser("ada@example.org"), map[string]string{"password": ofMac})
				if got := r.GraphQL(t, servertest.RegisterDocument, ada); got.Code() != "" || got.Data.Register.ChatStatus != "READY" {
					t.Fatalf("registering on a Mac: %s", got.Body)
				}
				for _, email := range []string{"ada@example.org", "eve@example.org"} {
					for _, password := range []string{ofMac, ofPhone, ofMac} {
						got := loginWith(t, r, email, password)
						chat := email == "ada@example.org" || !cidp // the original's account lacks our ID
						if got.Code() != "" || chat && got.Data.Answer.ChatStatus != "READY" {
							t.Errorf("%s with %+q: %s", email, password, got.Body)
						}
					}
					if got := loginWith(t, r, email, ofPhone+"x"); got.Code() != "UNAUTHENTICATED" {
						t.Errorf("%s with a wrong password: %s", email, got.Body)
					}
				}
				if accepts := u.AcceptsPassword(t, "ada@example.org", ofPhone); accepts != (cidp || mode == "shared") {
					t.Errorf("ConnectyCube accepts the password: %v", accepts)
				}
			})
		}
	}
}

// The number of hashes tells neither whether an email has a user nor how old its hash
// is.
func TestWrongPasswordInTwoFormsCostsTwoHashes(t *testing.T) {
	t.Parallel()
	db := servertest.StartDatabase(t)
	servertest.InsertUsers(t, db, servertest.OriginalUser(t, "eve@example.org", ofMac))
	r := servertest.Start(t, map[string]string{"MONGO_URI": db.URI(), "JWT_SECRET": servertest.JWTSecret})
	r.Register(t, "ada@example.org")
	hashes := countHashes(r)
	for password, want := range map[string]int64{"guess1": 1, "\u00f1guess": 1, "n\u0303guess": 2} {
		for _, email := range []string{"ada@example.org", "eve@example.org", "unknown@example.org"} {
			n := hashes.during(func() {
				if got := loginWith(t, r, email, password); got.Code() != "UNAUTHENTICATED" {
					t.Errorf("%s: %s", email, got.Body)
				}
			})
			if n != want {
				t.Errorf("%s with %+q costs %d hashes, want %d", email, password, n, want)
			}
		}
	}
}
