package tokens

import (
	"context"
	"errors"
	"testing"
	"time"
)

// The time of a hash grows with its memory and its passes. The memory grows before the
// passes are many, and neither leaves the bounds of a hash.
func TestFit(t *testing.T) {
	t.Parallel()
	const pass = 10 * time.Millisecond // over 19 MiB
	measure := func(p Params) (time.Duration, error) {
		return pass * time.Duration(p.Memory) * time.Duration(p.Iterations) / (19 << 10), nil
	}
	for _, tt := range []struct {
		want               time.Duration
		memory, iterations uint32
		took               time.Duration
	}{
		{time.Nanosecond, 19 << 10, 2, 20 * time.Millisecond}, // OWASP's least
		{40 * time.Millisecond, 19 << 10, 4, 40 * time.Millisecond},
		{100 * time.Millisecond, 46 << 10, 4, 96842105},
		{2 * time.Second, maxMemory, 14, 1886315789},
		{time.Minute, maxMemory, maxIterations, 2155789473},
	} {
		p, took, err := fit(Params{}.withDefaults(), tt.want, measure)
		if err != nil || p.Memory != tt.memory || p.Iterations != tt.iterations || took.Round(time.Millisecond) != tt.took.Round(time.Millisecond) {
			t.Errorf("%s: memory %d, iterations %d, %s, %v; want %+v", tt.want, p.Memory, p.Iterations, took, err, tt)
		}
		if err := p.check(); err != nil {
			t.Errorf("%s: %v", tt.want, err)
		}
	}
}

// Measure measures hashes of the kind of its parameters, and ends with its context.
func TestMeasure(t *testing.T) {
	t.Parallel()
	for _, p := range []Params{quickHash, {Bcrypt: true}} {
		p.Concurrent = 3
		p.Observe = func(w HashWait) { t.Errorf("a wait for metrics: %+v", w) }
		h, err := NewHasher(p)
		if err != nil {
			t.Fatal(err)
		}
		took, perSecond, err := h.Measure(t.Context())
		if err != nil || took <= 0 || p.Bcrypt && took < time.Millisecond || perSecond != 3/took.Seconds() {
			t.Errorf("%+v: %v, %v, %v", p, took, perSecond, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := h.Measure(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("after its context: %v", err)
		}
	}
}

// Fit measures real hashes, and ends with its context.
func TestFitMeasures(t *testing.T) {
	t.Parallel()
	p, took, err := Fit(t.Context(), Params{Parallelism: 2}, time.Nanosecond)
	if err != nil || took <= 0 || p.Memory != 19<<10 || p.Iterations != 2 || p.Parallelism != 2 || p.AtOnce() < 1 {
		t.Errorf("%+v, %s, %v", p, took, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Fit(ctx, Params{}, time.Second); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its context: %v", err)
	}
}
