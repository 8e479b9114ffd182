package transport

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"cubegate/resolvers/apierror"

	"github.com/graph-gophers/graphql-go"
	gqlerrors "github.com/graph-gophers/graphql-go/errors"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// The media types of GraphQL over HTTP. The first is what a client gets that
// does not ask.
const (
	MediaJSON    = "application/json"
	mediaGraphQL = "application/graphql-response+json"
)

// Options configure a Handler. All fields but QueryContext and Introspection
// are required.
type Options struct {
	Schema  string                      // in the schema language
	Root    any                         // its methods Query and Mutation return the resolvers; see [graphql.ParseSchema]
	Outward func(error) *apierror.Error // turns any error into one that is safe to show
	Log     *slog.Logger

	// QueryContext returns the context of all fields of one query. The fields
	// of a mutation get the request's context: each may depend on the last.
	QueryContext func(context.Context) context.Context

	Introspection bool // whether the schema may be asked for
}

func (o Options) check() error {
	var missing []string
	for name, isMissing := range map[string]bool{"Schema": o.Schema == "", "Root": o.Root == nil, "Outward": o.Outward == nil, "Log": o.Log == nil} {
		if isMissing {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return fmt.Errorf("missing options: %s", strings.Join(missing, ", "))
}

// Handler serves GraphQL over HTTP as the specification of that name
// describes, without its optional GET: a login in a query string would end in
// logs. It is safe for concurrent use.
type Handler struct {
	outward      func(error) *apierror.Error
	queryContext func(context.Context) context.Context
	schema       *graphql.Schema
	guard        *guard
	introspector *introspector
	answered     *lru.Cache[[sha256.Size]byte, []byte] // introspection, by document
	answers      answerRoom
	reading      chan struct{} // one element for each request that is decoded and checked
	log          *slog.Logger
}

// New returns a Handler that binds the schema to its resolvers. It fails if they
// do not fit each other.
func New(o Options) (*Handler, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	guard, err := newGuard(o.Schema, o.Introspection)
	if err != nil {
		return nil, err
	}
	h := &Handler{
		outward:      o.Outward,
		queryContext: o.QueryContext,
		guard:        guard,
		introspector: &introspector{schema: guard.schema, maxValues: maxIntrospectionValues, maxBytes: maxAnswer},
		log:          o.Log,
	}
	// Reading computes all the time: more at once would only take more memory.
	h.reading = make(chan struct{}, 2*runtime.GOMAXPROCS(0))
	if h.answered, err = lru.New[[sha256.Size]byte, []byte](maxAnswered); err != nil {
		return nil, fmt.Errorf("making the cache of introspection answers: %w", err)
	}
	schema, err := graphql.ParseSchema(o.Schema, o.Root,
		graphql.UseStringDescriptions(),
		graphql.UseFieldResolvers(),
		graphql.DisableFieldSelections(),
		// The guard has refused what passes these; they stand behind it in
		// case the two ever read a document differently.
		graphql.MaxQueryLength(4*maxDocument),
		graphql.MaxDepth(maxDepth),
		graphql.MaxSelections(maxSelections),
		graphql.OverlapValidationLimit(2000),
		graphql.MaxParallelism(4),
		graphql.Logger(h),
		graphql.PanicHandler(h),
	)
	if err != nil {
		return nil, fmt.Errorf("binding the schema: %w", err)
	}
	h.schema = schema
	return h, nil
}

// gqlError is an error as the specification shapes it, with our code in its
// extensions.
type gqlError struct {
	Message    string              `json:"message"`
	Locations  []gqlerror.Location `json:"locations,omitempty"`
	Path       []any               `json:"path,omitempty"`
	Extensions map[string]any      `json:"extensions"`
}

func newGQLError(code apierror.Code, at []gqlerror.Location, message string) *gqlError {
	return &gqlError{Message: message, Locations: at, Extensions: map[string]any{"code": code}}
}

// gqlResponse is one answer. Without Data nothing was executed.
type gqlResponse struct {
	Errors []*gqlError
	Data   json.RawMessage
	room   *reservation // of what was executed, or nil
}

// parts are the answer as it is sent. The data is not copied.
func (r gqlResponse) parts() [][]byte {
	parts := [][]byte{[]byte("{")}
	if len(r.Errors) > 0 {
		errs, _ := json.Marshal(r.Errors) // texts, numbers and names always encode
		parts = append(parts, []byte(`"errors":`), errs)
	}
	if r.Data != nil {
		if len(parts) > 1 {
			parts = append(parts, []byte(","))
		}
		parts = append(parts, []byte(`"data":`), r.Data)
	}
	return append(parts, []byte("}\n"))
}

// gqlRequest is a request's body. The parts are checked one by one, so that a
// client learns which of them is wrong.
type gqlRequest struct {
	Query         *string        `json:"query"`
	OperationName *string        `json:"operationName"`
	Variables     map[string]any `json:"variables"`
	Extensions    struct {
		PersistedQuery json.RawMessage `json:"persistedQuery"`
	} `json:"extensions"`
}

// ServeHTTP reads, limits, executes, and rewrites the errors.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	media := negotiate(r, MediaJSON, mediaGraphQL)
	if media == "" {
		h.writeError(w, r, MediaJSON, &apierror.Error{Code: apierror.NotAcceptable, Message: "Answers are " + mediaGraphQL + " or " + MediaJSON})
		return
	}
	raw, err := readJSON(r)
	if err != nil {
		h.writeError(w, r, media, err)
		return
	}
	j, err := h.read(r.Context(), raw)
	if err != nil {
		h.writeError(w, r, media, err)
		return
	}
	response, err := h.execute(r.Context(), j)
	defer response.room.release()
	if err != nil {
		h.writeError(w, r, media, err)
		return
	}
	status := http.StatusOK
	if response.Data == nil && media == mediaGraphQL { // the older type has 200 for all that is well-formed
		status = response.Errors[0].Extensions["code"].(apierror.Code).Status()
	}
	h.write(w, media, status, response)
}

// writeError answers what is not a request at all.
func (h *Handler) writeError(w http.ResponseWriter, r *http.Request, media string, err error) {
	e := h.outward(err)
	apierror.Log(r.Context(), h.log, e)
	h.write(w, media, e.Code.Status(), gqlResponse{Errors: []*gqlError{{Message: e.Message, Extensions: e.Extensions()}}})
}

// read decodes and checks a request. Few do so at once: the others wait with
// their bodies still packed as they came, which bounds the memory of a crowd.
func (h *Handler) read(ctx context.Context, raw []byte) (job, error) {
	select {
	case h.reading <- struct{}{}:
		defer func() { <-h.reading }()
	case <-ctx.Done():
		return job{}, ctx.Err()
	}
	request, err := decodeRequest(raw)
	if err != nil {
		return job{}, err
	}
	return h.judge(ctx, request), nil
}

func decodeRequest(raw []byte) (gqlRequest, error) {
	var request gqlRequest
	if err := DecodeObject(raw, &request); err != nil {
		return request, err
	}
	switch {
	case request.Query != nil:
		return request, nil
	case request.Extensions.PersistedQuery != nil:
		return request, &apierror.Error{Code: apierror.PersistedQueryNotSupported, Message: "PersistedQueryNotSupported"} // the words that Apollo's clients fall back on
	}
	return request, &apierror.Error{Code: apierror.BadUserInput, Message: "query is required: a GraphQL document as a string"}
}

// cause makes an error of the library's ours, whole: it would show the text of
// wrapped causes and of panics, and lose codes that are wrapped.
func (h *Handler) cause(ctx context.Context, q *gqlerrors.QueryError) *apierror.Error {
	cause := q.ResolverError
	switch {
	case cause != nil:
	case ctx.Err() != nil: // the library drops the data then, though all may be done
		cause = context.Cause(ctx)
	default: // its bounds are counted otherwise than the guard's, and are the client's to keep as well
		cause = &apierror.Error{
			Code:    apierror.GraphQLValidationFailed,
			Message: "The document asks for too much, or for too many fields of one name",
			Cause:   fmt.Errorf("graphql-go refused what the guard let through: rule %q", q.Rule),
		}
	}
	return h.outward(cause)
}

// rewrite replaces an error of the library's, and logs it.
func (h *Handler) rewrite(ctx context.Context, q *gqlerrors.QueryError) *gqlError {
	e := h.cause(ctx, q)
	apierror.Log(ctx, h.log, e)
	return &gqlError{Message: e.Message, Path: q.Path, Extensions: e.Extensions()}
}

// write answers. The size of the answer is bounded by now, and so is the time
// that the client may take to read it.
func (h *Handler) write(w http.ResponseWriter, media string, status int, response gqlResponse) {
	for _, e := range response.Errors {
		if wait, ok := e.Extensions["retryAfter"].(int); ok {
			w.Header().Set("Retry-After", strconv.Itoa(wait))
		}
	}
	parts := response.parts()
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	w.Header().Set("Content-Type", media+"; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(size))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	h.answers.write(w, response.room, parts...)
}

var errPanic = errors.New("panic in a resolver")

// LogPanic is called by the library. Of the value, which may be anything that
// a client sent, the log gets the text only when the runtime wrote it.
func (h *Handler) LogPanic(ctx context.Context, value any) {
	text := fmt.Sprintf("%T", value)
	if err, ok := value.(runtime.Error); ok {
		text = bounded(err.Error())
	}
	h.log.LogAttrs(ctx, slog.LevelError, "panic", slog.String("panic", text), slog.String("stack", string(debug.Stack())))
}

// MakePanicError is called by the library, whose own would show the value.
func (h *Handler) MakePanicError(context.Context, any) *gqlerrors.QueryError {
	return &gqlerrors.QueryError{ResolverError: errPanic}
}
