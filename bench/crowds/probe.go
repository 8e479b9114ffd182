package crowds

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// probed is the result of a probe.
type probed struct {
	p50, p99     float64 // ms
	sent, failed int
}

// verifyFor sends a valid token to the verify route for a time, as ConnectyCube does. It
// uses a process with a higher priority, so that the times depend on the server and not on
// the load beside it.
func verifyFor(ctx context.Context, s *server, u user, during time.Duration) (probed, error) {
	line := []string{os.Args[0], ProbeMode, s.URL + "/auth/verify-connectycube?token=" + u.token, during.String()}
	if os.Geteuid() == 0 {
		line = append([]string{"nice", "-n", "-10"}, line...)
	}
	out, err := exec.CommandContext(ctx, line[0], line[1:]...).Output()
	if err != nil {
		return probed{}, fmt.Errorf("probing: %w", err)
	}
	var r probed
	_, err = fmt.Sscan(string(out), &r.p50, &r.p99, &r.sent, &r.failed)
	return r, err
}

// ProbeMode is the mode in which the bench runs itself as a probe.
const ProbeMode = "probe"

// RunProbe requests a URL for a time, one request after the other, and prints a probed.
func RunProbe(_ context.Context, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("mode %s is for the bench itself: want a URL and a time", ProbeMode)
	}
	url := args[0]
	during, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
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
	fmt.Println(ms(t.percentile(50)), ms(t.percentile(99)), t.total(), t.total()-t.byStatus()[http.StatusOK])
	return nil
}
