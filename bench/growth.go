package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"cubegate/bench/benchserver"
	"cubegate/bench/peers"
	"cubegate/tokens"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/crypto/argon2"
)

// growthRows are measured at each size of the database, with a hash that costs next to
// nothing, since the cost of the others is what could grow.
var growthRows = []string{"verify", "me", "refresh", "login", "register"}

const (
	growthConnections = 8
	growthTokens      = 20_000 // users whose tokens the rows verify and me send, at most
	batch             = 2_000  // users of one insertion
	sessionsPerUser   = 20     // see config.yaml
)

// growth is the measurement at several sizes of a database.
type growth struct {
	*target
	users    *mongo.Collection
	hash     string
	inserted int
	first    map[string]float64 // CPU ms at the smallest size, by row
}

// measureGrowth measures the cost of requests while the database grows.
func (b *bench) measureGrowth(ctx context.Context) error {
	port, err := benchserver.FreePort()
	if err != nil {
		return err
	}
	spec, err := peers.Cubegate()
	if err != nil {
		return err
	}
	folder, err := b.newFolder("growth")
	if err != nil {
		return err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	spec.Start, spec.Ready = []string{b.stack.Binary}, "/readyz"
	spec.Env = append(b.stack.Env(), "HOST=127.0.0.1", "PORT={{port}}", "DATA_DIR={{folder}}", "MONGO_EMBEDDED_LISTEN="+address,
		"PASSWORD_MEMORY=8", "PASSWORD_ITERATIONS=1", "LOGIN_RETRY_EVERY=24h")
	g := &growth{target: &target{spec: spec, folder: folder, core: b.stack.Cores.Server}, first: map[string]float64{}}
	defer func() { _ = g.stop() }() // after an error
	if _, err := g.start(); err != nil {
		return err
	}
	if err := b.stack.AskAt(g.spec.URL); err != nil {
		return err
	}
	client, err := mongo.Connect(options.Client().ApplyURI("mongodb://" + address))
	if err != nil {
		return err
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(ctx)) }()
	g.users = client.Database("test").Collection("users") // see mongo.database in config.yaml
	salt := []byte("sixteen bytes ok")
	encode := base64.RawStdEncoding.EncodeToString
	g.hash = "$argon2id$v=19$m=8,t=1,p=1$" + encode(salt) + "$" + encode(argon2.IDKey([]byte("correct horse"), salt, 1, 8, 1, hashBytes))
	// At the bound of sessions.per_user, each login ends another login session, at each size.
	logins := g.spec.Rows["login"]
	logins.Repeat = sessionsPerUser
	g.spec.Client = append(g.spec.Client, logins)
	if g.clients, err = g.spec.Clients(ctx, growthConnections); err != nil {
		return err
	}
	for _, size := range b.users {
		if err := g.grow(ctx, size); err != nil {
			return fmt.Errorf("inserting %d users: %w", size, err)
		}
		if err := b.measureSize(ctx, g, size); err != nil {
			return err
		}
	}
	return g.stop()
}

func email(i int) string     { return fmt.Sprintf("user%07d@example.org", i) }
func sessionID(i int) string { return fmt.Sprintf("benchsession%014d", i) }

// userID returns an ID whose place in the index is as random as that of many processes.
func userID(i int) bson.ObjectID {
	source := rand.New(rand.NewPCG(uint64(i), 7))
	var id bson.ObjectID
	for at := range id {
		id[at] = byte(source.Uint32())
	}
	return id
}

// grow inserts users as the server writes them, with one hash, until there are size.
func (g *growth) grow(ctx context.Context, size int) error {
	began := time.Now()
	for g.inserted < size {
		n := min(batch, size-g.inserted)
		documents := make([]bson.D, 0, n)
		for i := g.inserted; i < g.inserted+n; i++ {
			documents = append(documents, g.user(i))
		}
		if _, err := g.users.InsertMany(ctx, documents); err != nil {
			return err
		}
		g.inserted += n
		if time.Since(began) > 10*time.Minute {
			return errors.New("it took more than ten minutes")
		}
	}
	progress("%d users after %v", size, time.Since(began).Round(100*time.Millisecond))
	return nil
}

func (g *growth) user(i int) bson.D {
	now := time.Now()
	return bson.D{
		{Key: "_id", Value: userID(i)}, {Key: "firstName", Value: "Ada"}, {Key: "lastName", Value: "Lovelace"},
		{Key: "email", Value: email(i)}, {Key: "password", Value: g.hash}, {Key: "createdAt", Value: now}, {Key: "updatedAt", Value: now},
		{Key: "__v", Value: int32(0)}, {Key: "emailKey", Value: email(i)},
		{Key: "account", Value: bson.D{{Key: "email", Value: email(i)}, {Key: "name", Value: "Ada Lovelace"}, {Key: "password", Value: "normalized"}}},
		{Key: "connectyCubeId", Value: int32(1_000_000 + i)}, {Key: "sessions", Value: bson.A{sessionID(i)}},
	}
}

// measureSize adds the lines of one size. The tokens of the rows verify and me are those of
// users all over the database.
func (b *bench) measureSize(ctx context.Context, g *growth, size int) error {
	signed, err := signTokens(min(size, growthTokens), size)
	if err != nil {
		return err
	}
	for _, name := range growthRows {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		for _, c := range g.clients {
			c.Choose("token", nil)
			if name == "verify" || name == "me" {
				c.Choose("token", signed)
			}
		}
		r := row{name: name}
		for range b.rounds {
			s, err := g.run(g.spec.Rows[name], growthConnections, b.during)
			if err != nil {
				return err
			}
			r.samples = append(r.samples, s)
		}
		if n, first := r.failures(); n > 0 {
			return fmt.Errorf("%s with %d users: %d failed, the first with: %w", name, size, n, first)
		}
		cpu := r.of(sample.cpuMillis)
		l := line{measurement: name + ", password hash of 8 KiB", at: number(float64(size)) + " users", unit: "CPU ms an answer"}
		if g.first[name] == 0 {
			g.first[name] = cpu
		} else {
			l.beside = fmt.Sprintf("%.2f× of %s users", cpu/g.first[name], number(float64(b.users[0])))
		}
		b.table.single(l, cpu)
	}
	u, err := g.process.Usage()
	if err != nil {
		return err
	}
	b.table.single(line{measurement: "resident memory", at: number(float64(size)) + " users", unit: "MiB"}, float64(u.Resident)/mib)
	return nil
}

// signTokens returns n access tokens of users that are spread over the database.
func signTokens(n, size int) ([]string, error) {
	ring, err := tokens.NewSecretRing(benchserver.JWTSecret)
	if err != nil {
		return nil, err
	}
	issuer, err := tokens.NewIssuer(tokens.Config{Ring: ring})
	if err != nil {
		return nil, err
	}
	signed := make([]string, 0, n)
	for k := range n {
		i := k * (size / n)
		token, _, err := issuer.AccessToken(tokens.Grant{Subject: userID(i).Hex(), Email: email(i), SessionID: sessionID(i), Until: time.Now().Add(time.Hour)})
		if err != nil {
			return nil, err
		}
		signed = append(signed, token)
	}
	return signed, nil
}
