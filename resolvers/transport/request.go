package transport

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"cubegate/resolvers/apierror"
)

// MaxBody bounds the body of a request, in bytes, also once it is decompressed.
const MaxBody = 64 << 10

// ReadJSON reads the JSON object of a request into the value that into points
// to. It refuses every other type of body, and members that could be confused;
// see [DecodeObject].
func ReadJSON(r *http.Request, into any) error {
	raw, err := readJSON(r)
	if err != nil {
		return err
	}
	return DecodeObject(raw, into)
}

// HasBody reports whether a request has a body of at least one byte. The body can be
// read afterwards.
func HasBody(r *http.Request) bool {
	if r.ContentLength == 0 {
		return false
	}
	buffered := bufio.NewReaderSize(r.Body, 16)
	_, err := buffered.Peek(1)
	r.Body = &peekedBody{buffered, r.Body}
	return err != io.EOF
}

// peekedBody is a body of which a part has been read ahead.
type peekedBody struct {
	io.Reader
	io.Closer
}

// readJSON returns the body of a request that says it is JSON. A page of another
// origin can send any other type without a preflight request, so this check also
// guards against forged requests.
func readJSON(r *http.Request) ([]byte, error) {
	media, err := MediaType(r)
	if err != nil {
		return nil, err
	}
	if media != MediaJSON {
		return nil, &apierror.Error{Code: apierror.UnsupportedMediaType, Message: "Send the request as " + MediaJSON}
	}
	return ReadBody(r)
}

// ReadBody returns the body of a request, decompressed. Its errors have codes. It
// leaves the part beyond the bound unread; the middleware discards that.
func ReadBody(r *http.Request) ([]byte, error) {
	if r.ContentLength > MaxBody {
		return nil, errTooLarge
	}
	body := io.LimitReader(r.Body, MaxBody+1)
	switch strings.ToLower(r.Header.Get("Content-Encoding")) {
	case "", "identity":
	case "gzip", "x-gzip": // RFC 9110, 8.4.1.3
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			return nil, readFailure(err)
		}
		body = unpacked
	default:
		return nil, &apierror.Error{Code: apierror.UnsupportedMediaType, Message: "Send the body uncompressed, or compressed with gzip"}
	}
	raw, err := io.ReadAll(io.LimitReader(body, MaxBody+1))
	if err != nil {
		return nil, readFailure(err)
	}
	if len(raw) > MaxBody {
		return nil, errTooLarge
	}
	return raw, nil
}

var errTooLarge = &apierror.Error{Code: apierror.PayloadTooLarge, Message: "The body has more than 64 KiB"}

func readFailure(err error) error {
	return &apierror.Error{Code: apierror.BadUserInput, Message: "The body could not be read", Cause: err}
}

// MediaType returns the media type of a request's body, or "" if there is none. It
// refuses a charset other than UTF-8.
func MediaType(r *http.Request) (string, error) {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) { // such as an empty charset; the body must be UTF-8 in any case
		return "", nil
	}
	if !isUTF8(params["charset"]) {
		return "", &apierror.Error{Code: apierror.UnsupportedMediaType, Message: "Send text as UTF-8"}
	}
	return media, nil
}

// isUTF8 reports whether a charset parameter is missing or a label of UTF-8
// (https://encoding.spec.whatwg.org/#names-and-labels), or of its subset ASCII.
func isUTF8(charset string) bool {
	switch strings.ToLower(strings.TrimSpace(charset)) {
	case "", "utf-8", "utf8", "unicode-1-1-utf-8", "unicode11utf8", "unicode20utf8", "x-unicode20utf8", "us-ascii", "ascii":
		return true
	}
	return false
}

// DecodeObject reads a JSON object into the value that into points to. It
// refuses members that could be confused; see checkMembers. The error does not
// quote the input.
func DecodeObject(raw []byte, into any) error {
	raw = bytes.TrimPrefix(raw, []byte("\ufeff")) // some Windows clients send it
	if trimmed := bytes.TrimLeft(raw, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return &apierror.Error{Code: apierror.BadUserInput, Message: "The body must be a JSON object"}
	}
	if !utf8.Valid(raw) {
		return &apierror.Error{Code: apierror.BadUserInput, Message: "The body is not UTF-8"}
	}
	if err := checkMembers(raw, reflect.TypeOf(into)); err != nil {
		return err
	}
	err := json.Unmarshal(raw, into)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		return &apierror.Error{Code: apierror.BadUserInput, Message: wrong.Field + " is of the wrong type"}
	case err != nil:
		return &apierror.Error{Code: apierror.BadUserInput, Message: "The body is not JSON"}
	}
	return nil
}

// negotiate returns the offered media type that the client prefers, or "" if it accepts
// none. Of several with the same weight, it returns the one that the header names first.
// A client without the header Accept accepts all.
func negotiate(r *http.Request, offers ...string) string {
	header := strings.Join(r.Header.Values("Accept"), ",")
	if strings.TrimSpace(header) == "" {
		return offers[0]
	}
	best, liked, place := "", 0.0, 0
	for _, offer := range offers {
		if q, at := weigh(header, offer); q > liked || q == liked && q > 0 && at < place {
			best, liked, place = offer, q, at
		}
	}
	return best
}

// weigh returns the weight of a media type in a header Accept, and the place of its
// range. The most specific range that matches counts (RFC 9110, 12.5.1).
func weigh(header, offer string) (weight float64, place int) {
	kind, _, _ := strings.Cut(offer, "/")
	specificity := 0
	for i, part := range strings.Split(header, ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil || !isUTF8(params["charset"]) {
			continue
		}
		rank := 1 + slices.Index([]string{"*/*", kind + "/*", offer}, media)
		if rank <= specificity {
			continue
		}
		specificity, weight, place = rank, 1, i
		if q, err := strconv.ParseFloat(params["q"], 64); err == nil {
			weight = q
		}
	}
	return weight, place
}

// AcceptsHTML reports whether a client, such as a browser, prefers HTML to JSON and to
// plain text.
func AcceptsHTML(r *http.Request) bool {
	return negotiate(r, MediaJSON, mediaGraphQL, "text/plain", "text/html") == "text/html"
}
