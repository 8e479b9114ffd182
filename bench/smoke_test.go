package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cubegate/bench/benchserver"
	"cubegate/bench/load"
	"cubegate/bench/peers"
)

// Each row of the table has the answers that its file wants, from this module's server and
// from a peer; here the peer is the server again, which runs already.
func TestEachRowIsMeasured(t *testing.T) {
	folder := t.TempDir()
	binary, err := benchserver.Build(folder)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{settings: settings{during: minDuration, rounds: 1, connections: []int{1, 2}, short: true}, stack: benchserver.Stack{Folder: folder, Binary: binary}}
	defer func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	}()
	if err := b.startAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	peer := *b.targets[0].spec
	peer.Name, peer.Start, peer.Once = "the peer", nil, nil
	b.targets = append(b.targets, &target{spec: &peer, folder: folder, isPeer: true})
	if _, err := b.targets[1].start(); err != nil {
		t.Fatal(err)
	}
	if b.targets[1].process != b.targets[0].process {
		t.Errorf("the process on the port is %d, want %d", b.targets[1].process, b.targets[0].process)
	}
	if b.targets[1].clients, err = peer.Clients(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if err := b.measureRows(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range b.rows {
		if n, first := r.failures(); n > 0 || len(r.samples) != 1 || r.samples[0].answers == 0 {
			t.Errorf("%s, %s at %d connections: %d failed, %v; %+v", r.target, r.name, r.connections, n, first, r.samples)
		}
	}
	if want := 2 * 2 * len(rowNames); len(b.rows) != want {
		t.Errorf("%d rows, want %d", len(b.rows), want)
	}
	if err := b.measureRest(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, l := range b.table.lines {
		if l.cell(0) == "—" {
			t.Errorf("%s, %s, %s was not measured", l.measurement, l.at, l.unit)
		}
	}
}

// Each file of a peer can be read, has no row that the table does not show, and says what
// its answers promise.
func TestPeerFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("peers/*.json")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		spec, err := load.Read(file)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		for name := range maps.Keys(spec.Rows) {
			if !slices.Contains(rowNames, name) {
				t.Errorf("%s: the table does not show the row %q", file, name)
			}
			if name != "health" && name != "hello" && spec.Promises[name] == "" && name != "login_By_token" {
				t.Errorf("%s: no promise for the row %q", file, name)
			}
		}
		if spec.About == "" {
			t.Errorf("%s: no line about how it is started", file)
		}
	}
	own, err := peers.Cubegate()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range rowNames {
		if _, ok := own.Rows[name]; !ok {
			t.Errorf("cubegate.json lacks the row %q", name)
		}
	}
}

func TestUnknownPeerIsAnError(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "peer.json")
	for text, want := range map[string]string{
		`{"name":"x","url":"http://192.0.2.1:80","rows":{"hello":{"path":"/"}}}`: "loopback",
		`{"name":"x","rows":{}}`:                                                                      "rows is empty",
		`{"rows":{"hello":{"path":"/"}}}`:                                                             "name is required",
		`{"name":"x","rows":{"hello":{"path":"hello"}}}`:                                              "path must begin with /",
		`{"name":"x","rows":{"hello":{"path":"/","take":{}}},"rowz":{}}`:                              "unknown field",
		`{"name":"x","rows":{"hello":{"path":"/","headers":{"A":"b\r\nC: d"}}}}`:                      "line break",
		`{"name":"x","start":["/bin/true"],"url":"http://127.0.0.1:1","rows":{"hello":{"path":"/"}}}`: "exclude each other",
		`{"name":"x","rows":{"hello":{"path":"/","status":1000}}}`:                                    "status must be",
		`{"name":"x","rows":{"hello":{"path":"/"}},"once":[{"path":"/","repeat":5000}]}`:              "repeat must be",
		`{"name":"x","rows":{"hello":{"path":"/"}}} {}`:                                               "after the JSON object",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := load.Read(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
