package regressions

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"cubegate/server/servertest"
	"cubegate/store/embedded"
)

// originalUser is a line of testdata/original_users.jsonl: a document that Mongoose
// 8.24.10 wrote through the original's model, with a hash of npm's bcrypt 6.0.0, while
// cubegate used the same embedded database.
type originalUser struct {
	Typed string // the password
	User  json.RawMessage
}

func (u originalUser) document(t *testing.T) (d struct{ Email, Password string }) {
	t.Helper()
	if err := json.Unmarshal(u.User, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func originalUsers(t *testing.T) []originalUser {
	t.Helper()
	raw, err := os.ReadFile("testdata/original_users.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var list []originalUser
	for line := range bytes.Lines(raw) {
		var u originalUser
		if err := json.Unmarshal(line, &u); err != nil {
			t.Fatal(err)
		}
		list = append(list, u)
	}
	return list
}

// besideTheOriginal runs the server on a database that the original uses, too.
func besideTheOriginal(t *testing.T) (*servertest.Server, *embedded.Server) {
	t.Helper()
	db := servertest.StartDatabase(t)
	return servertest.Start(t, map[string]string{
		"MONGO_URI": db.URI(), "JWT_SECRET": servertest.JWTSecret, "PASSWORD_HASH": "bcrypt", "REGISTER_PER_NETWORK": "0", "LOGIN_FAILURES": "0",
	}), db
}

// storedHash returns the password hash of a user. ByEmail finds the exact email first.
func storedHash(t *testing.T, r *servertest.Server, email string) string {
	t.Helper()
	user, err := r.Store.Users().ByEmail(t.Context(), email)
	if err != nil {
		t.Fatal(err)
	}
	return user.PasswordHash
}

// The original creates users while this server runs. These users log in here in any case,
// keep the hash that the original can read, and keep their email for themselves.
func TestUsersOfTheOriginalBesideIt(t *testing.T) {
	t.Parallel()
	r, db := besideTheOriginal(t)
	users := originalUsers(t)
	if len(users) != 7 {
		t.Fatalf("%d users, want 7", len(users))
	}
	for _, u := range users {
		d := u.document(t)
		servertest.InsertExtendedJSON(t, db, u.User)
		again := servertest.NewUser(strings.ToUpper(d.Email))
		if got := r.GraphQL(t, servertest.RegisterDocument, again); got.Code() != "CONFLICT" {
			t.Errorf("a second registration of %s: %s", d.Email, got.Body)
		}
		for _, email := range []string{d.Email, strings.ToLower(d.Email), strings.ToUpper(d.Email)} {
			got := r.GraphQL(t, servertest.LoginDocument, map[string]string{"email": email, "password": u.Typed})
			if got.Code() != "" || got.Data.Answer.User.Email != d.Email {
				t.Errorf("%s logs in as %s: %s", d.Email, email, got.Code())
			}
		}
		wrong := map[string]string{"email": d.Email, "password": "x" + u.Typed}
		if got := r.GraphQL(t, servertest.LoginDocument, wrong); got.Code() != "UNAUTHENTICATED" {
			t.Errorf("%s with a wrong password: %s", d.Email, got.Code())
		}
		if got := storedHash(t, r, d.Email); got != d.Password {
			t.Errorf("the hash of %s is %.10s… now; the original cannot read it", d.Email, got)
		}
	}
}

// What this server writes, the original can read: new hashes are bcrypt.
func TestOriginalReadsOurHashes(t *testing.T) {
	t.Parallel()
	r, db := besideTheOriginal(t)
	form := regexp.MustCompile(`^\$2b\$10\$[./A-Za-z0-9]{53}$`)
	r.Register(t, "Bob@Example.org")
	registered := storedHash(t, r, "Bob@Example.org")
	in := r.Login(t, servertest.LoginDocument, "bob@example.org")
	if got := storedHash(t, r, "Bob@Example.org"); !form.MatchString(registered) || got != registered {
		t.Errorf("hash %q, and %q after a login", registered, got)
	}
	// The original looks for the exact email, and creates a second user.
	servertest.InsertUsers(t, db, servertest.OriginalUser(t, "bob@example.org", "battery staple"))
	for email, password := range map[string]string{"Bob@Example.org": "correct horse", "bob@example.org": "battery staple"} {
		got := r.GraphQL(t, servertest.LoginDocument, map[string]string{"email": email, "password": password})
		if got.Code() != "" || got.Data.Answer.User.Email != email {
			t.Errorf("%s: %s", email, got.Code())
		}
	}
	if n := strings.Count(r.Log.String(), `"email":"bob@example.org"`); n != 1 {
		t.Errorf("the log names the pair %d times, want once", n)
	}
	for password, code := range map[string]string{strings.Repeat("é", 37): "BAD_USER_INPUT", strings.Repeat("é", 36): ""} {
		document := `mutation { changePassword(current: "correct horse", new: "` + password + `") { message } }`
		if got := servertest.CodeOf(r.SendAs(t, in.Token, document, nil).Body); got != code {
			t.Errorf("changePassword with %d bytes: %q, want %q", len(password), got, code)
		}
	}
	if got := storedHash(t, r, "Bob@Example.org"); !form.MatchString(got) || got == registered {
		t.Errorf("hash %q after a change", got)
	}
}
