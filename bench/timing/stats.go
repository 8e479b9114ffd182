package timing

import (
	"cmp"
	"math"
	"slices"
)

func quantile(samples []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// mannWhitney returns the z of the Mann-Whitney U test. It is positive if the values of
// x tend to be larger. The normal approximation holds from about 20 samples on. Equal
// values share their mean rank.
func mannWhitney(x, y []float64) float64 {
	type sample struct {
		value float64
		ofX   bool
	}
	var all []sample
	for _, v := range x {
		all = append(all, sample{v, true})
	}
	for _, v := range y {
		all = append(all, sample{v, false})
	}
	slices.SortFunc(all, func(a, b sample) int { return cmp.Compare(a.value, b.value) })
	ranks, ties := 0.0, 0.0 // sum of the ranks of x; sum of t³-t over groups of t equal values
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].value == all[i].value {
			j++
		}
		for _, s := range all[i:j] {
			if s.ofX {
				ranks += float64(i+j+1) / 2
			}
		}
		t := float64(j - i)
		ties += t*t*t - t
		i = j
	}
	m, n := float64(len(x)), float64(len(y))
	u := ranks - m*(m+1)/2
	deviation := math.Sqrt(m * n / 12 * (m + n + 1 - ties/((m+n)*(m+n-1))))
	return (u - m*n/2) / deviation
}
