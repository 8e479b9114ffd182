package store

import (
	"errors"
	"fmt"
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
