package timing

import (
	"math"
	"testing"
)

// The wanted values follow from the definition: U of x is the number of pairs in which x
// is larger. An equal pair counts half.
func TestMannWhitney(t *testing.T) {
	for _, tt := range []struct {
		name string
		x, y []float64
		want float64
	}{
		{"the same", []float64{1, 2, 3, 4}, []float64{1, 2, 3, 4}, 0},
		{"all larger", []float64{4, 5, 6}, []float64{1, 2, 3}, 4.5 / math.Sqrt(9.0/12*7)},
		{"all smaller", []float64{1, 2, 3}, []float64{4, 5, 6}, -4.5 / math.Sqrt(9.0/12*7)},
		{"two tie", []float64{2, 3}, []float64{1, 2}, 1.5 / math.Sqrt(4.0/12*(5-6.0/12))},
	} {
		if got := mannWhitney(tt.x, tt.y); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: z = %v, want %v", tt.name, got, tt.want)
		}
	}
}
