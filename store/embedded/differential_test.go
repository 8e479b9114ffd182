package embedded

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// generator returns random commands over few documents and few values, so that commands
// often concern the same ones. Every command has one right answer: if MongoDB may choose,
// such as among several matches of an updateOne, the command names the _id.
type generator struct{ *rand.Rand }

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

func (g generator) id() any {
	return pick[any](g, int32(g.IntN(12)), int32(g.IntN(12)), fmt.Sprint("s", g.IntN(4)))
}
func (g generator) field() string { return pick(g, "a", "b", "c", "d.x", "d.y") }

func (g generator) scalar() any {
	return pick[any](g, int32(g.IntN(4)), int64(g.IntN(4)), float64(g.IntN(6))/2, "x", "y", "", nil, true,
		bson.DateTime(g.IntN(3)), bson.ObjectID{11: byte(g.IntN(3))})
}

func (g generator) value() any {
	switch g.IntN(8) {
	case 0:
		a := A{}
		for range g.IntN(4) {
			a = append(a, g.scalar())
		}
		return a
	case 1:
		return D{{Key: "x", Value: g.scalar()}}
	case 2:
		return A{D{{Key: "x", Value: g.scalar()}, {Key: "y", Value: g.scalar()}}, D{{Key: "x", Value: g.scalar()}}}
	}
	return g.scalar()
}

func (g generator) document() D {
	d := D{{Key: "_id", Value: g.id()}}
	for _, f := range []string{"a", "b", "c", "d", "u"} {
		if g.IntN(2) == 0 {
			d = append(d, bson.E{Key: f, Value: g.value()})
		}
	}
	return d
}

func (g generator) condition() any {
	switch g.IntN(16) {
	case 0:
		return D{{Key: pick(g, "$gt", "$gte", "$lt", "$lte"), Value: g.scalar()}}
	case 1:
		return D{{Key: "$gte", Value: int32(g.IntN(3))}, {Key: "$lt", Value: int32(g.IntN(4))}}
	case 2:
		return D{{Key: pick(g, "$in", "$nin"), Value: A{g.scalar(), g.value(), pick[any](g, g.scalar(), bson.Regex{Pattern: "^[xy]"})}}}
	case 3:
		return D{{Key: "$ne", Value: g.scalar()}}
	case 4:
		return D{{Key: "$exists", Value: g.IntN(2) == 0}}
	case 5:
		return D{{Key: "$type", Value: pick[any](g, "string", "number", "array", "null", "object", int32(16))}}
	case 6:
		return D{{Key: "$not", Value: pick[any](g, bson.Regex{Pattern: "^x"}, D{{Key: "$gt", Value: g.scalar()}, {Key: "$lt", Value: g.scalar()}}, D{{Key: "$nin", Value: A{g.scalar()}}})}}
	case 7:
		return D{{Key: "$all", Value: pick(g, A{}, A{g.scalar()}, A{g.scalar(), g.value()}, A{g.scalar(), bson.Regex{Pattern: "^x"}})}}
	case 8:
		return D{{Key: "$elemMatch", Value: pick(g, D{{Key: "$gte", Value: g.scalar()}}, D{{Key: "x", Value: g.scalar()}, {Key: "y", Value: g.scalar()}}, D{{Key: "x", Value: D{{Key: "$nin", Value: A{g.scalar()}}}}})}}
	case 9:
		return pick(g, D{{Key: "$size", Value: int32(g.IntN(4))}}, D{{Key: "$mod", Value: A{int32(2), int32(g.IntN(2))}}})
	}
	return g.scalar()
}

func (g generator) filter() D {
	f := D{}
	for range 1 + g.IntN(2) {
		switch g.IntN(8) {
		case 0:
			f = append(f, bson.E{Key: "_id", Value: pick[any](g, g.id(), D{{Key: "$gte", Value: g.id()}}, D{{Key: "$in", Value: A{g.id(), g.id()}}})})
		case 1:
			f = append(f, bson.E{Key: pick(g, "$or", "$and", "$nor"), Value: A{D{{Key: g.field(), Value: g.condition()}}, D{{Key: g.field(), Value: g.condition()}}}})
		default:
			f = append(f, bson.E{Key: g.field(), Value: g.condition()})
		}
	}
	if len(f) == 2 && f[0].Key == f[1].Key {
		return f[:1]
	}
	return f
}

