package resolvers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cubegate/connectycube"
	"cubegate/resolvers/apierror"
	"cubegate/resolvers/provisioning"
	"cubegate/store"
)

// errSecret is an inner error as a driver may return it.
var errSecret = errors.New("dialing mongodb://root:pw@db.internal: no route")

func TestEveryErrorHasACodeAndAMessage(t *testing.T) {
	for _, p := range public {
		if p.code.Status() == 0 || p.message == "" {
			t.Errorf("%v: code %s, status %d, message %q", p.is, p.code, p.code.Status(), p.message)
		}
	}
}

// Clients compare two of the exempt messages. No client is left to read the third.
func TestEveryMessageHasANextStep(t *testing.T) {
	exempt := []string{"Email already exists", "Invalid email or password", "The request was canceled"}
	for _, p := range public {
		if _, step, _ := strings.Cut(p.message, "; "); step == "" && !slices.Contains(exempt, p.message) {
			t.Errorf("%v: %q names no next step", p.is, p.message)
		}
	}
}

func TestOutward(t *testing.T) {
	deep := fmt.Errorf("a: %w", fmt.Errorf("b: %w", store.TakenError{Field: "email"}))
	tests := []struct {
		name string
		err  error
		want apierror.Code
	}{
		{"wrapped twice", deep, apierror.Conflict},
		{"joined with the failure to undo", errors.Join(deep, errSecret), apierror.Conflict},
		{"ours, wrapped", fmt.Errorf("a: %w", &apierror.Error{Code: apierror.RateLimited}), apierror.RateLimited},
		{"canceled", context.Canceled, apierror.Canceled},
		{"unknown", errSecret, apierror.InternalServerError},
		{"upstream", fmt.Errorf("a: %w", connectycube.ErrUnavailable), apierror.UpstreamUnavailable},
		{"an account that must wait", &provisioning.OverBudgetError{RetryAfter: time.Second}, apierror.ServiceUnavailable},
		{"an account that ConnectyCube cannot create now", fmt.Errorf("%w: %w", provisioning.ErrPending, connectycube.ErrUnavailable), apierror.UpstreamUnavailable},
		{"a session at ConnectyCube that expired", fmt.Errorf("a: %w", connectycube.ErrSessionExpired), apierror.UpstreamUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if e := Outward(tt.err); e.Code != tt.want || strings.Contains(e.Message, "mongodb") {
				t.Errorf("%s %q, want %s", e.Code, e.Message, tt.want)
			}
		})
	}
}

func TestOutwardKeepsTheTimeToRetry(t *testing.T) {
	busy := errors.Join(connectycube.ErrUnavailable, &connectycube.APIError{Status: 429, RetryAfter: 3 * time.Second})
	over := fmt.Errorf("a: %w", &provisioning.OverBudgetError{RetryAfter: 3 * time.Second})
	if e := Outward(over); e.RetryAfter != 3*time.Second {
		t.Errorf("over budget, retry after %v, want 3s", e.RetryAfter)
	}
	if e := Outward(busy); e.RetryAfter != 3*time.Second {
		t.Errorf("retry after %v, want 3s", e.RetryAfter)
	}
}
