package soak

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// line returns 360 samples, as of half an hour, with noise.
func line(at func(i int) float64) []float64 {
	dice := rand.New(rand.NewPCG(1, 2))
	samples := make([]float64, 360)
	for i := range samples {
		samples[i] = at(i) + dice.Float64()*4
	}
	return samples
}

func TestGrowthIsTold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		at   func(i int) float64
		want bool
	}{
		{"noise", func(int) float64 { return 60 }, false},
		{"warm-up", func(i int) float64 { return 20 + 40*min(1, float64(i)/80) }, false},
		{"one step in the third quarter", func(i int) float64 { return 60 + 10*float64(i/230) }, false},
		{"saw", func(i int) float64 { return 60 + float64(i%50)/2 }, false},
		{"fall", func(i int) float64 { return 100 - float64(i)/10 }, false},
		{"a leak of 20 in half an hour", func(i int) float64 { return 60 + 20*float64(i)/360 }, true},
		{"a leak below a saw", func(i int) float64 { return 60 + 20*float64(i)/360 + float64(i%50)/2 }, true},
	} {
		s := series{name: tt.name, slack: 4, samples: line(tt.at)}
		if got := s.judge(); got.growing != tt.want {
			t.Errorf("%s: growing = %v, want %v; quarters %v", tt.name, got.growing, tt.want, got.quarters)
		}
		if got := s.row(); strings.Contains(got, "GROWING") != tt.want {
			t.Errorf("%s: the report says %q", tt.name, got)
		}
	}
}
