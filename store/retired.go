package store

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// RetiredToken is a refresh token that is no longer valid.
type RetiredToken struct {
	Hash [32]byte // SHA-256 of the token
	At   time.Time
}

// RetiredTokens are tokens that were retired a short time ago, the newest first. Each refresh
// reads and writes them all, so they are one binary value in the database: for each token the
// hash, and the milliseconds since 1970 in 8 bytes, big-endian.
type RetiredTokens []RetiredToken

// retiredSize is the size of one token in the database, in bytes.
const retiredSize = 32 + 8

// MarshalBSONValue is for the driver.
func (r RetiredTokens) MarshalBSONValue() (byte, []byte, error) {
	raw := make([]byte, 0, len(r)*retiredSize)
	for _, token := range r {
		raw = append(raw, token.Hash[:]...)
		raw = binary.BigEndian.AppendUint64(raw, uint64(token.At.UnixMilli()))
	}
	return byte(bson.TypeBinary), bsoncore.AppendBinary(nil, bson.TypeBinaryGeneric, raw), nil
}

// UnmarshalBSONValue is for the driver.
func (r *RetiredTokens) UnmarshalBSONValue(kind byte, value []byte) error {
	*r = nil
	if t := bson.Type(kind); t == bson.TypeNull {
		return nil
	} else if t != bson.TypeBinary {
		return typeError{t, []bson.Type{bson.TypeBinary}}
	}
	_, raw, _, ok := bsoncore.ReadBinary(value)
	if !ok || len(raw)%retiredSize != 0 {
		return errors.New("not a list of retired tokens")
	}
	*r = make(RetiredTokens, 0, len(raw)/retiredSize)
	for ; len(raw) > 0; raw = raw[retiredSize:] {
		hash, at := [32]byte(raw[:32]), int64(binary.BigEndian.Uint64(raw[32:]))
		*r = append(*r, RetiredToken{hash, time.UnixMilli(at).UTC()})
	}
	return nil
}

// earlierRetiredToken is a RetiredToken as earlier versions wrote it.
type earlierRetiredToken struct {
	Hash string    `bson:"hash"` // in hexadecimal digits
	At   time.Time `bson:"at"`
}

// fromEarlier returns what earlier versions wrote. It leaves out what is no hash of a token.
func fromEarlier(list []earlierRetiredToken) (r RetiredTokens) {
	for _, earlier := range list {
		if raw, err := hex.DecodeString(earlier.Hash); err == nil && len(raw) == 32 {
			r = append(r, RetiredToken{[32]byte(raw), earlier.At})
		}
	}
	return r
}