func (g generator) update() any {
	if g.IntN(8) == 0 {
		return g.document()[1:]
	}
	switch f := g.field(); g.IntN(14) {
	case 0:
		return D{{Key: pick(g, "$inc", "$mul"), Value: D{{Key: f, Value: int32(g.IntN(3))}}}}
	case 1:
		return D{{Key: "$unset", Value: D{{Key: f, Value: ""}}}}
	case 2:
		return D{{Key: pick(g, "$max", "$min"), Value: D{{Key: f, Value: g.scalar()}}}}
	case 3:
		return D{{Key: "$push", Value: D{{Key: f, Value: D{{Key: "$each", Value: A{g.scalar(), g.scalar()}}, {Key: "$slice", Value: int32(g.IntN(7) - 3)}}}}}}
	case 4:
		return D{{Key: "$push", Value: D{{Key: f, Value: D{{Key: "$each", Value: A{g.scalar()}}, {Key: "$position", Value: int32(g.IntN(5) - 2)}}}}}}
	case 5:
		return D{{Key: "$addToSet", Value: D{{Key: f, Value: g.scalar()}}}}
	case 6:
		return D{{Key: "$pull", Value: D{{Key: f, Value: pick[any](g, g.scalar(), D{{Key: "x", Value: g.scalar()}}, D{{Key: "x", Value: D{{Key: "$in", Value: A{g.scalar(), g.scalar()}}}}})}}}}
	case 8:
		return D{{Key: "$pull", Value: D{{Key: f, Value: pick[any](g, bson.Regex{Pattern: "^x"}, D{{Key: "$in", Value: A{g.scalar(), g.scalar()}}}, D{{Key: "$gte", Value: g.scalar()}})}}}}
	case 10:
		return D{{Key: "$rename", Value: D{{Key: f, Value: pick(g, g.field(), "u", "d.z")}}}}
	case 7:
		return D{{Key: "$pop", Value: D{{Key: f, Value: pick(g, int32(1), int32(-1))}}}}
	case 9:
		return D{{Key: "$set", Value: D{{Key: "c", Value: g.value()}, {Key: "a", Value: g.value()}}}, {Key: "$setOnInsert", Value: D{{Key: "b", Value: int32(1)}}}}
	}
	return D{{Key: "$set", Value: D{{Key: pick(g, g.field(), "u"), Value: g.value()}}}}
}

func (g generator) command() D {
	byID := D{{Key: "_id", Value: g.id()}}
	if g.IntN(2) == 0 {
		byID = append(byID, bson.E{Key: g.field(), Value: g.condition()})
	}
	order := D{{Key: pick(g, "a", "b", "d.x"), Value: pick(g, int32(1), int32(-1))}, {Key: "_id", Value: int32(1)}}
	if g.IntN(2) == 0 {
		order = D{{Key: "_id", Value: pick(g, int32(1), int32(-1))}}
	}
	switch g.IntN(14) {
	case 0, 1, 2:
		return D{{Key: "insert", Value: "c"}, {Key: "documents", Value: A{g.document(), g.document()}}, {Key: "ordered", Value: g.IntN(2) == 0}}
	case 3, 4:
		return D{{Key: "update", Value: "c"}, {Key: "updates", Value: A{D{{Key: "q", Value: byID}, {Key: "u", Value: g.update()}, {Key: "upsert", Value: g.IntN(4) == 0}}}}}
	case 5:
		f := pick(g, "a", "b", "c")
		return D{{Key: "update", Value: "c"}, {Key: "updates", Value: A{D{{Key: "q", Value: g.filter()}, {Key: "multi", Value: true},
			{Key: "u", Value: D{{Key: "$set", Value: D{{Key: f, Value: g.value()}}}}}}}}}
	case 6:
		return D{{Key: "delete", Value: "c"}, {Key: "deletes", Value: A{D{{Key: "q", Value: byID}, {Key: "limit", Value: int32(g.IntN(2))}}}}}
	case 7, 8:
		c := D{{Key: "findAndModify", Value: "c"}, {Key: "query", Value: g.filter()}, {Key: "sort", Value: order}}
		if g.IntN(4) == 0 {
			return append(c, bson.E{Key: "remove", Value: true})
		}
		return append(c, bson.E{Key: "update", Value: g.update()}, bson.E{Key: "new", Value: g.IntN(2) == 0})
	case 9:
		return D{{Key: "count", Value: "c"}, {Key: "query", Value: g.filter()}, {Key: "limit", Value: int32(g.IntN(4))}}
	case 10:
		return D{{Key: "aggregate", Value: "c"}, {Key: "cursor", Value: D{}}, {Key: "pipeline", Value: A{
			D{{Key: "$match", Value: g.filter()}}, D{{Key: "$sort", Value: order}}, D{{Key: "$skip", Value: int32(g.IntN(2))}}, D{{Key: "$limit", Value: int32(1 + g.IntN(5))}},
			pick(g, D{{Key: "$project", Value: D{{Key: "a", Value: 1}, {Key: "d.x", Value: 1}}}}, D{{Key: "$project", Value: D{{Key: "b", Value: 0}}}}, D{{Key: "$count", Value: "n"}})}}}
	case 11:
		return D{{Key: "aggregate", Value: "c"}, {Key: "cursor", Value: D{}}, {Key: "pipeline", Value: A{
			D{{Key: "$match", Value: g.filter()}}, D{{Key: "$skip", Value: int32(g.IntN(2))}}, D{{Key: "$limit", Value: int32(1 + g.IntN(5))}},
			D{{Key: "$group", Value: D{{Key: "_id", Value: int32(1)}, {Key: "n", Value: D{{Key: "$sum", Value: int32(1)}}}}}}}}}
	}
	c := D{{Key: "find", Value: "c"}, {Key: "filter", Value: g.filter()}, {Key: "sort", Value: order}, {Key: "batchSize", Value: int32(1000)},
		{Key: "skip", Value: int32(g.IntN(3))}, {Key: "limit", Value: int32(g.IntN(6))}}
	if g.IntN(3) == 0 {
		c = append(c, bson.E{Key: "projection", Value: pick(g, D{{Key: "a", Value: 1}, {Key: "d.x", Value: 1}}, D{{Key: "b", Value: 0}, {Key: "d.y", Value: 0}})})
	}
	return c
}

