package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
)

func TestLateEventsAreBounded(t *testing.T) {
	var late lateEvents
	away := fmt.Errorf("recording: %w", ErrUnavailable)
	for i := range maxLate + 5 {
		if err := late.keep(eventDocument{}, away); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrKept) != (i < maxLate) {
			t.Fatalf("event %d: %v", i, err)
		}
	}
	if err := late.keep(eventDocument{}, errors.New("refused")); err == nil || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrKept) {
		t.Error(err)
	}
	if len(late.events) != maxLate || late.dropped != 5 {
		t.Errorf("%d kept, %d dropped", len(late.events), late.dropped)
	}
}

// An event that comes after the last attempt to record late ones is lost, and its error says so.
func TestEventsAfterRunAreNotKept(t *testing.T) {
	a := &Audit{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a.Run(ctx, slog.New(slog.DiscardHandler))
	if err := a.late.keep(eventDocument{}, ErrUnavailable); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrKept) || len(a.late.events) != 0 {
		t.Errorf("%d kept, %v", len(a.late.events), err)
	}
}
