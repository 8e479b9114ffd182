package main

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestTableTellsWhereAPeerIsAhead(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	tab := table{servers: []string{"cubegate", "One", "Two"}}
	tab.add(line{measurement: "verify", at: "1 connection", unit: "answers a second", better: higher, values: []float64{6677, 2784, 600}, notes: []string{"", "3 failed"}})
	tab.add(line{measurement: "refresh", at: "1 connection", unit: "answers a second", better: higher, values: []float64{1342, 3713, 138}})
	tab.add(line{measurement: "memory", at: "idle", unit: "MiB", better: lower, values: []float64{42, 20, nan}})
	tab.add(line{measurement: "hello", at: "1 connection", unit: "CPU ms an answer", better: lower, values: []float64{0.17, nan, nan}})
	tab.add(line{measurement: "hello", at: "1 connection", unit: "CPU s / wall s", texts: []string{"0.9 / 1"}})
	var out bytes.Buffer
	tab.print(&out)
	for _, want := range []string{
		"| measurement | at | unit | cubegate | One | Two | cubegate beside it |\n| --- | --- | --- | ---: | ---: | ---: | --- |\n",
		"| verify | 1 connection | answers a second | 6,677 | 2,784 (3 failed) | 600 | 2.4× of One |\n",
		"| refresh | 1 connection | answers a second | 1,342 | 3,713 | 138 | 0.36× of One: behind |\n",
		"| memory | idle | MiB | 42.0 | 20.0 | — | 0.48× of One: behind |\n",
		"| hello | 1 connection | CPU ms an answer | 0.170 | — | — | no peer has it |\n",
		"| hello | 1 connection | CPU s / wall s | 0.9 / 1 | — | — |  |\n",
		"A peer is ahead in 2 lines:\n\n- refresh, 1 connection, answers a second: 0.36× of One: behind\n- memory, idle, MiB: 0.48× of One: behind\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, out.String())
		}
	}
}

// Of several rounds, those count in which other processes used the least of the machine.
func TestNoisyHalfIsLeftOut(t *testing.T) {
	t.Parallel()
	at := func(answers int, foreign float64) sample {
		return sample{wall: time.Second, cpu: time.Second, answers: answers, foreign: foreign}
	}
	r := row{samples: []sample{at(10, 0.9), at(100, 0.1), at(300, 0.2), at(0, 0), at(20, 0.8), at(200, 0.15)}}
	if got := r.of(sample.rate); got != 200 {
		t.Errorf("rate = %v, want the median of 100, 200 and 300", got)
	}
	if got := r.of(sample.cpuMillis); got != 5 {
		t.Errorf("CPU = %v ms, want 5", got)
	}
	if got := (row{}).of(sample.rate); !math.IsNaN(got) {
		t.Errorf("without samples: %v", got)
	}
}

func TestFlagsAreChecked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, want string }{
		{"", ""},
		{"-connections 1,8,64 -users 1000,500000 -rounds 5 -for 2s", ""},
		{"-connections 64,1", "-connections must be ascending"},
		{"-connections 0", "-connections must be ascending"},
		{"-users 2000000", "-users must be ascending numbers from 1 to 1000000"},
		{"-for 1h -rounds 0", "-for must be 20ms to 1m\n-rounds must be 1 to 50"},
		{"-only refresh", ""},
		{"-only nosuch", `-only: no row has "nosuch" in its name: the rows are health; hello;`},
		{"soaks", `unknown mode "soaks": want connections, crowds, restart, soak or timing`},
	} {
		_, err := parse(strings.Fields(tt.args))
		if err == nil {
			err = errors.New("")
		}
		if (err.Error() == "") != (tt.want == "") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.args, err, tt.want)
		}
	}
}

// A mode refuses what it does not know or cannot do, before it starts anything.
func TestModesRefuseOtherArguments(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"connections 100": "connections takes flags only", "crowds -for 1s 50": "crowds takes flags only", "restart now": "restart takes flags only",
		"soak 1h": "soak takes flags only", "timing x": "timing takes flags only",
		"crowds -attackers 0": "-attackers", "crowds -attackers 1001": "-attackers", "crowds -for 2m": "-for", "crowds -rush 2001": "-rush", "crowds -memory -1": "-memory",
		"timing -users 0": "-users", "timing -tries 0": "-tries", "timing -bcrypt NaN": "-bcrypt", "timing -bcrypt 1.1": "-bcrypt",
	} {
		mode, flags, _ := strings.Cut(line, " ")
		if err := run(t.Context(), append([]string{mode, "-server", "/nonexistent/server"}, strings.Fields(flags)...)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("bench %s: %v, want %q", line, err, want)
		}
	}
}

func TestNumbersAreReadable(t *testing.T) {
	t.Parallel()
	for value, want := range map[float64]string{0: "0", 0.1234: "0.123", 1.236: "1.24", 42.04: "42.0", 999.6: "1,000", 1234567: "1,234,567", -1234: "-1,234", 143: "143"} {
		if got := number(value); got != want {
			t.Errorf("number(%v) = %s, want %s", value, got, want)
		}
	}
}
