package resolvers

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

func TestEveryCodeHasAStatus(t *testing.T) {
	for code, status := range statuses {
		if status < 400 || status > 599 {
			t.Errorf("%s has status %d", code, status)
		}
	}
}

func TestWriteErrorTellsWhenToComeBack(t *testing.T) {
	w := httptest.NewRecorder()
	WriteError(w, httptest.NewRequest("GET", "/", nil), slog.New(slog.DiscardHandler), &Error{Code: RateLimited, Message: "wait", RetryAfter: 1100 * time.Millisecond})
	if w.Code != 429 || w.Header().Get("Retry-After") != "2" || w.Body.String() != `{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"wait","code":"RATE_LIMITED"}`+"\n" {
		t.Errorf("%d, Retry-After %q, %s", w.Code, w.Header().Get("Retry-After"), w.Body)
	}
}

func TestREADMEHasEveryCode(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for code, status := range statuses {
		if row := fmt.Sprintf("| `%s` | %d |", code, status); !strings.Contains(string(readme), row) {
			t.Errorf("the README has no row %s", row)
		}
	}
}
