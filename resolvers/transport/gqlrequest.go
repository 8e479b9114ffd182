package transport

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"cubegate/resolvers/apierror"
)

// gqlRequest is a GraphQL request: the body of a POST, or the query string of a GET.
type gqlRequest struct {
	Query         *string        `json:"query"`
	OperationName *string        `json:"operationName"`
	Variables     map[string]any `json:"variables"`
	Extensions    struct {
		PersistedQuery *persistedQuery `json:"persistedQuery"`
	} `json:"extensions"`
}

// persistedQuery names a document by its digest, in the form of Apollo's clients and
// of urql. Other members are ignored.
type persistedQuery struct {
	Version    int    `json:"version"`
	Sha256Hash string `json:"sha256Hash"`
}

var (
	errQueryRequired     = &apierror.Error{Code: apierror.BadUserInput, Message: "query is required: a GraphQL document as a string"}
	errDigestForm        = &apierror.Error{Code: apierror.BadUserInput, Message: "extensions.persistedQuery.sha256Hash must be 64 hexadecimal digits"}
	errDigestDiffers     = &apierror.Error{Code: apierror.BadUserInput, Message: "extensions.persistedQuery.sha256Hash is not the SHA-256 of query"}
	errPersistedVersion  = &apierror.Error{Code: apierror.PersistedQueryNotSupported, Message: "PersistedQueryNotSupported"} // clients recognize this text, and then send whole documents
	errBatch             = &apierror.Error{Code: apierror.BadUserInput, Message: "The body must be a JSON object; batches are not supported: send each operation in a request of its own, or several queries in one document"}
	errQueryStringSyntax = &apierror.Error{Code: apierror.BadUserInput, Message: "The query string must be URL-encoded UTF-8, with the parameters query, operationName, variables and extensions"}
)

// readGraphQL returns the JSON object of a request: the body of a POST, or the
// parameters of a GET or HEAD.
func readGraphQL(r *http.Request) ([]byte, error) {
	if isRead(r) {
		return parametersAsJSON(r.URL.RawQuery)
	}
	return readJSON(r)
}

// isRead reports whether a request must not change anything (RFC 9110, section 9.2.1).
func isRead(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// parametersAsJSON returns the body of the POST that is equal to a GET
// (https://graphql.github.io/graphql-over-http/draft/#sec-GET). An empty parameter is
// an absent one.
func parametersAsJSON(rawQuery string) ([]byte, error) {
	given, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, errQueryStringSyntax
	}
	body := map[string]any{}
	for _, name := range []string{"query", "operationName", "variables", "extensions"} {
		values := given[name]
		switch {
		case len(values) > 1:
			return nil, apierror.FieldErrors{name: "occurs more than once; send it once"}.Err()
		case len(values) == 0 || values[0] == "":
			continue
		case !utf8.ValidString(values[0]):
			return nil, errQueryStringSyntax
		}
		body[name] = values[0]
		if name == "variables" || name == "extensions" {
			if !json.Valid([]byte(values[0])) {
				return nil, apierror.FieldErrors{name: "must be a JSON object"}.Err()
			}
			body[name] = json.RawMessage(values[0])
		}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encoding the parameters of a GET: %w", err)
	}
	return raw, nil
}

func decodeRequest(raw []byte) (gqlRequest, error) {
	var request gqlRequest
	if isList(raw) {
		return request, errBatch
	}
	if err := DecodeObject(raw, &request); err != nil {
		return request, err
	}
	persisted := request.Extensions.PersistedQuery
	if persisted != nil && request.Query != nil && *request.Query == "" { // how some clients omit it
		request.Query = nil
	}
	switch {
	case persisted == nil && request.Query == nil:
		return request, errQueryRequired
	case persisted != nil && persisted.Version != 1:
		return request, errPersistedVersion
	}
	return request, nil
}

func isList(raw []byte) bool {
	return strings.HasPrefix(strings.TrimLeft(strings.TrimPrefix(string(raw[:min(len(raw), 64)]), "\ufeff"), " \t\r\n"), "[")
}

// digest returns the digest of the request's document. It believes the digest that the
// client sends only if there is no document.
func (r gqlRequest) digest() (digest, error) {
	var sent, computed digest
	persisted := r.Extensions.PersistedQuery
	if persisted != nil {
		raw, err := hex.DecodeString(persisted.Sha256Hash)
		if err != nil || len(raw) != len(sent) {
			return digest{}, errDigestForm
		}
		sent = digest(raw)
	}
	if r.Query == nil {
		return sent, nil
	}
	computed = sha256.Sum256([]byte(*r.Query))
	if persisted != nil && sent != computed {
		return digest{}, errDigestDiffers
	}
	return computed, nil
}
