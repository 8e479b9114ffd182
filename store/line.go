package store

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Accounts that wait for their sign-up at ConnectyCube form a line, in the order of
// Account.Turn. An account in the line has a turn and neither a lease nor a due time, so
// Queue.Claim skips it. ClaimTurn skips accounts that have a turn and are leased or back
// off.

// Wait returns the lease and puts the account in the line at a turn. Waiting is not a
// failed attempt: attempts is the number of earlier ones, and the last error stays. The
// error is [ErrChanged] when the lease is lost.
func (a *Accounts) Wait(ctx context.Context, id string, l Lease, turn time.Time, attempts int) error {
	return a.queue().underLease(ctx, id, l,
		bson.D{{Key: "account.turn", Value: turn}, {Key: "account.attempts", Value: attempts}},
		fields(accountWork.due, accountWork.lease))
}

// ClaimTurn leases the first account in the line. The account keeps its turn until the
// work is complete. The error is [ErrNotFound] when the line is empty.
func (a *Accounts) ClaimTurn(ctx context.Context, l Lease) (User, error) {
	return a.queue().claim(ctx,
		bson.D{
			{Key: "account.turn", Value: bson.D{{Key: "$gt", Value: time.Unix(0, 0)}}}, // a range, so that the index serves
			{Key: "account.due", Value: bson.D{{Key: "$exists", Value: false}}},
		},
		accountWork.turn, l)
}
