package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// probed is what a probe saw, in milliseconds.
type probed struct {
	p50, p99      float64
	asked, failed int
}

// verifyFor asks the verify route about a good token for a time, as
// ConnectyCube does. A process of its own asks, ahead of others, so that the
// times are the server's and not those of the load beside it.
func verifyFor(ctx context.Context, s *server, p person, during time.Duration) (probed, error) {
	line := []string{os.Args[0], "-probe", s.url + "/auth/verify-connectycube?token=" + p.token, "-for", during.String()}
	if os.Geteuid() == 0 {
		line = append([]string{"nice", "-n", "-10"}, line...)
	}
	out, err := exec.CommandContext(ctx, line[0], line[1:]...).Output()
	if err != nil {
		return probed{}, fmt.Errorf("probing: %w", err)
	}
	var r probed
	_, err = fmt.Sscan(string(out), &r.p50, &r.p99, &r.asked, &r.failed)
	return r, err
}

// probe asks a URL, one request after the other, and prints what it saw.
func probe(url string, during time.Duration) {
	var t tally
	client := &http.Client{Timeout: 10 * time.Second}
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		began := time.Now()
		status := 0
		if response, err := client.Get(url); err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
			status = response.StatusCode
		}
		t.add(status, time.Since(began))
	}
	fmt.Println(ms(t.at(50)), ms(t.at(99)), t.total(), t.total()-t.byStatus()[http.StatusOK])
}
