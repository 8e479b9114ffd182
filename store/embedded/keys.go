package embedded

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// Every value has a key: a string of bytes. Keys compare as MongoDB compares the values,
// across types and numerically across number types. No key is a prefix of another one.
// Equality, ranges, sorts and index entries all use keys, so they cannot disagree.

// The first byte of a key is the value's place in MongoDB's order of types.
const (
	tagMinKey    byte = 0x08
	tagUndefined byte = 0x10 // also stands for an empty array in an index
	tagNull      byte = 0x18
	tagNumber    byte = 0x20
	tagText      byte = 0x28
	tagDocument  byte = 0x30
	tagArray     byte = 0x38
	tagBinary    byte = 0x40
	tagObjectID  byte = 0x48
	tagBoolean   byte = 0x50
	tagDate      byte = 0x58
	tagTimestamp byte = 0x60
	tagRegex     byte = 0x68
	tagDBPointer byte = 0x70
	tagCode      byte = 0x78
	tagScoped    byte = 0x80
	tagMaxKey    byte = 0xf0
)

var tags = map[bsoncore.Type]byte{
	bsoncore.TypeMinKey: tagMinKey, bsoncore.TypeUndefined: tagUndefined, bsoncore.TypeNull: tagNull,
	bsoncore.TypeDouble: tagNumber, bsoncore.TypeInt32: tagNumber, bsoncore.TypeInt64: tagNumber, bsoncore.TypeDecimal128: tagNumber,
	bsoncore.TypeString: tagText, bsoncore.TypeSymbol: tagText, bsoncore.TypeEmbeddedDocument: tagDocument,
	bsoncore.TypeArray: tagArray, bsoncore.TypeBinary: tagBinary, bsoncore.TypeObjectID: tagObjectID,
	bsoncore.TypeBoolean: tagBoolean, bsoncore.TypeDateTime: tagDate, bsoncore.TypeTimestamp: tagTimestamp,
	bsoncore.TypeRegex: tagRegex, bsoncore.TypeDBPointer: tagDBPointer, bsoncore.TypeJavaScript: tagCode,
	bsoncore.TypeCodeWithScope: tagScoped, bsoncore.TypeMaxKey: tagMaxKey,
}

var (
	keyUndefined = []byte{tagUndefined}
	keyNull      = []byte{tagNull}
)

func keyOf(v value) []byte { return appendKey(nil, v) }

func appendKey(dst []byte, v value) []byte {
	return appendKeyBody(append(dst, tags[v.Type]), v)
}

func appendKeyBody(dst []byte, v value) []byte {
	switch v.Type {
	case bsoncore.TypeDouble, bsoncore.TypeInt32, bsoncore.TypeInt64, bsoncore.TypeDecimal128:
		return appendNumber(dst, v)
	case bsoncore.TypeString, bsoncore.TypeSymbol, bsoncore.TypeJavaScript:
		return appendText(dst, v.Data[4:len(v.Data)-1])
	case bsoncore.TypeEmbeddedDocument:
		return appendFields(dst, v.Data)
	case bsoncore.TypeArray:
		for e := range elements(v) {
			dst = appendKey(dst, e)
		}
		return append(dst, 0)
	case bsoncore.TypeBinary: // MongoDB: by length, then subtype, then bytes
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(v.Data)-5))
		return append(dst, v.Data[4:]...)
	case bsoncore.TypeObjectID, bsoncore.TypeBoolean:
		return append(dst, v.Data...)
	case bsoncore.TypeDateTime:
		return binary.BigEndian.AppendUint64(dst, binary.LittleEndian.Uint64(v.Data)^1<<63)
	case bsoncore.TypeTimestamp:
		return binary.BigEndian.AppendUint64(dst, binary.LittleEndian.Uint64(v.Data))
	case bsoncore.TypeRegex:
		pattern, options := v.Regex()
		return appendText(appendText(dst, []byte(pattern)), []byte(options))
	case bsoncore.TypeDBPointer:
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(v.Data)))
		return append(dst, v.Data[4:]...)
	case bsoncore.TypeCodeWithScope:
		code, scope := v.CodeWithScope()
		return appendFields(appendText(dst, []byte(code)), scope)
	}
	return dst // null and other types with one value: the tag is the key
}

// appendFields appends the key of a document. Documents compare field by field: by type, then
// name, then value.
func appendFields(dst []byte, d document) []byte {
	for name, v := range fields(d) {
		dst = append(append(append(dst, tags[v.Type]), name...), 0)
		dst = appendKeyBody(dst, v)
	}
	return append(dst, 0)
}

// appendText ends a text with two zero bytes. A zero byte inside becomes 00 FF, which sorts after
// the end.
func appendText(dst, text []byte) []byte {
	for {
		i := bytes.IndexByte(text, 0)
		if i < 0 {
			return append(append(dst, text...), 0, 0)
		}
		dst = append(append(dst, text[:i]...), 0, 0xff)
		text = text[i+1:]
	}
}

// complement reverses the order of keys, in place, for descending fields.
func complement(key []byte) []byte {
	for i := range key {
		key[i] = ^key[i]
	}
	return key
}

// successor returns the least string above all strings that begin with prefix, or nil if there is
// none.
func successor(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			next := bytes.Clone(prefix[:i+1])
			next[i]++
			return next
		}
	}
	return nil
}

// maxIndexKey bounds an index key, in bytes, because bbolt's keys have at most 32 KiB.
// truncateKey replaces the rest of a longer key with a hash of the whole key. Equality
// stays exact, up to SHA-256, and so does a range with shorter bounds.
const maxIndexKey = 8 << 10

// maxIDKey bounds the key of an _id, in bytes. It is never truncated.
const maxIDKey = 16 << 10

func truncateKey(key []byte) []byte {
	if len(key) <= maxIndexKey {
		return key
	}
	sum := sha256.Sum256(key)
	return append(key[:maxIndexKey:maxIndexKey], sum[:]...)
}

// sameValue is MongoDB's equality: 1 equals 1.0, and documents compare field by field.
func sameValue(a, b value) bool {
	if a.Type == b.Type && bytes.Equal(a.Data, b.Data) {
		return true
	}
	switch {
	case tags[a.Type] != tags[b.Type]:
		return false
	case tags[a.Type] == tagText: // a string and a symbol
		return bytes.Equal(a.Data, b.Data)
	}
	return bytes.Equal(keyOf(a), keyOf(b))
}
