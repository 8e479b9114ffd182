package middleware

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
)

// traceparentHeader names the trace that a request belongs to
// (https://www.w3.org/TR/trace-context/#traceparent-header).
const traceparentHeader = "Traceparent"

// The form of the header: version, trace ID, ID of the caller's span, and flags, as hex
// digits in lower case between hyphens. A later version may have more behind another hyphen.
const (
	traceparentSize = 55
	traceIDEnd      = 35
	spanIDEnd       = 52
	noTraceID       = "00000000000000000000000000000000"
	noSpanID        = "0000000000000000"
)

// sampledFlag is the only flag that version 00 defines.
const sampledFlag = 1

type traceKey struct{}

// trace is the trace of a request.
type trace struct {
	id      string
	sampled bool
}

// Trace takes the trace of a request from its header traceparent into the context: for the
// log, and for Traceparent. It needs RequestID before it. A header of another form, or more than one, counts as none, and
// no trace is invented then.
func Trace(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sent := r.Header[traceparentHeader]; len(sent) == 1 {
			if t, ok := parseTraceparent(sent[0]); ok {
				r = r.WithContext(context.WithValue(r.Context(), traceKey{}, t))
			}
		}
		next.ServeHTTP(w, r)
	})
}

// parseTraceparent reads a header. It reads one of a later version as the standard asks
// (https://www.w3.org/TR/trace-context/#versioning-of-traceparent): the first four parts
// are those of version 00. Version ff is not valid.
func parseTraceparent(s string) (trace, bool) {
	if len(s) < traceparentSize || s[2] != '-' || s[traceIDEnd] != '-' || s[spanIDEnd] != '-' {
		return trace{}, false
	}
	version, id, span, flags, rest := s[:2], s[3:traceIDEnd], s[traceIDEnd+1:spanIDEnd], s[spanIDEnd+1:traceparentSize], s[traceparentSize:]
	if !isLowerHex(version) || !isLowerHex(id) || !isLowerHex(span) || !isLowerHex(flags) {
		return trace{}, false
	}
	if version == "ff" || id == noTraceID || span == noSpanID {
		return trace{}, false
	}
	if rest != "" && (version == "00" || rest[0] != '-') {
		return trace{}, false
	}
	bits, err := hex.DecodeString(flags)
	return trace{strings.Clone(id), bits[0]&sampledFlag != 0}, err == nil
}

func isLowerHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// TraceIDFrom returns the ID of the trace that the request of ctx belongs to, or "".
func TraceIDFrom(ctx context.Context) string {
	t, _ := ctx.Value(traceKey{}).(trace)
	return t.id
}

// Traceparent returns the header for a call that the request of ctx causes: the trace of
// the request with a new ID of the span. It returns "" if the request has no trace. Its
// version is 00, whatever the version of the request's header.
func Traceparent(ctx context.Context) string {
	t, ok := ctx.Value(traceKey{}).(trace)
	if !ok {
		return ""
	}
	var span [8]byte
	for span == [8]byte{} { // all zero is not valid
		_, _ = rand.Read(span[:]) // never fails: see package rand
	}
	flags := "-00"
	if t.sampled {
		flags = "-01"
	}
	return "00-" + t.id + "-" + hex.EncodeToString(span[:]) + flags
}
