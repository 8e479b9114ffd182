package embedded

import (
	"maps"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// The version that this server reports. Drivers use it to decide which features to use.
const (
	version        = "7.0.0"
	maxWireVersion = 21 // MongoDB 7.0
)

// hello presents a standalone server. Without a setName, drivers send neither
// retryable writes nor transactions.
func hello(c *call) (bson.D, error) {
	// The client describes itself and offers features that the server does not use. A driver
	// that gets no answer to speculativeAuthenticate sends saslStart, which noUsers refuses.
	c.accept("helloOk", "client", "compression", "saslSupportedMechs", "hostInfo", "loadBalanced", "backpressure", "maxAwaitTimeMS",
		"speculativeAuthenticate")
	c.reject("topologyVersion")
	if err := c.finish(); err != nil {
		return nil, err
	}
	return bson.D{
		{Key: "helloOk", Value: true},
		{Key: "ismaster", Value: true},
		{Key: "isWritablePrimary", Value: true},
		{Key: "maxBsonObjectSize", Value: int32(maxDocument)},
		{Key: "maxMessageSizeBytes", Value: int32(maxMessage)},
		{Key: "maxWriteBatchSize", Value: int32(maxWrites)},
		{Key: "localTime", Value: time.Now()},
		{Key: "logicalSessionTimeoutMinutes", Value: int32(30)},
		{Key: "connectionId", Value: c.connection},
		{Key: "minWireVersion", Value: int32(0)},
		{Key: "maxWireVersion", Value: int32(maxWireVersion)},
		{Key: "readOnly", Value: false},
	}, nil
}

// ping fails while the file cannot be written, because a client that pings before it
// sends work needs reads and writes.
func ping(c *call) (bson.D, error) {
	if err := c.finish(); err != nil {
		return nil, err
	}
	return bson.D{}, c.server.file.writable()
}

// noUsers refuses the commands of a login. A driver sends them if its connection string has a user.
func noUsers(*call) (bson.D, error) {
	return nil, fail(codeAuthentication, "Authentication failed: cubegate's embedded database has no users; connect without a user and a password")
}

func buildInfo(c *call) (bson.D, error) {
	return bson.D{
		{Key: "version", Value: version},
		{Key: "versionArray", Value: bson.A{int32(7), int32(0), int32(0), int32(0)}},
		{Key: "modules", Value: bson.A{"cubegate store/embedded, not MongoDB"}},
		{Key: "maxBsonObjectSize", Value: int32(maxDocument)},
	}, c.finish()
}

// endSessions has no work to do, because the server keeps no state of a session.
func endSessions(c *call) (bson.D, error) { return bson.D{}, c.finish() }

func listDatabases(c *call) (bson.D, error) {
	f, nameOnly := c.filter("filter"), c.bool("nameOnly", false)
	c.accept("authorizedDatabases") // every client may see all databases
	if err := c.finish(); err != nil {
		return nil, err
	}
	sizes := map[string]bool{}
	for ns := range c.t.catalog.collections {
		db, _, _ := strings.Cut(ns, ".")
		sizes[db] = true
	}
	list := bson.A{}
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		d := bson.D{{Key: "name", Value: name}}
		if !nameOnly { // all databases share one file, so they have no separate sizes
			d = append(d, bson.E{Key: "sizeOnDisk", Value: c.t.tx.Size()}, bson.E{Key: "empty", Value: false})
		}
		b, err := bson.Marshal(d)
		if err != nil {
			return nil, err
		}
		if f.matches(b) {
			list = append(list, bson.Raw(b))
		}
	}
	answer := bson.D{{Key: "databases", Value: list}}
	if !nameOnly {
		answer = append(answer, bson.E{Key: "totalSize", Value: c.t.tx.Size()})
	}
	return answer, nil
}

