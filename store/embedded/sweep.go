package embedded

import (
	"context"
	"encoding/binary"
	"time"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// sweepAtOnce bounds the documents that one job of a sweep removes, so that other writes can run
// between two jobs.
const sweepAtOnce = 1000

// sweep removes the documents that have expired at now according to a TTL index, and returns
// their number. A document may exist for more than a minute after it has expired.
func (s *Server) sweep(now time.Time) (n int, err error) {
	for {
		removed := 0
		_, err := s.writer.do(s.ctx, func(t *txn) ([]byte, error) {
			removed = 0
			for _, c := range t.catalog.collections {
				for _, ix := range c.indexes {
					if ix.ttl < 0 {
						continue
					}
					k, err := t.removeExpired(s.ctx, c, ix, now)
					if removed += k; err != nil {
						return nil, err
					}
				}
			}
			return nil, nil
		})
		n += removed
		if err != nil || removed == 0 {
			return n, err
		}
	}
}

func (t *txn) removeExpired(ctx context.Context, c *collection, ix *index, now time.Time) (n int, err error) {
	until := bsoncore.AppendDateTime(nil, now.Add(-time.Duration(ix.ttl)*time.Second).UnixMilli())
	first := value{Type: bsoncore.TypeDateTime, Data: binary.LittleEndian.AppendUint64(nil, 1<<63)} // the earliest date
	b := bound{lo: keyOf(first), hi: successor(keyOf(value{Type: bsoncore.TypeDateTime, Data: until}))}
	p := plan{ix: ix, spans: ranges([][]byte{nil}, b, ix.pattern[0].desc)}
	var over [][]byte
	err = p.walk(ctx, t, c, &position{}, func(id []byte, _ document) (bool, error) {
		over = append(over, append([]byte(nil), id...))
		return len(over) < sweepAtOnce, nil
	})
	if err != nil {
		return 0, err
	}
	for _, id := range over {
		if err := t.remove(t.catalog.collections[c.ns], id, t.docs(c).Get(id)); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
