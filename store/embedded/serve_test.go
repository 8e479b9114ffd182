package embedded

import (
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
)

// TestServe is a server for other programs, such as mongocheck:
//
//	EMBEDDED_SERVE=127.0.0.1:27018 go test -run '^TestServe$' -timeout 0 ./store/embedded
//
// It ends at SIGTERM or SIGINT.
func TestServe(t *testing.T) {
	endpoint := os.Getenv("EMBEDDED_SERVE")
	if endpoint == "" {
		t.Skip("EMBEDDED_SERVE names no endpoint to serve at")
	}
	s, err := Start(Options{File: filepath.Join(t.TempDir(), "serve.db"), Listen: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("serving at %s", s.URI())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	<-stop
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
