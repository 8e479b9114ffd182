package middleware_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"cubegate/middleware"
)

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanID  = "00f067aa0ba902b7"
)

// The rules are those of https://www.w3.org/TR/trace-context/, sections 3.2 and 4.
func TestTraceIsTakenOverInItsFormOnly(t *testing.T) {
	valid := "00-" + traceID + "-" + spanID + "-01"
	for _, tt := range []struct {
		name  string
		sent  []string
		taken bool
		flags string
	}{
		{"version 00", []string{valid}, true, "01"},
		{"not sampled", []string{"00-" + traceID + "-" + spanID + "-00"}, true, "00"},
		{"flags that version 00 does not know", []string{"00-" + traceID + "-" + spanID + "-ff"}, true, "01"},
		{"unknown flags without the known one", []string{"00-" + traceID + "-" + spanID + "-fe"}, true, "00"},
		{"a later version", []string{"01-" + traceID + "-" + spanID + "-01"}, true, "01"},
		{"a later version with more parts", []string{"cc-" + traceID + "-" + spanID + "-01-what-the-future-brings"}, true, "01"},
		{"a later version that ends with a hyphen", []string{"cc-" + traceID + "-" + spanID + "-01-"}, true, "01"},
		{"a later version with more in the last part", []string{"cc-" + traceID + "-" + spanID + "-01.what"}, false, ""},
		{"a later version that is too short", []string{"cc-" + traceID + "-" + spanID + "-0"}, false, ""},
		{"version 00 with more parts", []string{valid + "-what"}, false, ""},
		{"version 00 that ends with a hyphen", []string{valid + "-"}, false, ""},
		{"version ff", []string{"ff-" + traceID + "-" + spanID + "-01"}, false, ""},
		{"version in upper case", []string{"CC-" + traceID + "-" + spanID + "-01"}, false, ""},
		{"a version that is no number", []string{"0g-" + traceID + "-" + spanID + "-01"}, false, ""},
		{"trace ID of zeros", []string{"00-" + strings.Repeat("0", 32) + "-" + spanID + "-01"}, false, ""},
		{"span ID of zeros", []string{"00-" + traceID + "-" + strings.Repeat("0", 16) + "-01"}, false, ""},
		{"trace ID in upper case", []string{"00-" + strings.ToUpper(traceID) + "-" + spanID + "-01"}, false, ""},
		{"span ID in upper case", []string{"00-" + traceID + "-" + strings.ToUpper(spanID) + "-01"}, false, ""},
		{"flags in upper case", []string{"00-" + traceID + "-" + spanID + "-0A"}, false, ""},
		{"flags that are no number", []string{"00-" + traceID + "-" + spanID + "-0x"}, false, ""},
		{"a forged line", []string{"00-" + traceID[:31] + "\n-" + spanID + "-01"}, false, ""},
		{"a short trace ID", []string{"00-" + traceID[1:] + "-" + spanID + "-01"}, false, ""},
		{"a short trace ID and a long span ID", []string{"00-" + traceID[1:] + "-0" + spanID + "-01"}, false, ""},
		{"a long trace ID", []string{"00-0" + traceID + "-" + spanID + "-01"}, false, ""},
		{"other separators", []string{strings.ReplaceAll(valid, "-", "_")}, false, ""},
		{"a blank before it", []string{" " + valid}, false, ""},
		{"two in one header", []string{valid + "," + valid}, false, ""},
		{"two headers", []string{valid, valid}, false, ""},
		{"nothing in it", []string{""}, false, ""},
		{"no header", nil, false, ""},
		{"a long text", []string{strings.Repeat("a", 15<<10)}, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			log := slog.New(middleware.WithRequestID(slog.NewJSONHandler(&out, nil)))
			var first, second string
			h := middleware.RequestID(middleware.Trace(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				log.InfoContext(r.Context(), "event")
				first, second = middleware.Traceparent(r.Context()), middleware.Traceparent(r.Context())
			})))
			r := httptest.NewRequest("GET", "/", nil)
			if tt.sent != nil {
				r.Header["Traceparent"] = tt.sent
			}
			h.ServeHTTP(httptest.NewRecorder(), r)
			line := logged(t, &out)[0]
			if !tt.taken {
				if line["trace_id"] != nil || first != "" {
					t.Errorf("log line %v, outgoing %q, want no trace", line, first)
				}
				return
			}
			want := regexp.MustCompile("^00-" + traceID + "-[0-9a-f]{16}-" + tt.flags + "$")
			if line["trace_id"] != traceID || !want.MatchString(first) || !want.MatchString(second) {
				t.Errorf("log line %v, outgoing %q and %q, want them like %s", line, first, second, want)
			}
			if first == second || strings.Contains(first, spanID) {
				t.Errorf("outgoing %q and %q, want a new span ID for each call", first, second)
			}
		})
	}
}
