package embedded

import (
	"context"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// maxOperation bounds every command; a maxTimeMS can only shorten it.
const maxOperation = 5 * time.Minute

// access is the use that a command makes of the file.
type access int

const (
	nothing access = iota
	reads          // in a transaction of its own, concurrent to others
	writes         // one after the other, see writer
)

type command struct {
	access access
	run    func(*call) (bson.D, error)
}

// commands lists all commands. Any other name is refused.
var commands = map[string]command{
	"hello":           {nothing, hello},
	"isMaster":        {nothing, hello},
	"ismaster":        {nothing, hello},
	"ping":            {nothing, ping},
	"buildInfo":       {nothing, buildInfo},
	"buildinfo":       {nothing, buildInfo},
	"endSessions":     {nothing, endSessions},
	"killCursors":     {nothing, killCursors},
	"saslStart":       {nothing, noUsers},
	"saslContinue":    {nothing, noUsers},
	"authenticate":    {nothing, noUsers},
	"listDatabases":   {reads, listDatabases},
	"listCollections": {reads, listCollections},
	"listIndexes":     {reads, listIndexes},
	"find":            {reads, find},
	"getMore":         {reads, getMore},
	"count":           {reads, count},
	"explain":         {reads, explain},
	"aggregate":       {reads, aggregate},
	"create":          {writes, create},
	"drop":            {writes, drop},
	"dropDatabase":    {writes, dropDatabase},
	"createIndexes":   {writes, createIndexes},
	"dropIndexes":     {writes, dropIndexes},
	"insert":          {writes, insert},
	"update":          {writes, updates},
	"delete":          {writes, deletes},
	"findAndModify":   {writes, findAndModify},
	"findandmodify":   {writes, findAndModify}, // as old drivers write it
}

// call is one running command.
type call struct {
	*form
	server     *Server
	ctx        context.Context
	connection int32
	db         string
	t          *txn // nil without access to the file
}

// execute runs the command in m and returns its encoded answer. The command ends early if ctx
// ends.
func (s *Server) execute(ctx context.Context, m *message, connection int32) (document, error) {
	name := firstKey(m.body)
	cmd, ok := commands[name]
	if !ok {
		if knownCommands[name] { // with MongoDB's code, after which tools go on without the command
			return nil, fail(codeCommandNotFound, "command '%s' %s", name, notHere)
		}
		return nil, fail(codeCommandNotFound, "no such command: '%s'", name)
	}
	common := newCommon(name, m)
	limit, err := common.check()
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > limit {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	run := func(t *txn) ([]byte, error) { // may run twice
		f := *common
		c := &call{form: &f, server: s, ctx: ctx, connection: connection, t: t}
		if c.db = c.string("$db"); c.err != nil {
			return nil, c.err
		}
		// Commands without access to the file ignore the name. Logins use the name $external.
		if err := checkDatabase(c.db); err != nil && cmd.access != nothing {
			return nil, err
		}
		answer, err := cmd.run(c)
		if err != nil {
			return nil, err
		}
		// Encoded here, because the answer may point into the transaction's pages.
		return encode(append(answer, bson.E{Key: "ok", Value: 1.0}))
	}
	switch cmd.access {
	case writes:
		return s.writer.do(ctx, run)
	case reads:
		return s.read(run)
	}
	return run(nil)
}

func (s *Server) read(run func(*txn) ([]byte, error)) (document, error) {
	t, err := s.file.begin(false)
	if err != nil {
		return nil, err
	}
	defer s.file.rollback(t)
	return run(t)
}

// errorAnswer is the answer that contains err.
func errorAnswer(err error) document {
	b, merr := bson.Marshal(asFailure(err).answer())
	if merr != nil {
		b, _ = bson.Marshal((&failure{code: codeInternal, message: "unprintable error"}).answer())
	}
	return b
}

// newCommon returns the form of a command that accepts the fields that all commands share.
func newCommon(name string, m *message) *form {
	f := newForm(name, m.body)
	f.sequences = m.sequences
	f.accept("apiVersion", "apiStrict", "apiDeprecationErrors")
	f.accept(name, "$db", "lsid", "$clusterTime", "$readPreference", "readConcern", "writeConcern", "comment", "maxTimeMS",
		"txnNumber", "startTransaction", "autocommit")
	return f
}

// check checks the fields that all commands share, before a transaction begins, and returns
// the time limit of the command.
func (f *form) check() (time.Duration, error) {
	for _, key := range []string{"txnNumber", "startTransaction", "autocommit"} {
		if _, ok := f.get(key); ok {
			return 0, fail(codeIllegalOperation, "Transaction numbers are only allowed on a replica set member or mongos")
		}
	}
	f.addError(checkAPI(f.name, f))
	limit := maxOperation
	if ms := f.count("maxTimeMS", 0); ms > 0 && ms < maxOperation.Milliseconds() {
		limit = time.Duration(ms) * time.Millisecond
	}
	if d := f.document("readConcern"); d != nil {
		f.addError(checkReadConcern(d))
	}
	if d := f.document("writeConcern"); d != nil {
		f.addError(checkWriteConcern(d))
	}
	return limit, f.err
}

// checkAPI accepts version 1 of MongoDB's stable API
// (https://www.mongodb.com/docs/v7.0/reference/stable-api/). Everything in it that this package
// supports has the same meaning without it.
func checkAPI(name string, f *form) error {
	version, isVersioned := f.get("apiVersion")
	strict, deprecation := f.bool("apiStrict", false), f.bool("apiDeprecationErrors", false)
	switch {
	case !isVersioned && (strict || deprecation):
		return fail(codeInvalidOptions, "apiStrict and apiDeprecationErrors need apiVersion")
	case isVersioned && (version.Type != bsoncore.TypeString || stringOf(version) != "1"):
		return fail(codeAPIVersion, "API version must be \"1\", not %s", version)
	case strict && (name == "buildInfo" || name == "buildinfo" || name == "isMaster" || name == "ismaster"):
		return fail(codeAPIStrict, "command %s is not in API version 1", name)
	}
	return nil
}

// checkReadConcern accepts the levels that a single server always fulfills.
func checkReadConcern(d document) error {
	f := newForm("readConcern", d)
	f.accept("afterClusterTime", "provenance")
	switch level := f.string("level"); level {
	case "", "local", "available", "majority", "linearizable":
	case "snapshot":
		f.addError(fail(codeNotReplica, "readConcern level snapshot needs a replica set"))
	default:
		f.addError(fail(codeFailedToParse, "unknown readConcern level %q", level))
	}
	return f.finish()
}

// checkWriteConcern accepts the concerns that a single server fulfills when it always syncs.
func checkWriteConcern(d document) error {
	f := newForm("writeConcern", d)
	f.accept("j", "wtimeout", "fsync", "provenance")
	if w, ok := f.get("w"); ok {
		n, whole := asInt(w)
		majority := w.Type == bsoncore.TypeString && stringOf(w) == "majority"
		if !majority && !(whole && (n == 0 || n == 1)) {
			f.addError(fail(codeBadValue, "writeConcern w=%s needs a replica set", w))
		}
	}
	return f.finish()
}

func checkDatabase(name string) error {
	if name == "" || len(name) > 63 || strings.ContainsAny(name, "/\\. \"$*<>:|?\x00") {
		return fail(codeInvalidNamespace, "Invalid database name: %q", name)
	}
	return nil
}

// listCollectionsCursor is MongoDB's name for the collection of a listCollections cursor.
const listCollectionsCursor = "$cmd.listCollections"

// namespace reads the collection in the field key, mostly the field with the command's name.
func (c *call) namespace(key string) (string, error) {
	v, ok := c.get(key)
	if !ok || v.Type != bsoncore.TypeString {
		return "", fail(codeInvalidNamespace, "%s: collection name has invalid type", c.name)
	}
	name := stringOf(v)
	if name == listCollectionsCursor && (c.name == "getMore" || c.name == "killCursors") {
		return c.db + "." + name, nil
	}
	if name == "" || len(name) > 200 || strings.ContainsAny(name, "$\x00") ||
		strings.HasPrefix(name, ".") || strings.HasPrefix(name, "system.") {
		return "", fail(codeInvalidNamespace, "Invalid collection name: %q", name)
	}
	return c.db + "." + name, nil
}

// collection returns nil for a collection that does not exist.
func (c *call) collection(ns string) *collection { return c.t.catalog.collections[ns] }

// checkHint accepts a hint that affects only the speed. The planner chooses the index
// without it.
func (c *call) checkHint(col *collection, hint value) error {
	if hint.Type == 0 || col == nil {
		return nil
	}
	if natural, ok := naturalHint(hint); ok {
		if natural == 0 {
			return fail(codeBadValue, "$natural hint cannot be set to a value other than -1 or 1.")
		}
		return nil
	}
	matches := func(name string, key document) bool {
		if hint.Type == bsoncore.TypeString {
			return stringOf(hint) == name
		}
		return sameValue(hint, documentValue(key))
	}
	idKey, _ := lookup(idIndexSpec, "key")
	if matches("_id_", idKey.Data) {
		return nil
	}
	for _, ix := range col.indexes {
		key, _ := lookup(ix.spec, "key")
		if !matches(ix.name, key.Data) {
			continue
		}
		if ix.sparse || ix.partial != nil {
			return unsupported("a hint for a sparse or partial index, which would hide documents,")
		}
		return nil
	}
	return fail(codeBadValue, "hint provided does not correspond to an existing index")
}

// naturalHint reads the hint {$natural: 1} or {$natural: -1}, which asks for the natural order: that
// of _id, or its reverse. The direction is 0 for any other value.
func naturalHint(hint value) (direction int, ok bool) {
	name, v, single := onlyField(hint)
	if !single || name != "$natural" {
		return 0, false
	}
	if n, exact := asInt(v); exact && (n == 1 || n == -1) {
		return int(n), true
	}
	return 0, true
}

// filter compiles the filter in key. An absent one matches all documents.
func (f *form) filter(key string) *filter {
	compiled, err := compileFilter(f.document(key))
	f.addError(err)
	return compiled
}

func (f *form) order(key string) pattern {
	p, err := parseSort(f.document(key))
	f.addError(err)
	return p
}

func (f *form) projection(key string) *projection {
	p, err := compileProjection(f.document(key))
	f.addError(err)
	return p
}
