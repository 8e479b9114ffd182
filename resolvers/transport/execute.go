package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"cubegate/resolvers/apierror"

	gqlerrors "github.com/graph-gophers/graphql-go/errors"
	"github.com/vektah/gqlparser/v2/ast"
)

// Bounds of the cache of introspection answers: 4 MiB in all.
const (
	maxAnswered      = 16
	maxAnsweredBytes = 256 << 10
)

var (
	errAnswersFull   = &apierror.Error{Code: apierror.ServiceUnavailable, Message: "Too many answers wait for their clients; try again in a moment", RetryAfter: time.Second}
	errAnswerTooLong = &apierror.Error{Code: apierror.GraphQLValidationFailed, Message: "The answer would be too large; request less at a time"}
)

// answerKey names an operation of a document.
type answerKey struct {
	document  digest
	operation string
}

// job is a checked request.
type job struct {
	key     answerKey
	known   []byte           // its answer, from the cache
	writes  bool             // its operation is no query
	fields  ast.SelectionSet // of its operation, which the schema has; nil if there is none
	doc     checked
	refused []*gqlError // its errors, if it must not be executed
}

var (
	errPersistedQueryNotFound = &apierror.Error{Code: apierror.PersistedQueryNotFound, Message: "PersistedQueryNotFound"} // clients recognize this text, and then send the whole document
	errMutationByGET          = &apierror.Error{Code: apierror.MethodNotAllowed, Message: "Send a mutation with POST; GET is for queries"}
)

// judge checks a request. The error is for a request that cannot be executed as a whole.
// It never panics.
func (h *Handler) judge(ctx context.Context, request gqlRequest) (j job, err error) {
	defer h.recovered(ctx, func(e *gqlError) { j.refused = []*gqlError{e} })
	key, err := request.digest()
	if err != nil {
		return job{}, err
	}
	j.key = answerKey{document: key}
	if request.OperationName != nil {
		j.key.operation = *request.OperationName
	}
	if known, ok := h.answered.Get(j.key); ok { // queries alone
		j.known = known
		return j, nil
	}
	doc := h.guard.known.find(key)
	if doc == nil {
		if request.Query == nil {
			return job{}, errPersistedQueryNotFound
		}
		if doc, j.refused = h.guard.read(key, *request.Query); j.refused != nil {
			return j, nil
		}
	}
	operation, refused := h.guard.operation(doc, j.key.operation)
	if refused != nil {
		j.refused = refused
		return j, nil
	}
	j.writes, j.fields = operation.Operation != ast.Query, operation.SelectionSet
	j.doc, j.refused = h.guard.check(operation, request.Variables)
	return j, nil
}

// execute answers a request. It never panics. It returns an error if there is no
// room for the answer. The caller must release the room of the response in any
// case.
func (h *Handler) execute(ctx context.Context, j job) (response gqlResponse, err error) {
	defer h.recovered(ctx, func(e *gqlError) { response.Errors, response.Data = []*gqlError{e}, nil })
	if j.refused != nil {
		h.noteRefused(ctx, j)
		return gqlResponse{Errors: j.refused}, nil
	}
	if j.known != nil {
		h.observe(ctx, opIntrospection, "")
		response.room, err = h.reserve(len(j.known) / 256)
		response.Data = j.known
		return response, err
	}
	values := j.doc.values
	if len(j.doc.schema) > 0 {
		values = maxIntrospectionValues
	}
	if response.room, err = h.reserve(values); err != nil {
		return response, err
	}
	h.run(ctx, j.doc, &response)
	if len(j.doc.others) == 0 && len(j.doc.operation.VariableDefinitions) == 0 && len(response.Errors) == 0 && len(response.Data) <= maxAnsweredBytes {
		h.answered.Add(j.key, response.Data) // the answer depends on the document alone
	}
	return response, nil
}

// opIntrospection is the operation of questions about the schema.
const opIntrospection = "introspection"

