package embedded

import (
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// code is one of MongoDB's error codes, as listed in its src/mongo/base/error_codes.yml.
type code int32

const (
	codeInternal            code = 1
	codeBadValue            code = 2
	codeFailedToParse       code = 9
	codeTypeMismatch        code = 14
	codeOverflow            code = 15
	codeInvalidLength       code = 16
	codeAuthentication      code = 18
	codeIllegalOperation    code = 20
	codeInvalidBSON         code = 22
	codeNamespaceNotFound   code = 26
	codeIndexNotFound       code = 27
	codePathNotViable       code = 28
	codeFileStreamFailed    code = 39
	codeConflictingUpdate   code = 40
	codeCursorNotFound      code = 43
	codeMaxTimeExpired      code = 50
	codeDollarField         code = 52
	codeNotSingleValue      code = 54
	codeNotExactValue       code = 55
	codeEmptyFieldName      code = 56
	codeCommandNotFound     code = 59
	codeImmutableField      code = 66
	codeCannotCreateIndex   code = 67
	codeInvalidOptions      code = 72
	codeInvalidNamespace    code = 73
	codeIndexOptions        code = 85
	codeIndexKeySpecs       code = 86
	codeShutdown            code = 91
	codeNotReplica          code = 123
	codeMemoryLimit         code = 146
	codeParallelArrays      code = 171
	codePlanKilled          code = 175
	codeIndexSpecOption     code = 197
	codeNotImplemented      code = 238
	codeSortMemory          code = 292
	codeAPIVersion          code = 322
	codeAPIStrict           code = 323
	codeOldQuery            code = 352
	codeObjectTooLarge      code = 10334
	codeDuplicateKey        code = 11000
	codeCursorInUse         code = 12051
	codeOutOfDiskSpace      code = 14031
	codeSortKey             code = 15974
	codeSortDirection       code = 15975
	codeKeyTooLong          code = 17280
	codeUpdateTooLarge      code = 17419
	codeProjectionCollision code = 31250
	codeProjectionInclude   code = 31253
	codeProjectionExclude   code = 31254
	codeUnknownStage        code = 40324
	codeMissingField        code = 40414
	codeUnknownField        code = 40415
	codeRegexOptions        code = 51075
	codeBadRegex            code = 51091
	codeRegexFlag           code = 51108
)

var codeNames = map[code]string{
	codeInternal: "InternalError", codeBadValue: "BadValue", codeFailedToParse: "FailedToParse",
	codeTypeMismatch: "TypeMismatch", codeOverflow: "Overflow", codeInvalidLength: "InvalidLength",
	codeAuthentication: "AuthenticationFailed", codeOldQuery: "UnsupportedOpQueryCommand",
	codeIllegalOperation: "IllegalOperation", codeInvalidBSON: "InvalidBSON",
	codeNamespaceNotFound: "NamespaceNotFound", codeIndexNotFound: "IndexNotFound",
	codePathNotViable: "PathNotViable", codeFileStreamFailed: "FileStreamFailed", codeOutOfDiskSpace: "OutOfDiskSpace",
	codeConflictingUpdate: "ConflictingUpdateOperators",
	codeCursorNotFound:    "CursorNotFound", codeMaxTimeExpired: "MaxTimeMSExpired",
	codeDollarField: "DollarPrefixedFieldName", codeNotSingleValue: "NotSingleValueField", codeNotExactValue: "NotExactValueField",
	codeEmptyFieldName: "EmptyFieldName", codeCommandNotFound: "CommandNotFound",
	codeImmutableField: "ImmutableField", codeCannotCreateIndex: "CannotCreateIndex",
	codeInvalidOptions: "InvalidOptions", codeInvalidNamespace: "InvalidNamespace",
	codeIndexOptions: "IndexOptionsConflict", codeIndexKeySpecs: "IndexKeySpecsConflict",
	codeShutdown: "ShutdownInProgress", codeNotReplica: "NotAReplicaSet",
	codeMemoryLimit: "ExceededMemoryLimit", codeParallelArrays: "CannotIndexParallelArrays",
	codePlanKilled: "QueryPlanKilled", codeIndexSpecOption: "InvalidIndexSpecificationOption",
	codeNotImplemented: "NotImplemented", codeSortMemory: "QueryExceededMemoryLimitNoDiskUseAllowed",
	codeAPIVersion: "APIVersionError", codeAPIStrict: "APIStrictError",
	codeObjectTooLarge: "BSONObjectTooLarge", codeDuplicateKey: "DuplicateKey", codeCursorInUse: "CursorInUse", codeKeyTooLong: "KeyTooLong",
}

func (c code) String() string {
	if n, ok := codeNames[c]; ok {
		return n
	}
	return fmt.Sprintf("Location%d", int32(c)) // MongoDB's form for codes without a name
}

// failure is an error for the client.
type failure struct {
	code    code
	message string
	extra   bson.D // further fields of the answer, such as keyPattern
}

func (f *failure) Error() string { return f.message }

// maxErrorText bounds a message, in bytes, because a message may quote the client's data.
const maxErrorText = 1000

func fail(c code, format string, args ...any) error {
	message := fmt.Sprintf(format, args...)
	if len(message) > maxErrorText {
		message = strings.ToValidUTF8(message[:maxErrorText], "") + "..."
	}
	return &failure{code: c, message: message}
}

// asFailure converts any error to one for the client. All other errors are bbolt's, and
// their texts contain no data.
func asFailure(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	return &failure{code: codeInternal, message: err.Error()}
}

// fields returns the failure's fields of an answer or of one write error.
func (f *failure) fields() bson.D {
	return append(bson.D{{Key: "code", Value: int32(f.code)}, {Key: "errmsg", Value: f.message}}, f.extra...)
}

func (f *failure) answer() bson.D {
	return append(append(bson.D{{Key: "ok", Value: 0.0}}, f.fields()...), bson.E{Key: "codeName", Value: f.code.String()})
}
