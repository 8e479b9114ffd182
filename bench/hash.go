package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"time"

	"cubegate/bench/benchserver"

	"golang.org/x/crypto/argon2"
)

// hashMode runs this program as a process that only hashes, on the server's core.
const hashMode = "hash"

// hashRate is what the bare hash costs.
type hashRate struct {
	perSecond float64
	cpu       float64 // ms
}

// The server's default: see password in config.yaml.
const (
	hashMemory = 19456 // KiB
	hashPasses = 2
	hashLanes  = 1
	hashBytes  = 32
)

// runHashes prints the number of hashes in a time, and the CPU time of one in ms.
func runHashes(_ context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("mode %s is for the bench itself: want a time", hashMode)
	}
	during, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	began, cpu, n := time.Now(), benchserver.OwnCPU(), 0
	for ; n == 0 || time.Since(began) < during; n++ {
		argon2.IDKey([]byte("correct horse"), []byte("sixteen bytes ok"), hashPasses, hashMemory, hashLanes, hashBytes)
	}
	fmt.Println(float64(n)/time.Since(began).Seconds(), ms(benchserver.OwnCPU()-cpu)/float64(n))
	return nil
}

// hashesFor measures the bare hash on the core of the servers, which are idle meanwhile.
func (b *bench) hashesFor(ctx context.Context, during time.Duration) (rate hashRate, err error) {
	line := benchserver.On(b.stack.Cores.Server, os.Args[0], hashMode, during.String())
	out, err := exec.CommandContext(ctx, line[0], line[1:]...).Output()
	if err != nil {
		return rate, fmt.Errorf("measuring the bare hash: %w", err)
	}
	_, err = fmt.Sscan(string(out), &rate.perSecond, &rate.cpu)
	return rate, err
}

// measureSpread measures logins while the server may use both cores. Its hashes use one of
// them at a time; the load, the sandbox and the rest of the server share the other.
func (b *bench) measureSpread() (err error) {
	t, cores := b.targets[0], b.stack.Cores
	if cores.Server == "" || !strings.Contains("login", b.only) {
		return nil
	}
	b.spread.name, b.spread.connections = "login", b.connections[len(b.connections)-1]
	if err := t.process.Move(cores.Server + "," + cores.Load); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.process.Move(cores.Server)) }()
	return b.measureRow(&b.spread, t)
}

// addGoodput adds the lines that compare a login with its hash.
func (b *bench) addGoodput() {
	var rates, costs []float64
	for _, h := range b.hashes {
		rates, costs = append(rates, h.perSecond), append(costs, h.cpu)
	}
	bare := line{measurement: "argon2id alone", at: "1 process"}
	bare.unit = "hashes a second"
	b.table.single(bare, median(rates))
	bare.unit = "CPU ms a hash"
	b.table.single(bare, median(costs))
	for _, r := range b.rows {
		if r.name != "login" || r.target != b.targets[0].spec.Name {
			continue
		}
		goodput := line{measurement: "login, goodput", at: connectionsText(r.connections), unit: "% of the rate of argon2id alone"}
		if value := 100 * r.of(sample.rate) / median(rates); !math.IsNaN(value) {
			b.table.single(goodput, value)
			goodput.unit = "% of argon2id alone, by CPU time"
			b.table.single(goodput, 100*median(costs)/r.of(sample.cpuMillis))
		}
	}
	if value := 100 * b.spread.of(sample.rate) / median(rates); !math.IsNaN(value) {
		b.table.single(line{measurement: "login, goodput", at: connectionsText(b.spread.connections) + ", both cores", unit: "% of the rate of argon2id alone"}, value)
	}
}