// answerTo runs a command and returns the part of the answer that must be equal on all
// servers: results and error codes without texts.
func answerTo(tb testing.TB, db *mongo.Database, command D) string {
	raw, err := db.RunCommand(tb.Context(), command).Raw()
	var a struct {
		Code                int32
		N, NModified, Value any
		Upserted            any
		LastErrorObject     any
		KeyPattern          any
		Cursor              struct{ FirstBatch A }
		WriteErrors         []struct {
			Index, Code int32
			KeyPattern  any
		}
	}
	if uerr := bson.Unmarshal(raw, &a); uerr != nil {
		return fmt.Sprint(err, uerr)
	}
	out, err := bson.MarshalExtJSON(a, true, false)
	if err != nil {
		tb.Fatal(err)
	}
	return string(out)
}

// compare runs the same random commands on both databases until their answers differ.
func compare(t *testing.T, one, other *mongo.Database, seed uint64, n int) {
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	for i := range n {
		commands := []D{g.command()}
		if i%20 == 19 {
			commands = append(commands, D{{Key: "find", Value: "c"}, {Key: "sort", Value: D{{Key: "_id", Value: int32(1)}}}, {Key: "batchSize", Value: int32(1000)}})
		}
		for _, command := range commands {
			a, b := answerTo(t, one, command), answerTo(t, other, command)
			if a != b {
				t.Fatalf("seed %d, command %d: %s\none:   %s\nother: %s", seed, i, asJSON(command), a, b)
			}
		}
	}
}

// indexForComparison creates indexes. Both databases must have the unique index, or none.
func indexForComparison(tb testing.TB, db *mongo.Database, unique, others bool) {
	c := db.Collection("c")
	if unique {
		makeIndex(tb, c, D{{Key: "u", Value: 1}}, options.Index().SetUnique(true).SetSparse(true))
	}
	if others {
		makeIndex(tb, c, D{{Key: "a", Value: 1}}, nil)
		makeIndex(tb, c, D{{Key: "b", Value: 1}, {Key: "_id", Value: -1}}, nil) // the second field must not be an array
		makeIndex(tb, c, D{{Key: "d.x", Value: -1}}, options.Index().SetSparse(true))
		makeIndex(tb, c, D{{Key: "c", Value: 1}}, options.Index().SetPartialFilterExpression(D{{Key: "c", Value: D{{Key: "$gt", Value: 0}}}}))
	}
}

// TestIndexesChangeNoAnswer compares a server with indexes and a server without. It tests the
// planner and the harness of TestSameAsMongoDB.
func TestIndexesChangeNoAnswer(t *testing.T) {
	for seed := range uint64(4) {
		s := start(t)
		one, other := connect(t, s).Database("test"), connect(t, start(t)).Database("test")
		indexForComparison(t, one, seed%2 == 0, true)
		indexForComparison(t, other, seed%2 == 0, false)
		compare(t, one, other, seed, 700)
		checkIndexes(t, s)
	}
}

// TestSameAsMongoDB compares with a real server.
func TestSameAsMongoDB(t *testing.T) {
	uri := os.Getenv("TEST_MONGODB_URL")
	if uri == "" {
		t.Skip("TEST_MONGODB_URL is not set: no MongoDB to compare with")
	}
	real := dial(t, options.Client().ApplyURI(uri))
	for seed := range uint64(20) {
		ours := connect(t, start(t)).Database("test")
		theirs := real.Database(fmt.Sprintf("embedded_%d_%d", time.Now().UnixNano(), seed))
		t.Cleanup(func() { _ = theirs.Drop(t.Context()) })
		indexForComparison(t, ours, seed%2 == 0, true)
		indexForComparison(t, theirs, seed%2 == 0, true)
		compare(t, ours, theirs, seed, 1000)
	}
}