func listCollections(c *call) (bson.D, error) {
	f, nameOnly := c.filter("filter"), c.bool("nameOnly", false)
	c.accept("authorizedCollections")
	size := c.batchSize()
	if err := c.finish(); err != nil {
		return nil, err
	}
	cur := &cursor{ns: c.db + "." + listCollectionsCursor}
	for _, ns := range slices.Sorted(maps.Keys(c.t.catalog.collections)) {
		name, here := strings.CutPrefix(ns, c.db+".")
		if !here {
			continue
		}
		d := bson.D{{Key: "name", Value: name}, {Key: "type", Value: "collection"}}
		if !nameOnly {
			d = append(d, bson.E{Key: "options", Value: bson.D{}}, bson.E{Key: "info", Value: bson.D{{Key: "readOnly", Value: false}}},
				bson.E{Key: "idIndex", Value: bson.Raw(idIndexSpec)})
		}
		b, err := bson.Marshal(d)
		if err != nil {
			return nil, err
		}
		if f.matches(b) {
			cur.docs = append(cur.docs, b)
		}
	}
	return c.firstBatch(cur, size, false)
}

// batchSize reads the cursor options of commands that list or aggregate.
func (c *call) batchSize() int64 {
	f := newForm(c.name+".cursor", c.document("cursor"))
	size := f.count("batchSize", firstBatchSize)
	c.addError(f.finish())
	return size
}

func listIndexes(c *call) (bson.D, error) {
	ns, err := c.namespace("listIndexes")
	if err != nil {
		return nil, err
	}
	size := c.batchSize()
	if err := c.finish(); err != nil {
		return nil, err
	}
	col := c.collection(ns)
	if col == nil {
		return nil, fail(codeNamespaceNotFound, "ns does not exist: %s", ns)
	}
	cur := &cursor{ns: ns, docs: []document{idIndexSpec}}
	for _, ix := range col.indexes {
		cur.docs = append(cur.docs, ix.spec)
	}
	return c.firstBatch(cur, size, false)
}

// create creates a plain collection. An existing one is no error, as in MongoDB 7.
func create(c *call) (bson.D, error) {
	ns, err := c.namespace("create")
	if err != nil {
		return nil, err
	}
	c.addError(checkIDIndex(c.document("idIndex")))
	c.reject("capped", "size", "max", "validator", "validationLevel", "validationAction", "collation", "timeseries",
		"expireAfterSeconds", "clusteredIndex", "viewOn", "pipeline", "storageEngine", "indexOptionDefaults",
		"changeStreamPreAndPostImages", "encryptedFields", "autoIndexId")
	if err := c.finish(); err != nil {
		return nil, err
	}
	_, err = c.t.ensure(ns)
	return bson.D{}, err
}

// checkIDIndex accepts the specification of the index that every collection has. mongorestore
// sends it.
func checkIDIndex(spec document) error {
	if spec == nil {
		return nil
	}
	ix, err := parseIndex(normalizeSpec(spec))
	if err != nil {
		return err
	}
	if !isIDKey(ix.pattern) || ix.sparse || ix.partial != nil {
		return fail(codeBadValue, "The field 'key' for an _id index must be {_id: 1}, without further options")
	}
	return nil
}

// drop removes a collection. A missing one is no error, as in MongoDB 7.
func drop(c *call) (bson.D, error) {
	ns, err := c.namespace("drop")
	if err != nil {
		return nil, err
	}
	if err := c.finish(); err != nil {
		return nil, err
	}
	col := c.collection(ns)
	if col == nil {
		return bson.D{}, nil
	}
	return bson.D{{Key: "nIndexesWas", Value: int32(len(col.indexes) + 1)}, {Key: "ns", Value: ns}}, c.t.drop(ns)
}

func dropDatabase(c *call) (bson.D, error) {
	if err := c.finish(); err != nil {
		return nil, err
	}
	for ns := range c.t.catalog.collections { // drop replaces the map and does not change this one
		if strings.HasPrefix(ns, c.db+".") {
			if err := c.t.drop(ns); err != nil {
				return nil, err
			}
		}
	}
	return bson.D{{Key: "dropped", Value: c.db}}, nil
}
