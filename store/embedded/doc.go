// Package embedded is a small database inside the process that speaks MongoDB's
// wire protocol and keeps its data in one bbolt file. The store is written once,
// against the official driver; with nothing configured the driver dials a Server
// from here, through a pipe in memory, and no port is open.
//
//	s, err := embedded.Start(embedded.Options{File: "data/app.db"})
//	client, err := mongo.Connect(options.Client().ApplyURI(s.URI()).SetDialer(s))
//
// It is for development, tests and small installations, and it is not MongoDB: one
// process, one file, no replicas, no authentication, no transactions. It knows the
// protocol and nothing of what is stored. To read it, begin with commands.go, where
// every command stands in one table, and follow insert down to documents.go and
// indexes.go, or find to plan.go. Everything rests on keys.go.
//
// # The promise
//
// What is supported behaves as in MongoDB 7, atomically for each document, with
// MongoDB's error codes. What is not is refused by name: an unknown command, field,
// option, operator or stage is an error and never ignored (see form). An answer to a
// write means that it is on disk.
//
// Supported:
//
//   - hello, ping, buildInfo, endSessions, listDatabases, listCollections,
//     listIndexes, create, drop, dropDatabase, createIndexes, dropIndexes, insert,
//     find, getMore, killCursors, update, delete, findAndModify, count,
//     aggregate, explain (of find).
//   - Filters: equality, $eq $ne $gt $gte $lt $lte $in $exists $type $regex (RE2's syntax;
//     options i, m, s) $and $or.
//   - Updates: $set $unset $setOnInsert $inc $max $push ($each $slice $position) $addToSet
//     $pull $pullAll $pop; replacements; upserts.
//   - Indexes: compound, descending, dotted, over arrays, unique, sparse, partial,
//     TTL. Equality, $in and ranges use them, and so does a sort that an index can give.
//   - Aggregation: the pipeline that drivers send to count documents, and no other:
//     $match, $skip, $limit, and a $group of one constant with {$sum: 1}.
//   - Projections of 1 and 0; sorts; skip, limit, batches; maxTimeMS; w:0.
//
// Refused, among all else: transactions (code 20; the server presents itself as
// standalone, so drivers send no retryable writes either), sessions' snapshot reads,
// collations, change streams, positional updates and array filters, updates by
// pipeline, expressions, $lookup, capped collections, validators, views,
// arithmetic with Decimal128.
//
// Different from MongoDB, and known:
//
//   - Natural order is the order of _id.
//   - A cursor whose collection was dropped or whose index changed ends with code 175.
//   - Regular expressions have no look-around and no back-references (refused when
//     read), and $ does not match before a final newline.
//   - An _id has at most 16 KiB. Index keys beyond 8 KiB are cut and hashed: unique
//     and found exactly, but in no particular order among themselves.
//   - Paths with numeric parts are refused in indexes and sorts.
//   - Bounds: 1000 connections of the process's own and 100 at Options.Listen, which
//     hold 96 MiB of messages and answers together; 500 open cursors, 64 MiB in them,
//     32 MiB for a sort, 1000 changed paths in an update, five minutes for a
//     command. Building an index sorts 32 MiB of keys at a time.
//   - A file that cannot be written answers 14031 or 39, and ping does so until a probe
//     could write again.
//
// # How it works
//
// All writing happens on one goroutine (writer.go). The commands that wait share one
// bbolt transaction and one fsync, and are answered after its commit. Each reading
// command has a transaction, and so a snapshot, of its own, beside everything else.
//
// Every value has an order-preserving key (keys.go); equality, ranges, sorts and
// index entries all go by it. The file, in bbolt's buckets:
//
//	meta
//	    format      → 1
//	    generation  → counts the changes of the catalog
//	catalog
//	    db.coll     → {indexes: [{spec: {…}, multikey: bool}, …]}
//	data
//	    db.coll
//	        d           bucket: key of _id → the document, as BSON
//	        iemail_1    bucket, unique: key of the fields → key of _id
//	        iroom_1     bucket: key of the fields + key of _id → key of _id
//
// # Alternatives refused
//
// FerretDB v1 on SQLite lets several of 32 simultaneous compare-and-sets win, scans
// the collection for every look-up, and reports some duplicates as other errors;
// v2 needs PostgreSQL with an extension. lungo is atomic but speaks no wire protocol
// and rewrites its whole file at every write. A second store on plain bbolt would be
// shorter, but every method would exist twice, and the one that matters in
// production would go untested where no MongoDB is at hand.
package embedded
