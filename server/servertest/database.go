package servertest

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cubegate/store/embedded"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/crypto/bcrypt"
)

// StartDatabase runs the embedded database on a port of its own, until the test
// ends. Programs use it as a MongoDB.
func StartDatabase(t *testing.T) *embedded.Server {
	t.Helper()
	db, err := embedded.Start(embedded.Options{
		File: filepath.Join(t.TempDir(), "test.db"), Listen: "127.0.0.1:0", NoSync: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// OnDatabase returns the settings for a new database in the MongoDB of
// TEST_MONGODB_URL, and drops that database after the test. If the variable is
// not set, it returns the settings unchanged.
func OnDatabase(t *testing.T, settings map[string]string) map[string]string {
	t.Helper()
	uri := os.Getenv("TEST_MONGODB_URL")
	if uri == "" {
		return settings
	}
	name := "t" + rand.Text()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		client, err := mongo.Connect(options.Client().ApplyURI(uri))
		if err != nil {
			t.Error(err)
			return
		}
		_ = client.Database(name).Drop(ctx)
		_ = client.Disconnect(ctx)
	})
	return Merge(settings, map[string]string{"MONGO_URI": uri, "MONGO_DATABASE": name, "JWT_SECRET": JWTSecret})
}

// InsertUsers writes documents without package store, for forms that only the
// NestJS original wrote.
func InsertUsers(t *testing.T, db *embedded.Server, documents ...map[string]any) {
	t.Helper()
	withUsers(t, db, func(ctx context.Context, users *mongo.Collection) error {
		_, err := users.InsertMany(ctx, documents)
		return err
	})
}

// InsertExtendedJSON inserts a user in MongoDB's Extended JSON, with its fields in their
// order.
func InsertExtendedJSON(t *testing.T, db *embedded.Server, document []byte) {
	t.Helper()
	var user bson.D
	if err := bson.UnmarshalExtJSON(document, true, &user); err != nil {
		t.Fatal(err)
	}
	withUsers(t, db, func(ctx context.Context, users *mongo.Collection) error {
		_, err := users.InsertOne(ctx, user)
		return err
	})
}

// UpdateUser sets fields of a user's document.
func UpdateUser(t *testing.T, db *embedded.Server, id string, fields map[string]any) {
	t.Helper()
	withUsers(t, db, func(ctx context.Context, users *mongo.Collection) error {
		oid, err := bson.ObjectIDFromHex(id)
		if err != nil {
			return err
		}
		_, err = users.UpdateByID(ctx, oid, map[string]any{"$set": fields})
		return err
	})
}

// UsersInLine returns the emails of the users whose accounts wait for their sign-up at
// ConnectyCube, in the order of their turns.
func UsersInLine(t *testing.T, db *embedded.Server) []string {
	t.Helper()
	var waiting []struct{ Email string }
	withUsers(t, db, func(ctx context.Context, users *mongo.Collection) error {
		const turn = "account.turn"
		cursor, err := users.Find(ctx, bson.M{turn: bson.M{"$exists": true}}, options.Find().SetSort(bson.M{turn: 1}))
		if err != nil {
			return err
		}
		return cursor.All(ctx, &waiting)
	})
	emails := make([]string, len(waiting))
	for i, user := range waiting {
		emails[i] = user.Email
	}
	return emails
}

// withUsers calls do with the collection of users.
func withUsers(t *testing.T, db *embedded.Server, do func(context.Context, *mongo.Collection) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client, err := mongo.Connect(options.Client().ApplyURI(db.URI()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(ctx) }()
	if err := do(ctx, client.Database("test").Collection("users")); err != nil {
		t.Fatal(err)
	}
}

// OriginalUser returns a document as the original's Mongoose wrote it.
func OriginalUser(t *testing.T, email, password string) map[string]any {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"firstName": "Ada", "lastName": "Lovelace", "email": email, "password": string(hash),
		"createdAt": time.Now(), "updatedAt": time.Now(), "__v": 0,
	}
}
