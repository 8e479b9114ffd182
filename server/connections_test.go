package server

import (
	"testing"
)

func TestDefaultConnections(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	tests := []struct {
		name          string
		memory, files int64
		listeners     int
		want          int
	}{
		{"no limit", 0, 0, 1, 10_000},
		{"no limit, with the sandbox", 0, 0, 2, 5_000},
		{"256 MiB", 256 * mib, 1 << 20, 1, 455},
		{"256 MiB, with the sandbox", 256 * mib, 1 << 20, 2, 227},
		{"64 GiB", 64 << 30, 1 << 20, 1, 10_000},
		{"few files", 64 << 30, 4096, 1, 2884},
		{"hardly anything", 8 * mib, 256, 2, 64},
	}
	for _, test := range tests {
		if got := defaultConnections(test.memory, test.files, test.listeners); got != test.want {
			t.Errorf("%s: %d connections, want %d", test.name, got, test.want)
		}
	}
}
