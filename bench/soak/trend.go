package soak

import (
	"fmt"
	"math"
)

// series is a figure over the time of a soak.
type series struct {
	name    string
	unit    string
	slack   float64 // growth that no leak of half an hour would stay below
	samples []float64
}

// The judgment compares the means of quarters. The first quarter is left out: caches,
// pools and the heap reach their size in it. A leak grows in each of the other quarters and
// within the last one, which noise, a saw of garbage collections and a single step do not.
type judgment struct {
	quarters [4]float64 // means
	growing  bool
}

// share of its size by which a figure may grow from the second to the last quarter.
const share = 0.05

func (s series) judge() (j judgment) {
	for q := range j.quarters {
		j.quarters[q] = mean(s.samples[len(s.samples)*q/4 : len(s.samples)*(q+1)/4])
	}
	second, third, last := j.quarters[1], j.quarters[2], j.quarters[3]
	bound := max(share*second, s.slack)
	end := s.samples[len(s.samples)*3/4:]
	within := mean(end[len(end)/2:]) - mean(end[:len(end)/2])
	j.growing = last-second > bound && third-second > bound/4 && last-third > bound/4 && within > bound/16
	return j
}

func mean(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// row returns the line of the report.
func (s series) row() string {
	j := s.judge()
	verdict := "flat"
	if j.growing {
		verdict = "GROWING"
	}
	q := j.quarters
	return fmt.Sprintf("| %s | %.1f | %.1f | %.1f | %.1f | %s | %s |", s.name, q[0], q[1], q[2], q[3], s.unit, verdict)
}
