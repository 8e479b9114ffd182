package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cubegate/connectycube"
)

// The check goes on until ConnectyCube accepts the settings, at most a minute apart. The
// log has one line for each change.
func TestCubeCheckAsksUntilAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := fmt.Errorf("checking: %w", connectycube.ErrUnavailable)
		wrong := &connectycube.WrongOptionError{Option: connectycube.OptionAuthKey, Reason: "refused", Cause: errors.New("status 401")}
		answers := []error{away, away, wrong, wrong, wrong, wrong, wrong, wrong, wrong, wrong, nil}
		var log bytes.Buffer
		var asked []time.Time
		c := &cubeCheck{log: slog.New(slog.NewTextHandler(&log, nil)), check: func(context.Context) error {
			asked = append(asked, time.Now())
			return answers[len(asked)-1]
		}}
		if setting, accepted := c.ask(t.Context()); setting != "" || accepted {
			t.Errorf("while ConnectyCube is away: setting %q, accepted %t", setting, accepted)
		}
		c.run(t.Context())
		if len(asked) != len(answers) {
			t.Fatalf("asked %d times, want %d", len(asked), len(answers))
		}
		for i := range asked[1:] {
			if wait := asked[i+1].Sub(asked[i]); wait < time.Second/2 || wait > maxCheckInterval {
				t.Errorf("%v between two checks", wait)
			}
		}
		var lines []string
		for line := range strings.Lines(log.String()) {
			_, line, _ = strings.Cut(line, "level=")
			lines = append(lines, strings.TrimSpace(line))
		}
		want := []string{"WARN msg=\"ConnectyCube does not tell yet", "ERROR msg=\"ConnectyCube does not accept a setting; registrations are refused\" setting=AUTH_KEY reason=refused", "INFO msg=\"ConnectyCube accepts the settings\""}
		if len(lines) != len(want) {
			t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), log.String())
		}
		for i, line := range lines {
			if !strings.HasPrefix(line, want[i]) {
				t.Errorf("line %d is %q, want %q", i, line, want[i])
			}
		}
	})
}

func TestCubeCheckEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := &cubeCheck{log: slog.New(slog.DiscardHandler), check: func(context.Context) error { return connectycube.ErrUnavailable }}
		ended := make(chan struct{})
		go func() { c.run(ctx); close(ended) }()
		time.Sleep(time.Hour)
		cancel()
		<-ended
	})
}

// Each option has a setting, whose name the log shows.
func TestEachOptionHasASetting(t *testing.T) {
	for _, o := range []connectycube.Option{connectycube.OptionAppID, connectycube.OptionAuthKey, connectycube.OptionBaseURL} {
		if settingOf[o] == "" {
			t.Errorf("%s has no setting", o)
		}
	}
}
