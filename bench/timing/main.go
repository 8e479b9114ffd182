// Command timing shows whether the time of a refused login reveals if the email has an
// account:
//
//	go build -o /tmp/cubegate . && go run ./bench/timing -server /tmp/cubegate -users 300 -bcrypt 0.2
//
// It starts the server in a new folder, with users whose password hashes are argon2id
// and, for the given share, bcrypt. Then it sends wrong passwords for known and unknown
// emails in turn, one at a time, and prints medians and the z of the Mann-Whitney test.
// With a |z| below 2, the samples do not distinguish the two groups. The result holds
// only for this load.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cubegate/bench/benchserver"
	"cubegate/store"
	"cubegate/store/embedded"
	"cubegate/tokens"

	"golang.org/x/crypto/bcrypt"
)

func main() {
	var b timing
	flag.StringVar(&b.server, "server", "", "file of the server")
	flag.IntVar(&b.users, "users", 300, "number of known emails, and of unknown ones")
	flag.IntVar(&b.tries, "tries", 2, "wrong passwords for each email")
	flag.Float64Var(&b.bcrypt, "bcrypt", 0, "share of the users whose hash is bcrypt of cost 10, 0 to 1")
	flag.Parse()
	if err := b.run(); err != nil {
		fmt.Fprintln(os.Stderr, "timing:", err)
		os.Exit(1)
	}
}

type timing struct {
	server string
	users  int
	tries  int
	bcrypt float64
	url    string
}

func (b *timing) run() error {
	if b.server == "" || b.users < 1 || b.tries < 1 {
		return errors.New("want -server, and at least one user and one try")
	}
	dir, err := os.MkdirTemp("", "timing")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := b.seed(filepath.Join(dir, "cubegate.db")); err != nil {
		return fmt.Errorf("seeding users: %w", err)
	}
	server, err := benchserver.Start(dir, []string{b.server}, "JWT_SECRET="+rand.Text()+rand.Text(), "LOGIN_FAILURES=0")
	if err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	defer server.Stop()
	b.url = server.URL
	return b.measure()
}

// known returns the email of a user. The first users have bcrypt hashes.
func known(n int) string { return fmt.Sprintf("known-%06d@example.org", n) }

func (b *timing) isBcrypt(n int) bool { return float64(n) < b.bcrypt*float64(b.users) }

// seed writes the users into a new database file.
func (b *timing) seed(file string) error {
	db, err := embedded.Start(embedded.Options{File: file, NoSync: true})
	if err != nil {
		return err
	}
	defer db.Close()
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{URI: db.URI(), Dial: db.DialContext})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close(ctx) }()
	hasher, err := tokens.NewHasher(tokens.Params{})
	if err != nil {
		return err
	}
	argon2idHash, err := hasher.Hash(ctx, tokens.Turn{}, rand.Text())
	if err != nil {
		return err
	}
	bcryptHash, err := bcrypt.GenerateFromPassword([]byte(rand.Text()), 10)
	if err != nil {
		return err
	}
	for n := range b.users {
		hash := argon2idHash
		if b.isBcrypt(n) {
			hash = string(bcryptHash)
		}
		u := store.User{FirstName: "Ada", LastName: "Lovelace", Email: known(n), PasswordHash: hash}
		if _, err := s.Users().Create(ctx, u, store.Lease{ID: "seed", Until: time.Now().Add(24 * time.Hour)}); err != nil {
			return err
		}
	}
	return nil
}

// attempt is one email to try, and the groups of its time.
type attempt struct {
	email  string
	groups []string
}

// measure tries known and unknown emails alternately and prints the result.
func (b *timing) measure() error {
	groups := map[string]*[]float64{"known": {}, "argon2id": {}, "bcrypt": {}, "unknown": {}}
	secret := strings.ToLower(rand.Text())
	for range b.tries {
		for n := range b.users {
			ofUser := []string{"known", "argon2id"}
			if b.isBcrypt(n) {
				ofUser[1] = "bcrypt"
			}
			pair := []attempt{{known(n), ofUser}, {fmt.Sprintf("%s-%06d@example.org", secret[:5], n), []string{"unknown"}}}
			// In a fixed order, a garbage collection after each second hash would always
			// hit the same one of the two.
			if mathrand.IntN(2) == 0 {
				slices.Reverse(pair)
			}
			for _, a := range pair {
				ms, err := b.refusal(a.email)
				if err != nil {
					return err
				}
				for _, group := range a.groups {
					*groups[group] = append(*groups[group], ms)
				}
			}
		}
	}
	fmt.Printf("%-10s %8s %10s %10s %10s\n", "emails", "samples", "p25 ms", "median ms", "p75 ms")
	for _, name := range []string{"unknown", "known", "argon2id", "bcrypt"} {
		if s := *groups[name]; len(s) > 0 {
			fmt.Printf("%-10s %8d %10.2f %10.2f %10.2f\n", name, len(s), quantile(s, 0.25), quantile(s, 0.5), quantile(s, 0.75))
		}
	}
	fmt.Printf("\nMann-Whitney, known against unknown: z = %.1f\n", mannWhitney(*groups["known"], *groups["unknown"]))
	return nil
}

// refusal sends one wrong password and returns the time to the response in ms.
func (b *timing) refusal(email string) (float64, error) {
	body, err := json.Marshal(map[string]string{"email": email, "password": "wrong password"})
	if err != nil {
		return 0, err
	}
	started := time.Now()
	a, err := http.Post(b.url+"/auth/login", "application/json", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	took := time.Since(started)
	if err == nil && a.StatusCode != http.StatusUnauthorized {
		err = fmt.Errorf("status %d, want a refusal of the password: %s", a.StatusCode, text)
	}
	return float64(took.Microseconds()) / 1000, err
}