// noteRefused reports the code of a document that is not executed, and the operations
// that it names.
func (h *Handler) noteRefused(ctx context.Context, j job) {
	code, _ := j.refused[0].Extensions["code"].(apierror.Code)
	apierror.Note(ctx, code)
	seen := map[string]bool{}
	for _, s := range j.fields {
		if f, ok := s.(*ast.Field); ok && !strings.HasPrefix(f.Name, "__") && !seen[f.Name] {
			seen[f.Name] = true
			h.observe(ctx, f.Name, code)
		}
	}
}

// recovered turns a panic that the libraries do not recover from into an error. It
// must be deferred.
func (h *Handler) recovered(ctx context.Context, answer func(*gqlError)) {
	if v := recover(); v != nil {
		h.LogPanic(ctx, v)
		answer(h.rewrite(ctx, h.MakePanicError(ctx, v)))
	}
}

func (h *Handler) reserve(values int) (*reservation, error) {
	room, ok := h.answers.reserve(values)
	if !ok {
		return nil, errAnswersFull
	}
	return room, nil
}

// run executes a document into a response. Introspection comes first, so that a
// refusal comes before any field has run.
func (h *Handler) run(ctx context.Context, doc checked, response *gqlResponse) {
	if len(doc.schema) > 0 {
		h.observe(ctx, opIntrospection, "")
	}
	members, err := h.introspector.answer(doc.schema, doc.variables)
	if err != nil {
		response.Errors = []*gqlError{h.reportError(ctx, errAnswerTooLong)}
		return
	}
	if len(doc.others) > 0 {
		if doc.operation.Operation == ast.Query && h.queryContext != nil {
			ctx = h.queryContext(ctx)
		}
		result := h.schema.Exec(ctx, doc.others.document(doc.operation), doc.operation.Name, doc.given)
		response.Errors = h.rewriteAll(ctx, result.Errors, len(doc.fields))
		if len(doc.schema) == 0 || len(result.Data) == 0 || bytes.Equal(result.Data, []byte("null")) {
			response.Data = result.Data
			h.checkSize(ctx, response)
			return
		}
		if err := json.Unmarshal(result.Data, &members); err != nil {
			response.Errors = append(response.Errors, h.reportError(ctx, fmt.Errorf("decoding the answer of graphql-go: %w", err)))
			return
		}
	}
	response.Data = joined(doc.fields, members)
	h.checkSize(ctx, response)
}

// checkSize drops an answer that exceeds its bound. The number of values keeps
// answers far below, unless a single text in the database is as long.
func (h *Handler) checkSize(ctx context.Context, response *gqlResponse) {
	if len(response.Data) > maxAnswer {
		response.Data = nil
		response.Errors = []*gqlError{h.reportError(ctx, errAnswerTooLong)}
	}
}

// joined returns an object with the members in the order of the document.
func joined(fields selections, members map[string]json.RawMessage) json.RawMessage {
	out := []byte{'{'}
	for i, f := range fields {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, '"'), f.Key...)
		out = append(append(out, '"', ':'), members[f.Key]...)
	}
	return append(out, '}')
}

// reportError logs an error and returns its form for the client.
func (h *Handler) reportError(ctx context.Context, err error) *gqlError {
	e := h.outward(err)
	apierror.Log(ctx, h.log, e)
	return &gqlError{Message: e.Message, Extensions: e.Extensions()}
}

// rewriteAll replaces the errors of graphql-go. It counts a request whose fields
// are all refused by a limit, instead of logging it.
func (h *Handler) rewriteAll(ctx context.Context, found []*gqlerrors.QueryError, fields int) []*gqlError {
	causes := make([]*apierror.Error, len(found))
	refused := len(found) > 0 && len(found) == fields
	for i, q := range found {
		causes[i] = h.cause(ctx, q)
		refused = refused && causes[i].IsLimit()
	}
	refused = refused && apierror.Counted(ctx, causes[0])
	var shown []*gqlError
	for i, e := range causes[:min(len(causes), maxErrors)] {
		if !refused {
			apierror.Log(ctx, h.log, e)
		}
		shown = append(shown, &gqlError{Message: e.Message, Path: found[i].Path, Extensions: e.Extensions()})
	}
	return shown
}
