package embedded

import (
	"encoding/binary"
	"math"
	"math/big"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// appendNumber encodes a number so that bytes compare as the exact values, across all
// number types: first the nearest float64, then the remainder. Only integers beyond 2^53
// and decimals have a remainder.
func appendNumber(dst []byte, v value) []byte {
	switch v.Type {
	case bsoncore.TypeInt32:
		return append(appendFloat(dst, float64(v.Int32())), restNone)
	case bsoncore.TypeDouble:
		return append(appendFloat(dst, v.Double()), restNone)
	case bsoncore.TypeInt64:
		return appendInt64(dst, v.Int64())
	default:
		return appendDecimal(dst, v)
	}
}

// appendFloat encodes a float64. NaN sorts below every number, and -0 equals 0.
func appendFloat(dst []byte, f float64) []byte {
	bits := uint64(0)
	switch {
	case math.IsNaN(f):
	case f == 0:
		bits = 1 << 63
	case f < 0:
		bits = ^math.Float64bits(f)
	default:
		bits = math.Float64bits(f) | 1<<63
	}
	return binary.BigEndian.AppendUint64(dst, bits)
}

func appendInt64(dst []byte, n int64) []byte {
	f := float64(n)
	dst = appendFloat(dst, f)
	var rest int64
	if f == 1<<63 { // int64(f) would overflow
		rest = n - math.MaxInt64 - 1
	} else {
		rest = n - int64(f)
	}
	return appendRest(dst, big.NewInt(rest), 0)
}

func appendDecimal(dst []byte, v value) []byte {
	d := bson.NewDecimal128(v.Decimal128())
	if d.IsNaN() {
		return append(appendFloat(dst, math.NaN()), restNone)
	}
	if sign := d.IsInf(); sign != 0 {
		return append(appendFloat(dst, math.Inf(sign)), restNone)
	}
	c, exp, err := d.BigInt()
	if err != nil || c.Sign() == 0 {
		return append(appendFloat(dst, 0), restNone)
	}
	f, _ := strconv.ParseFloat(c.String()+"e"+strconv.Itoa(exp), 64)
	if math.IsInf(f, 0) { // the value is finite and sorts below infinity; the remainder keeps the order
		f = math.Copysign(math.MaxFloat64, f)
	}
	fc, fexp := floatAsDecimal(f)
	least := min(exp, fexp)
	rest := new(big.Int).Sub(scale(c, exp-least), scale(fc, fexp-least))
	return appendRest(appendFloat(dst, f), rest, least)
}

// floatAsDecimal returns f as exactly c × 10^exp. Every binary fraction is a finite decimal one.
func floatAsDecimal(f float64) (c *big.Int, exp int) {
	mantissa, e := math.Frexp(f)
	c = big.NewInt(int64(mantissa * (1 << 53)))
	if e -= 53; e >= 0 {
		return c.Lsh(c, uint(e)), 0
	}
	five := new(big.Int).Exp(big.NewInt(5), big.NewInt(int64(-e)), nil)
	return c.Mul(c, five), e
}

func scale(c *big.Int, exp int) *big.Int {
	ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(exp)), nil)
	return ten.Mul(ten, c)
}

const (
	restNegative byte = 0x01
	restNone     byte = 0x80
	restPositive byte = 0xfe
)

// appendRest encodes c × 10^exp: sign, decimal exponent, digits.
func appendRest(dst []byte, c *big.Int, exp int) []byte {
	if c.Sign() == 0 {
		return append(dst, restNone)
	}
	digits := new(big.Int).Abs(c).String()
	exp += len(digits) // the value is now 0.digits × 10^exp
	body := binary.BigEndian.AppendUint16(nil, uint16(exp+0x8000))
	body = append(append(body, strings.TrimRight(digits, "0")...), 0)
	if c.Sign() < 0 {
		return append(append(dst, restNegative), complement(body)...)
	}
	return append(append(dst, restPositive), body...)
}

// truncated returns a number without its fraction. ok is false if v is no number, or if the result
// does not fit in an int64.
func truncated(v value) (n int64, ok bool) {
	switch v.Type {
	case bsoncore.TypeInt32, bsoncore.TypeInt64:
		return asInt(v)
	case bsoncore.TypeDouble:
		f := math.Trunc(v.Double())
		return int64(f), math.Abs(f) < 1<<63 // false for NaN
	case bsoncore.TypeDecimal128: // has 34 digits, and so no float64
		c, exp, err := bson.NewDecimal128(v.Decimal128()).BigInt()
		switch {
		case err != nil || exp > 18 && c.Sign() != 0:
			return 0, false
		case exp < -34 || c.Sign() == 0:
			return 0, true
		case exp < 0:
			c.Quo(c, scale(big.NewInt(1), -exp))
		default:
			c = scale(c, exp)
		}
		return c.Int64(), c.IsInt64()
	}
	return 0, false
}

// addNumbers and multiplyNumbers follow MongoDB's rules: the result has the wider type, an int32 that
// overflows becomes an int64, and an int64 that overflows is an error.
func addNumbers(a, b value) (value, error) {
	return arithmetic(a, b, func(x, y float64) float64 { return x + y }, (*big.Int).Add)
}

func multiplyNumbers(a, b value) (value, error) {
	return arithmetic(a, b, func(x, y float64) float64 { return x * y }, (*big.Int).Mul)
}

func arithmetic(a, b value, floats func(x, y float64) float64, ints func(z, x, y *big.Int) *big.Int) (value, error) {
	if a.Type == bsoncore.TypeDecimal128 || b.Type == bsoncore.TypeDecimal128 {
		return value{}, unsupported("arithmetic with Decimal128")
	}
	if a.Type == bsoncore.TypeDouble || b.Type == bsoncore.TypeDouble {
		return doubleValue(floats(asFloat(a), asFloat(b))), nil
	}
	x, _ := asInt(a)
	y, _ := asInt(b)
	exact := ints(new(big.Int), big.NewInt(x), big.NewInt(y))
	if !exact.IsInt64() {
		return value{}, fail(codeBadValue, "integer overflow: the result does not fit in 64 bits")
	}
	n := exact.Int64()
	if a.Type == bsoncore.TypeInt32 && b.Type == bsoncore.TypeInt32 && int64(int32(n)) == n {
		return int32Value(int32(n)), nil
	}
	return int64Value(n), nil
}

func int32Value(n int32) value {
	return value{Type: bsoncore.TypeInt32, Data: bsoncore.AppendInt32(nil, n)}
}

func int64Value(n int64) value {
	return value{Type: bsoncore.TypeInt64, Data: bsoncore.AppendInt64(nil, n)}
}

func doubleValue(f float64) value {
	return value{Type: bsoncore.TypeDouble, Data: bsoncore.AppendDouble(nil, f)}
}
