package transport

import (
	"cmp"
	"context"
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

// The media types of GraphQL over HTTP. A client without a preference gets the
// first.
const (
	MediaJSON    = "application/json"
	mediaGraphQL = "application/graphql-response+json"
)

// Options configure a Handler. All fields but QueryContext, Observe and
// Introspection are required.
type Options struct {
	Schema  string                      // in the schema language
	Root    any                         // its methods Query and Mutation return the resolvers; see [graphql.ParseSchema]
	Outward func(error) *apierror.Error // turns any error into one that is safe to show
	Log     *slog.Logger

	// QueryContext returns the context of all fields of one query. The fields
	// of a mutation get the request's context: each may depend on the last.
	QueryContext func(context.Context) context.Context

	// Observe gets the operations that are refused before a resolver runs, with the code,
	// and introspection; optional. The name is that of a field of the schema's root.
	Observe func(ctx context.Context, operation string, code apierror.Code)

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

// Handler serves GraphQL over HTTP as the specification of that name describes
// (https://graphql.github.io/graphql-over-http/draft/). A GET executes queries
// alone, so no password has a reason to be in a query string, which ends in logs. It
// is safe for concurrent use.
type Handler struct {
	outward      func(error) *apierror.Error
	queryContext func(context.Context) context.Context
	schema       *graphql.Schema
	guard        *guard
	introspector *introspector
	answered     *lru.Cache[answerKey, []byte] // introspection
	answers      answerRoom
	reading      chan struct{} // one element for each request that is decoded and checked
	observe      func(ctx context.Context, operation string, code apierror.Code)
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
		observe:      o.Observe,
		queryContext: o.QueryContext,
		guard:        guard,
		introspector: &introspector{schema: guard.schema, maxValues: maxIntrospectionValues, maxBytes: maxAnswer},
		log:          o.Log,
	}
	if h.observe == nil {
		h.observe = func(context.Context, string, apierror.Code) {}
	}
	// Decoding and checking is CPU-bound: more at once would only take more memory.
	h.reading = make(chan struct{}, 2*runtime.GOMAXPROCS(0))
	if h.answered, err = lru.New[answerKey, []byte](maxAnswered); err != nil {
		return nil, fmt.Errorf("making the cache of introspection answers: %w", err)
	}
	schema, err := graphql.ParseSchema(o.Schema, o.Root,
		graphql.UseStringDescriptions(),
		graphql.UseFieldResolvers(),
		graphql.DisableFieldSelections(),
		// The guard refuses all that exceeds these. They count if the guard and
		// graphql-go ever read a document differently.
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

// gqlError is an error in the form of the specification, with our code in its
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

// gqlResponse is one answer. If Data is nil, nothing was executed.
type gqlResponse struct {
	Errors []*gqlError
	Data   json.RawMessage
	room   *reservation // reserved for Data, or nil
}

// parts returns the body of the answer. It does not copy the data.
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

var (
	errNotAcceptable = &apierror.Error{Code: apierror.NotAcceptable, Message: "Answers are " + mediaGraphQL + " or " + MediaJSON}
	errFromPage      = &apierror.Error{Code: apierror.Forbidden, Message: "A browser may load queries only with fetch or XMLHttpRequest, in the mode cors or same-origin"}
)

// ServeHTTP reads, limits and executes a request, and rewrites its errors. A GET executes
// queries only: the document decides, even if the client names it by a digest.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	media := negotiate(r, MediaJSON, mediaGraphQL)
	if isRead(r) && isPageLoad(r) {
		h.writeError(w, r, cmp.Or(media, MediaJSON), errFromPage)
		return
	}
	if media == "" {
		h.writeError(w, r, MediaJSON, errNotAcceptable)
		return
	}
	raw, err := readGraphQL(r)
	if err != nil {
		h.writeError(w, r, media, err)
		return
	}
	j, err := h.read(r, raw)
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
	if response.Data == nil && media == mediaGraphQL { // the older type has status 200 for every well-formed request
		status = response.Errors[0].Extensions["code"].(apierror.Code).Status()
	}
	h.write(w, media, status, response)
}

// isPageLoad reports whether a browser requests a GET as a page, or as a part of one
// such as an image or a script, of any origin
// (https://www.w3.org/TR/fetch-metadata/#sec-fetch-mode-header).
func isPageLoad(r *http.Request) bool {
	return slices.ContainsFunc(r.Header.Values("Sec-Fetch-Mode"), func(mode string) bool {
		return strings.EqualFold(mode, "navigate") || strings.EqualFold(mode, "no-cors")
	})
}

// writeError answers a request that cannot be read, or for which there is no room.
func (h *Handler) writeError(w http.ResponseWriter, r *http.Request, media string, err error) {
	e := h.outward(err)
	if e.Code == apierror.MethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	apierror.Log(r.Context(), h.log, e)
	h.write(w, media, e.Code.Status(), gqlResponse{Errors: []*gqlError{{Message: e.Message, Extensions: e.Extensions()}}})
}

// read decodes and checks a request. Only a few requests do so at a time. The
// others wait with their bodies not decoded, which bounds the memory of a crowd.
func (h *Handler) read(r *http.Request, raw []byte) (job, error) {
	ctx := r.Context()
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
	j, err := h.judge(ctx, request)
	if err == nil && isRead(r) && j.writes {
		return job{}, errMutationByGET
	}
	return j, err
}

// cause replaces an error of graphql-go, which shows the text of wrapped causes
// and of panics, and loses wrapped codes.
func (h *Handler) cause(ctx context.Context, q *gqlerrors.QueryError) *apierror.Error {
	cause := q.ResolverError
	switch {
	case cause != nil:
	case ctx.Err() != nil: // graphql-go drops the data then, although all fields may have run
		cause = context.Cause(ctx)
	default: // graphql-go counts its bounds in another way than the guard
		cause = &apierror.Error{
			Code:    apierror.GraphQLValidationFailed,
			Message: "The document requests too much, or too many fields of one name",
			Cause:   fmt.Errorf("graphql-go refused a document that the guard accepted: rule %q", q.Rule),
		}
	}
	return h.outward(cause)
}

// rewrite replaces an error of graphql-go, and logs it.
func (h *Handler) rewrite(ctx context.Context, q *gqlerrors.QueryError) *gqlError {
	e := h.cause(ctx, q)
	apierror.Log(ctx, h.log, e)
	return &gqlError{Message: e.Message, Path: q.Path, Extensions: e.Extensions()}
}

// write sends an answer. The time that the client may take to read it is bounded.
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
	w.Header().Add("Vary", "Authorization, Accept")
	w.WriteHeader(status)
	h.answers.write(w, response.room, parts...)
}

var errPanic = errors.New("panic in a resolver")

// LogPanic implements the Logger of graphql-go. It logs the text of the value only
// if the runtime wrote it: any other text may come from a client.
func (h *Handler) LogPanic(ctx context.Context, value any) {
	text := fmt.Sprintf("%T", value)
	if err, ok := value.(runtime.Error); ok {
		text = bounded(err.Error())
	}
	h.log.LogAttrs(ctx, slog.LevelError, "panic", slog.String("panic", text), slog.String("stack", string(debug.Stack())))
}

// MakePanicError replaces graphql-go's own, which shows the value to the client.
func (h *Handler) MakePanicError(context.Context, any) *gqlerrors.QueryError {
	return &gqlerrors.QueryError{ResolverError: errPanic}
}
