// Package timing shows whether the time of a refused login reveals if the email has an
// account:
//
//	go run ./bench timing -users 300 -bcrypt 0.2
//
// It starts the server in a new folder, with users whose password hashes are argon2id
// and, for the given share, bcrypt. Then it sends wrong passwords for known and unknown
// emails in turn, one at a time, and prints medians and the z of the Mann-Whitney test.
// With a |z| below 2, the samples do not distinguish the two groups. The result holds
// only for this load.
package timing

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

// Run runs the measurement with the flags of the command line.
func Run(ctx context.Context, args []string) error {
	var b timing
	flags := flag.NewFlagSet("timing", flag.ExitOnError)
	flags.StringVar(&b.server, "server", "", "file of the server; without it, this module's is built")
	flags.IntVar(&b.users, "users", 300, "number of known emails, and of unknown ones")
	flags.IntVar(&b.tries, "tries", 2, "wrong passwords for each email")
	flags.Float64Var(&b.bcrypt, "bcrypt", 0, "share of the users whose hash is bcrypt of cost 10, 0 to 1")
	if err := benchserver.Parse(flags, args); err != nil {
		return err
	}
	if b.users < 1 || b.tries < 1 || !(b.bcrypt >= 0 && b.bcrypt <= 1) { // also not a number
		return errors.New("want -users and -tries of at least 1, and -bcrypt from 0 to 1")
	}
	return b.run(ctx)
}

type timing struct {
	server string
	users  int
	tries  int
	bcrypt float64
	url    string
}

func (b *timing) run(ctx context.Context) error {
	if b.users < 1 || b.tries < 1 {
		return errors.New("want at least one user and one try")
	}
	dir, remove, err := benchserver.Workspace("timing", &b.server)
	if err != nil {
		return err
	}
	defer remove()
	if err := b.seed(ctx, filepath.Join(dir, "cubegate.db")); err != nil {
		return fmt.Errorf("seeding users: %w", err)
	}
	server, err := benchserver.Start(dir, []string{b.server}, "JWT_SECRET="+rand.Text()+rand.Text(), "LOGIN_FAILURES=0")
	if err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	defer func() { _ = server.Stop() }()
	b.url = server.URL
	return b.measure(ctx)
}

// known returns the email of a user. The first users have bcrypt hashes.
func known(n int) string { return fmt.Sprintf("known-%06d@example.org", n) }

func (b *timing) isBcrypt(n int) bool { return float64(n) < b.bcrypt*float64(b.users) }

// seed writes the users into a new database file.
func (b *timing) seed(ctx context.Context, file string) error {
	db, err := embedded.Start(embedded.Options{File: file, NoSync: true})
	if err != nil {
		return err
	}
	defer db.Close()
	s, err := store.Open(ctx, store.Options{URI: db.URI(), Exchange: db.Exchange})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close(context.WithoutCancel(ctx)) }()
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
func (b *timing) measure(ctx context.Context) error {
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
				ms, err := b.refusal(ctx, a.email)
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
func (b *timing) refusal(ctx context.Context, email string) (float64, error) {
	body, err := json.Marshal(map[string]string{"email": email, "password": "wrong password"})
	if err != nil {
		return 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url+"/auth/login", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	started := time.Now()
	a, err := http.DefaultClient.Do(r)
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
