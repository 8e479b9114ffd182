package transport

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
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
	case "gzip":
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
	if err != nil {
		return "", nil
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return "", &apierror.Error{Code: apierror.UnsupportedMediaType, Message: "Send text as UTF-8"}
	}
	return media, nil
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

// negotiate returns the offered media type that the client prefers, the first of
// several, or "" if it accepts none. A client without the header Accept accepts all.
func negotiate(r *http.Request, offers ...string) string {
	header := strings.Join(r.Header.Values("Accept"), ",")
	if strings.TrimSpace(header) == "" {
		return offers[0]
	}
	best, liked := "", 0.0
	for part := range strings.SplitSeq(header, ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
			continue
		}
		q := 1.0
		if given, err := strconv.ParseFloat(params["q"], 64); err == nil {
			q = given
		}
		for _, offer := range offers {
			if q > liked && matchesMedia(media, offer) {
				best, liked = offer, q
				break
			}
		}
	}
	return best
}

func matchesMedia(pattern, media string) bool {
	kind, _, _ := strings.Cut(media, "/")
	return pattern == media || pattern == "*/*" || pattern == kind+"/*"
}

// AcceptsHTML reports whether a client, such as a browser, prefers HTML to JSON.
func AcceptsHTML(r *http.Request) bool {
	return negotiate(r, MediaJSON, "text/html") == "text/html"
}
