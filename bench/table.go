package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// better tells which of two values is ahead.
type better int

const (
	neither better = iota
	higher
	lower
)

// line is a line of the table: a figure of each target, of which the first is cubegate.
type line struct {
	measurement string
	at          string // connections, or another condition
	unit        string
	better      better
	values      []float64 // NaN = not measured
	texts       []string  // instead of values
	notes       []string  // after each value, if any
	beside      string    // instead of the comparison with the peers
}

type table struct {
	servers  []string
	lines    []line
	helloCPU map[int]float64 // CPU ms of the row hello, by connections
}

func (t *table) add(l line) { t.lines = append(t.lines, l) }

// single adds a figure of cubegate alone.
func (t *table) single(l line, value float64) {
	l.values = []float64{value}
	t.add(l)
}

// print writes the table in Markdown, and below it the lines in which a peer is ahead.
func (t *table) print(w io.Writer) {
	fmt.Fprintf(w, "| measurement | at | unit | %s | cubegate beside it |\n", strings.Join(t.servers, " | "))
	fmt.Fprintf(w, "| --- | --- | --- |%s --- |\n", strings.Repeat(" ---: |", len(t.servers)))
	var behind []string
	for _, l := range t.lines {
		cells := make([]string, len(t.servers))
		for i := range cells {
			cells[i] = l.cell(i)
		}
		beside, isBehind := l.compare(t.servers)
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", l.measurement, l.at, l.unit, strings.Join(cells, " | "), beside)
		if isBehind {
			behind = append(behind, fmt.Sprintf("- %s, %s, %s: %s", l.measurement, l.at, l.unit, beside))
		}
	}
	if len(t.servers) < 2 {
		return
	}
	fmt.Fprintln(w)
	if len(behind) == 0 {
		fmt.Fprintln(w, "cubegate is ahead of each peer in each line.")
		return
	}
	fmt.Fprintf(w, "A peer is ahead in %d lines:\n\n%s\n", len(behind), strings.Join(behind, "\n"))
}

func (l line) cell(i int) string {
	text := "—"
	switch {
	case i < len(l.texts) && l.texts[i] != "":
		text = l.texts[i]
	case i < len(l.values) && !math.IsNaN(l.values[i]):
		text = number(l.values[i])
	}
	if i < len(l.notes) && l.notes[i] != "" {
		text += " (" + l.notes[i] + ")"
	}
	return text
}

// compare returns the ratio of cubegate to the best peer: above 1 means ahead.
func (l line) compare(servers []string) (text string, behind bool) {
	if l.beside != "" || l.better == neither || len(l.values) < 2 || math.IsNaN(l.values[0]) {
		return l.beside, false
	}
	best, worstRatio := "", math.Inf(1)
	for i, v := range l.values[1:] {
		ratio := l.values[0] / v
		if l.better == lower {
			ratio = v / l.values[0]
		}
		if !math.IsNaN(ratio) && ratio < worstRatio {
			best, worstRatio = servers[i+1], ratio
		}
	}
	switch {
	case best == "":
		return "no peer has it", false
	case worstRatio < 1:
		return fmt.Sprintf("%.2f× of %s: behind", worstRatio, best), true
	}
	return fmt.Sprintf("%.1f× of %s", worstRatio, best), false
}

// number writes a value with three digits or more, and thousands between commas.
func number(v float64) string {
	switch size := math.Abs(v); {
	case size == 0:
		return "0"
	case size < 1:
		return strconv.FormatFloat(v, 'f', 3, 64)
	case size < 10:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case size < 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	digits := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func connectionsText(n int) string {
	if n == 1 {
		return "1 connection"
	}
	return strconv.Itoa(n) + " connections"
}

// addRow adds the lines of a request at a number of connections: one result for each target.
func (t *table) addRow(results []row) {
	base := line{measurement: results[0].name, at: connectionsText(results[0].connections)}
	rate, cpu, times, spent := base, base, base, base
	rate.unit, rate.better = "answers a second", higher
	cpu.unit, cpu.better = "CPU ms an answer", lower
	times.unit, spent.unit = "median / p99 ms", "CPU s / wall s"
	if hello := t.helloCPU[results[0].connections]; hello > 0 && len(results) == 1 {
		cpu.beside = fmt.Sprintf("%.1f× of hello", results[0].of(sample.cpuMillis)/hello)
	}
	for _, r := range results {
		rate.values = append(rate.values, r.of(sample.rate))
		cpu.values = append(cpu.values, r.of(sample.cpuMillis))
		note := ""
		if n, _ := r.failures(); n > 0 {
			note = strconv.Itoa(n) + " failed"
		}
		rate.notes = append(rate.notes, note)
		pair := func(a, b func(sample) float64) string {
			if len(r.quiet()) == 0 {
				return ""
			}
			return number(r.of(a)) + " / " + number(r.of(b))
		}
		times.texts = append(times.texts, pair(func(s sample) float64 { return s.p50 }, func(s sample) float64 { return s.p99 }))
		spent.texts = append(spent.texts, pair(func(s sample) float64 { return s.cpu.Seconds() }, func(s sample) float64 { return s.wall.Seconds() }))
	}
	for _, l := range []line{rate, cpu, times, spent} {
		t.add(l)
	}
}

// printPromises writes what the answers of each server promise, by row.
func printPromises(w io.Writer, targets []*target) {
	fmt.Fprintln(w, "\nWhat an answer promises:")
	fmt.Fprintln(w)
	for _, name := range slices.Sorted(maps.Keys(targets[0].spec.Rows)) {
		for _, t := range targets {
			if promise := t.spec.Promises[name]; promise != "" {
				fmt.Fprintf(w, "- %s, %s: %s.\n", name, t.spec.Name, promise)
			}
		}
	}
}
