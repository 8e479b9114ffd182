package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"cubegate/bench/benchserver"
	"cubegate/bench/load"
	"cubegate/bench/peers"
)

// rowNames are the rows of the table in their order.
var rowNames = []string{"health", "hello", "verify", "me", "refresh", "refresh by REST", "login", "login_By_token", "register", "login, refused"}

// bench is one run.
type bench struct {
	settings
	stack   benchserver.Stack
	targets []*target // the first is cubegate
	rows    []row
	hashes  []hashRate
	spread  row // logins while the server may use both cores
	table   table
}

func (b *bench) run(ctx context.Context) (err error) {
	if b.stack.Binary, err = filepath.Abs(b.stack.Binary); err != nil {
		return err
	}
	if b.stack.Cores, err = benchserver.Pin(); err != nil {
		return err
	}
	steps := []func(context.Context) error{b.startAll, b.measureRows, b.measureRest}
	if !b.short {
		steps = append(steps, b.measureGrowth, b.measureFloods)
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
	}
	fmt.Print(b.head(), "\n\n")
	b.table.print(os.Stdout)
	printPromises(os.Stdout, b.targets)
	return nil
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }

// startAll starts the sandbox and all targets, and prepares their clients.
func (b *bench) startAll(ctx context.Context) error {
	if err := b.stack.StartSandbox(); err != nil {
		return err
	}
	spec, err := peers.Cubegate()
	if err != nil {
		return err
	}
	spec.Start, spec.Ready = []string{b.stack.Binary}, "/readyz"
	spec.Env = append(b.stack.Env(), "HOST=127.0.0.1", "PORT={{port}}", "DATA_DIR={{folder}}", "LOGIN_RETRY_EVERY=24h")
	if err := b.addTarget(spec, ""); err != nil {
		return err
	}
	for _, file := range b.peers {
		spec, err := load.Read(file)
		if err != nil {
			return err
		}
		if err := b.addTarget(spec, file); err != nil {
			return err
		}
	}
	times := 5
	if b.short {
		times = 1
	}
	for _, t := range b.targets {
		progress("starting %s", t.spec.Name)
		if err := t.startOften(times); err != nil {
			return err
		}
		b.table.servers = append(b.table.servers, t.spec.Name)
	}
	if err := b.stack.AskAt(b.targets[0].spec.URL); err != nil {
		return err
	}
	if err := b.measureIdle(ctx); err != nil {
		return err
	}
	return b.prepareClients(ctx)
}

// prepareClients makes the clients of all targets, with their users.
func (b *bench) prepareClients(ctx context.Context) (err error) {
	for _, t := range b.targets {
		progress("preparing the clients of %s", t.spec.Name)
		if t.clients, err = t.spec.Clients(ctx, b.connections[len(b.connections)-1]); err != nil {
			return fmt.Errorf("preparing the clients of %s: %w", t.spec.Name, err)
		}
	}
	return nil
}

func (b *bench) addTarget(spec *load.Spec, file string) error {
	folder, err := b.newFolder(fmt.Sprintf("target%d", len(b.targets)))
	if err != nil {
		return err
	}
	here, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return err
	}
	b.targets = append(b.targets, &target{spec: spec, folder: folder, here: here, core: b.stack.Cores.Server, isPeer: file != ""})
	return nil
}

// measureRows measures each row at each number of connections on each target in turn, and
// that again in each round.
func (b *bench) measureRows(ctx context.Context) error {
	b.planRows()
	for round := range b.rounds {
		progress("round %d of %d", round+1, b.rounds)
		rate, err := b.hashesFor(ctx, b.during)
		if err != nil {
			return err
		}
		b.hashes = append(b.hashes, rate)
		for i := range b.rows {
			if ctx.Err() != nil {
				return errors.New("interrupted")
			}
			if err := b.measureRow(&b.rows[i], b.targets[i%len(b.targets)]); err != nil {
				return err
			}
		}
		if err := b.measureSpread(); err != nil {
			return err
		}
	}
	return b.addRows()
}

