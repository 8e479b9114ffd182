package main

import (
	"fmt"
	"math"
	"slices"
	"time"

	"cubegate/bench/benchserver"
	"cubegate/bench/load"
)

// sample is what one run of a row has measured.
type sample struct {
	wall, cpu time.Duration // cpu: of the server, until it was idle again
	answers   int
	failed    int
	first     error   // of the failures
	p50, p99  float64 // ms
	foreign   float64 // cores that other processes used meanwhile
	settled   bool
}

func (s sample) rate() float64      { return float64(s.answers) / s.wall.Seconds() }
func (s sample) cpuMillis() float64 { return ms(s.cpu) / float64(s.answers) }

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// run measures a request on a target with a number of connections.
func (t *target) run(r load.Request, connections int, during time.Duration) (s sample, err error) {
	before, err := t.process.Usage()
	if err != nil {
		return s, err
	}
	machine, err := benchserver.MachineCPU()
	if err != nil {
		return s, err
	}
	own := benchserver.OwnCPU()
	result := load.Run(t.clients[:connections], r, during)
	ended, err := t.process.Usage()
	if err != nil {
		return s, fmt.Errorf("%s has ended: %w", t.spec.Name, err)
	}
	machineEnd, err := benchserver.MachineCPU()
	if err != nil {
		return s, err
	}
	others := machineEnd - machine - (ended.CPU - before.CPU) - (benchserver.OwnCPU() - own)
	settled := t.process.Settle(settleLimit)
	after, err := t.process.Usage()
	return sample{
		wall: result.Wall, cpu: after.CPU - before.CPU, answers: len(result.Took), failed: result.Failed, first: result.First,
		p50: ms(result.Percentile(50)), p99: ms(result.Percentile(99)), settled: settled,
		foreign: max(0, others.Seconds()/result.Wall.Seconds()),
	}, err
}

// row is the result of all rounds of a request on a target.
type row struct {
	name        string
	connections int
	target      string
	samples     []sample
}

// quiet returns the half of the samples, rounded up, in which other processes used the
// least of the machine. Samples without an answer do not count.
func (r row) quiet() []sample {
	list := slices.DeleteFunc(slices.Clone(r.samples), func(s sample) bool { return s.answers == 0 })
	slices.SortStableFunc(list, func(a, b sample) int {
		switch {
		case a.foreign < b.foreign:
			return -1
		case a.foreign > b.foreign:
			return 1
		}
		return 0
	})
	return list[:(len(list)+1)/2]
}

// of returns the median of a figure over the quiet samples, NaN without one.
func (r row) of(figure func(sample) float64) float64 {
	var values []float64
	for _, s := range r.quiet() {
		values = append(values, figure(s))
	}
	return median(values)
}

// median returns NaN for no values.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// failures returns the number of failed requests, and the first error.
func (r row) failures() (n int, first error) {
	for _, s := range r.samples {
		n += s.failed
		if first == nil {
			first = s.first
		}
	}
	return n, first
}
