package store

import (
	"context"
	"errors"
	"testing"
)

func TestLocalRunsABoundedNumberOfCommands(t *testing.T) {
	l := &local{slots: make(chan struct{}, 2)}
	first, err := l.Connection(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Connection(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Connection(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("a third one: %v, want context.Canceled", err)
	}
	for range 2 { // the second call must not free the slot of another operation
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.slots) != 1 {
		t.Errorf("%d slots are taken after one of two was returned", len(l.slots))
	}
	if _, err := l.Connection(t.Context()); err != nil {
		t.Errorf("in the free slot: %v", err)
	}
}
