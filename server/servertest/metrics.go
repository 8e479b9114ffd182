package servertest

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// OpsSettings open the operators' listener.
var OpsSettings = map[string]string{"OPS_ADDR": "127.0.0.1:0"}

// Metrics is one scrape.
type Metrics struct {
	Text   string
	Types  map[string]string  // by name
	Series map[string]float64 // by name and labels, such as a_total{b="c"}
}

// Scrape reads the metrics as Prometheus does.
func (r *Server) Scrape(t *testing.T) Metrics {
	t.Helper()
	got := r.Request(t, http.MethodGet, r.OpsURL+"/metrics", "")
	if got.Status != http.StatusOK || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("scrape: %d %s: %s", got.Status, got.Header.Get("Content-Type"), got.Body)
	}
	m := Metrics{Text: got.Body, Types: map[string]string{}, Series: map[string]float64{}}
	for line := range strings.Lines(got.Body) {
		line = strings.TrimSpace(line)
		if words := strings.Fields(line); strings.HasPrefix(line, "# TYPE ") {
			m.Types[words[2]] = words[3]
		}
		i := strings.LastIndex(line, " ")
		if strings.HasPrefix(line, "#") || i < 0 {
			continue
		}
		value, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		m.Series[line[:i]] = value
	}
	return m
}
