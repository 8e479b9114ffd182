package store

import (
	"context"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// class groups the events that share a bound. Documents hold it. Refusals, and events of
// earlier versions, have none; the latter stay until they expire.
type class string

const (
	classLogin  class = "login"  // and logouts, registrations and the like
	classChange class = "change" // of a user by the same user, and stolen refresh tokens
	classAdmin  class = "admin"  // change of a user by another one, or by a command
)

// classOf returns the class of an event of [Audit.Record].
func classOf(e Event) class {
	switch {
	case e.Actor != "":
		return classAdmin
	case e.Outcome == OutcomeRefused, e.Kind == AuditPassword, e.Kind == AuditEmail, e.Kind == AuditDelete:
		return classChange
	}
	return classLogin
}

// share is what one user may have of the audit: events of one class, or refusals. Without it,
// one user who logs in without end would remove the history of all others.
type share struct {
	key string // in the documents
	max int    // number of events
}

const (
	// sharePart is the part of a bound that one user may have at most. An administrator has all
	// of it, because an administrator may ban many users.
	sharePart = 10

	// maxShare bounds the cost of thinning the share of an administrator.
	maxShare = 10_000

	// thinPart and maxThinEvery say how often a share is thinned: on average once for so
	// many events of the share, by chance. A count in memory would be lost at a restart,
	// and would differ between replicas.
	thinPart     = 4 // the share divided by it
	maxThinEvery = 250

	// maxThinned bounds the events that one call removes. It exceeds maxThinEvery, so that a
	// share that has grown while the database was busy gets smaller again.
	maxThinned = 500
)

// shareOf returns the share of an event in a class; the empty class is that of refusals.
func (a *Audit) shareOf(c class, e Event) share {
	of, name, bound, most := e.UserID, string(c), a.retentionOf(c).max, a.perUser
	switch c {
	case classAdmin:
		of, most = e.Actor, maxShare
	case "":
		name, bound = "refusal", a.refusals.max
	}
	return share{truncate(of, maxField) + " " + name, min(most, int(bound/sharePart))}
}

// thinByChance thins a share to which an event was added, once for many events. Any number of
// processes may do so at once. What one leaves when it fails or is killed, the next one removes.
func (a *Audit) thinByChance(ctx context.Context, s share) {
	if rand.IntN(max(1, min(s.max/thinPart, maxThinEvery))) != 0 {
		return
	}
	if err := a.thin(ctx, s); err != nil {
		a.log.LogAttrs(ctx, slog.LevelWarn, "thinning audit events failed", slog.Any("err", err))
	}
}

// thin removes the events beyond a share. The newest half of the share stays as it is. Of the
// older events, those go first that follow an event of the same kind most closely, so that
// the start of each burst stays: a thief who logs in a thousand times does not remove the
// first login of the theft.
func (a *Audit) thin(ctx context.Context, s share) error {
	untouched := s.max / 2
	keep := s.max - untouched
	older, err := a.list(ctx, bson.D{{Key: "share", Value: s.key}}, options.Find().
		SetSort(bson.D{{Key: "_id", Value: -1}}).SetSkip(int64(untouched)).SetLimit(int64(keep+maxThinned)).
		SetProjection(bson.D{{Key: "kind", Value: 1}, {Key: "at", Value: 1}}))
	if err != nil || len(older) <= keep {
		return err
	}
	return a.remove(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: surplus(older, keep)}}}})
}

// surplus returns the IDs of the events to remove, so that keep events stay. The list has the
// newest event first.
func surplus(list []Event, keep int) []bson.ObjectID {
	removed := make([]bson.ObjectID, 0, len(list)-keep)
	for len(list) > keep {
		at := mostCrowded(list)
		id, _ := bson.ObjectIDFromHex(list[at].ID) // decodeEvent made it
		removed = append(removed, id)
		list = slices.Delete(list, at, at+1)
	}
	return removed
}

// mostCrowded returns the index of the event that follows one of its kind most closely; of
// several, the oldest.
func mostCrowded(list []Event) int {
	found, least := len(list)-1, time.Duration(math.MaxInt64)
	before := map[AuditKind]time.Time{}
	for i, e := range slices.Backward(list) {
		if last, ok := before[e.Kind]; ok && e.At.Sub(last) < least {
			found, least = i, e.At.Sub(last)
		}
		before[e.Kind] = e.At
	}
	return found
}
