// Package embedded is a small database inside the process that speaks MongoDB's
// wire protocol and keeps its data in one bbolt file. The store is written once,
// against the official driver. Without a connection string, the driver gives each message to a
// Server of this package by a call ([Server.Exchange]), and no port is open.
//
//	s, err := embedded.Start(embedded.Options{File: "data/app.db"})
//	db, err := store.Open(ctx, store.Options{URI: s.URI(), Exchange: s.Exchange})
//
// The package is for development, tests and small installations. It is not MongoDB: it
// has one process, one file, no replicas, no authentication and no transactions. It knows
// the protocol and not the meaning of the documents.
//
// Start reading at commands.go: one table lists every command. Then follow insert to
// documents.go and indexes.go, or find to plan.go. All of them depend on keys.go.
//
// # The promise
//
// The server behaves as MongoDB 7 for everything in this list, atomically for each
// document and with MongoDB's error codes. It refuses everything else by name: an unknown
// command, field, option, operator or stage is an error (see form). When the server
// answers a write, the data is on disk.
//
// The supported operators are those that the store, MongoDB's command line tools, mongosh or
// mongoose send by themselves, and those that the users of other mappers miss first:
//
//   - hello, ping, buildInfo, endSessions, listDatabases, listCollections,
//     listIndexes, create, drop, dropDatabase, createIndexes, dropIndexes, insert,
//     find, getMore, killCursors, update, delete, findAndModify, count,
//     aggregate, explain (of find).
//   - Filters: equality, $eq $ne $gt $gte $lt $lte $in $nin $not $exists $type $regex
//     (RE2's syntax; options i, m, s, u) $and $or $nor. $nin, $not and $nor use no index.
//   - Of arrays: $all (its first value uses an index) $elemMatch $size; of numbers: $mod.
//   - Updates: $set $unset $setOnInsert $inc $mul $max $min $rename $currentDate $push ($each $slice
//     $position) $addToSet $pull $pullAll $pop; replacements; upserts.
//   - Indexes: compound, descending, dotted, over arrays, unique, sparse, partial,
//     TTL. Equality, $in and ranges use them, and so do a $or of which each branch can, and a
//     sort in the order of an index.
//   - Aggregation: a pipeline that is a find, or that counts what it finds. Each of $match, $sort,
//     $skip, $limit, $project (1 and 0) and a $group of one constant with {$sum: 1}, or $count, occurs
//     at most once and in this order. No other pipeline.
//   - Projections of 1 and 0; sorts; skip, limit, batches; maxTimeMS; w:0; {$natural: 1} and
//     {$natural: -1} as a hint or a sort; version 1 of the stable API.
//
// Refused, among others: the command distinct, transactions (code 20; the server presents itself as
// standalone, so drivers send no retryable writes either), snapshot reads of sessions,
// collations, change streams, positional updates and array filters, updates by
// pipeline, expressions, $lookup, capped collections, validators, views,
// arithmetic with Decimal128.
//
// A login (saslStart, saslContinue, authenticate) fails with code 18, because there are no users.
// A name that MongoDB has and this package has not gets an error that says so, and any other
// name gets MongoDB's error for an unknown name (unsupported.go).
//
// # How the promise was checked
//
// No result was compared with a MongoDB server. In the repository, mongodb_test.go keeps the
// places where this package once differed silently, tools_test.go replays the commands of
// MongoDB's tools, and differential_test.go compares random commands with another server if one is
// given. In November 2026 mongodump, mongorestore, mongoexport, mongoimport (built from
// https://github.com/mongodb/mongo-tools at 8fa3cfc82) and mongosh 2.12.0 dumped, restored,
// exported, imported and read a database of this package. The drivers for Node (4.17 to 7.9), Go
// (1.17), Python (PyMongo 3.11, Motor 2.3), PHP (1.15), Ruby (2.5), Perl (2.2), C (1.23) and Java
// (3.6), and connect-mongo, Agenda, monk, MongoEngine, mongoose (5 to 9), migrate-mongo, the
// adapter of Auth.js, MikroORM (6), Waterline (sails-mongo 2), LoopBack (connector 7), Feathers
// (5), Payload (3), Parse Server (8, with enableCollationCaseComparison), @nestjs/mongoose,
// rate-limiter-flexible, rate-limit-mongo, express-brute-mongo, casbin-mongodb-adapter,
// winston-mongodb, mongo-gui and rsyslog did with it what the list above has, and got an error
// that names it for anything else. Pulse (needs $expr), and Mango and prometheus-mongodb-exporter
// (send OP_QUERY) do not work. mingo 7.2, which is MongoDB's query language in JavaScript, agreed
// in 114,000 random filters, sorts, projections and updates, except where mingo departs from
// MongoDB's documentation (such as an array as the value in an array of documents, $max and $min
// of different types, $slice of a new array). It agreed, too, in 24,000 filters with $nin, $not, $nor,
// $all, $elemMatch, $size and $mod, and in all of 3,000 updates with $mul, $rename and $pull except
// those with $or in a $pull, which mingo ignores; it misses an array in the list of $in and $nin,
// reads no missing field as null in $gte, and looks for a path inside arrays of arrays. In the
// same month, before the package was reduced to the list above, MongoDB's specification tests
// (https://github.com/mongodb/specifications, crud/unified) had 114 passes, 61 refusals by name
// and 1 wrong answer, which is corrected; they are not part of this repository.
//
// Known differences from MongoDB:
//
//   - nModified of a $push with $slice that leaves the array as it was, some error codes, and
//     the text of a duplicate's error (E11000).
//   - Natural order is the order of _id.
//   - A cursor ends with code 175 when its collection is dropped or its index changes.
//   - Regular expressions with look-around or back-references are refused. $ does not match
//     before a final newline, \s does not match a vertical tab, and \v matches only that. With the
//     option m, ^ matches after a final newline, too.
//   - A timestamp of zero stays zero when a document is inserted, and two of $currentDate in one
//     second are equal.
//   - An _id has at most 16 KiB. Index keys beyond 8 KiB are truncated and hashed: they
//     stay unique and are found exactly, but have no particular order among themselves.
//   - Paths with numeric parts are refused in indexes and sorts.
//   - Bounds: 1000 connections of the process's own and 400 at Options.Listen, which
//     hold 96 MiB of messages and answers together; 500 open cursors with 64 MiB in total;
//     32 MiB for a sort; 1000 changed paths in an update; five minutes for a
//     command. Building an index sorts 32 MiB of keys at a time.
//   - If the file cannot be written, writes and ping answer 14031 or 39 until a probe
//     succeeds.
//
// # How it works
//
// Commands that write run one after the other (writer.go). Those that wait share one bbolt
// transaction and one fsync, and are answered after its commit. Each reading command has
// a transaction of its own, and so a snapshot, concurrent to all others.
//
// Every value has an order-preserving key (keys.go). Equality, ranges, sorts and
// index entries all use it. The file contains these bbolt buckets:
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
// # Rejected alternatives
//
// FerretDB v1 on SQLite lets several of 32 simultaneous compare-and-sets win, scans
// the collection for every lookup, and reports some duplicates as other errors.
// FerretDB v2 needs PostgreSQL with an extension. lungo is atomic but speaks no wire
// protocol and rewrites its whole file at every write. A second store on plain bbolt would
// be shorter, but every method would exist twice, and the MongoDB methods would be untested
// on a machine without MongoDB.
package embedded