// planRows lists the rows: the targets in turn, for each number of connections.
func (b *bench) planRows() {
	for _, name := range rowNames {
		if !strings.Contains(name, b.only) {
			continue
		}
		for _, n := range b.connections {
			for _, t := range b.targets {
				b.rows = append(b.rows, row{name: name, connections: n, target: t.spec.Name})
			}
		}
	}
}

func (b *bench) measureRow(r *row, t *target) error {
	request, ok := t.spec.Rows[r.name]
	if !ok {
		return nil
	}
	s, err := t.run(request, r.connections, b.during)
	if err != nil {
		return err
	}
	if !s.settled {
		progress("%s still works %v after %s at %d connections", t.spec.Name, settleLimit, r.name, r.connections)
	}
	r.samples = append(r.samples, s)
	return nil
}

// addRows adds the lines of the rows; a lone server's costs stand beside that of hello. A row without any good answer is an error: a
// benchmark of refusals would look fast.
func (b *bench) addRows() error {
	b.table.helloCPU = map[int]float64{}
	for i := 0; i < len(b.rows); i += len(b.targets) {
		results := b.rows[i : i+len(b.targets)]
		for _, r := range results {
			if n, first := r.failures(); first != nil {
				progress("%s: %s at %s: %d failed, the first with: %v", r.target, r.name, connectionsText(r.connections), n, first)
			}
			if len(r.samples) > 0 && len(r.quiet()) == 0 {
				_, first := r.failures()
				return fmt.Errorf("%s: no %s at %d connections had the wanted answer: %w", r.target, r.name, r.connections, first)
			}
		}
		if results[0].name == "hello" {
			b.table.helloCPU[results[0].connections] = results[0].of(sample.cpuMillis)
		}
		b.table.addRow(results)
	}
	return nil
}

// head returns the line that says where and what was measured.
func (b *bench) head() string {
	pinned := "server and load share the cores"
	if c := b.stack.Cores; c.Server != "" {
		pinned = "servers on core " + c.Server + ", load and sandbox on core " + c.Load
	}
	rounds := "one round"
	if b.rounds > 1 {
		rounds = strconv.Itoa(b.rounds) + " rounds"
	}
	text := fmt.Sprintf("%s; %s; %s; cubegate %s; embedded database, synced writes; %s; %s of %v, medians of the half with the least foreign load.",
		time.Now().UTC().Format("2006-01-02"), machine(), runtime.Version(), revision(), pinned, rounds, b.during)
	for _, t := range b.targets[1:] {
		text += " " + t.spec.Name + ": " + t.spec.About + "."
	}
	return text
}

// machine describes the processor and the memory.
func machine() string {
	model, memory := runtime.GOARCH, ""
	raw, _ := os.ReadFile("/proc/cpuinfo") // other systems have none
	for line := range strings.Lines(string(raw)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	raw, _ = os.ReadFile("/proc/meminfo")
	var kib int
	if _, err := fmt.Sscanf(string(raw), "MemTotal: %d kB", &kib); err == nil {
		memory = fmt.Sprintf(", %d GiB", (kib+1<<19)>>20)
	}
	return fmt.Sprintf("%s, %d cores%s, %s", model, runtime.NumCPU(), memory, runtime.GOOS)
}

// revision returns the commit of the working directory.
func revision() string {
	out, err := exec.Command("git", "rev-parse", "--short=10", "HEAD").Output()
	if err != nil {
		return "of an unknown revision"
	}
	text := strings.TrimSpace(string(out))
	if changed, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no").Output(); err != nil || len(changed) > 0 {
		text += " with changes"
	}
	return text
}

// close ends all that the bench has started.
func (b *bench) close() error {
	var errs []error
	for _, t := range b.targets {
		if err := t.stop(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", t.spec.Name, err))
		}
	}
	return errors.Join(append(errs, b.stack.Close())...)
}
