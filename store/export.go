package store

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Export writes every user, with the password hash, in MongoDB's canonical extended JSON.
// Each document is one line, as mongoimport expects.
func (s *Store) Export(ctx context.Context, w io.Writer) error {
	found, err := s.users.coll.Find(ctx, bson.D{}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return s.users.wrapError("reading users", err)
	}
	defer found.Close(context.WithoutCancel(ctx))
	out := bufio.NewWriter(w)
	for found.Next(ctx) {
		line, err := bson.MarshalExtJSON(found.Current, true, false)
		if err != nil {
			return fmt.Errorf("writing a user: %w", err)
		}
		_, _ = out.Write(append(line, '\n')) // Flush reports it
	}
	if err := found.Err(); err != nil {
		return s.users.wrapError("reading users", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing users: %w", err)
	}
	return nil
}
