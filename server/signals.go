package server

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// signalStatus is added to the number of a signal to get the exit status of a process that
// it ends, as shells do.
const signalStatus = 128

// sameStop is the time after the first signal in which further ones are the same request to
// stop. timeout(1) signals the process and then its group, and a wrapper such as npm passes a
// Ctrl-C on that the terminal has sent to all of them.
const sameStop = 50 * time.Millisecond

// WithSignals returns a context that the first SIGINT or SIGTERM ends, after sameStop. A
// later one ends the process at once, with the status 130 or 143. The returned function stops that.
func WithSignals(ctx context.Context, stderr io.Writer) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	received := make(chan os.Signal, 2)
	signal.Notify(received, syscall.SIGINT, syscall.SIGTERM)
	stopped := make(chan struct{})
	go func() {
		s, ok := secondStop(received, stopped, cancel)
		if !ok {
			return
		}
		fmt.Fprintln(stderr, "cubegate: ended at once by a second signal; what was running is cut off")
		status := signalStatus
		if number, ok := s.(syscall.Signal); ok {
			status += int(number)
		}
		os.Exit(status)
	}()
	return ctx, func() {
		signal.Stop(received)
		close(stopped)
		cancel()
	}
}

// secondStop calls stop after the first signal and sameStop, and returns the next signal after
// that. ok is false if stopped is closed before.
func secondStop(signals <-chan os.Signal, stopped <-chan struct{}, stop func()) (second os.Signal, ok bool) {
	select {
	case <-stopped:
		return nil, false
	case <-signals:
	}
	time.Sleep(sameStop)
	discard(signals) // also those of a process that could not run during sameStop
	stop()
	select {
	case <-stopped:
		return nil, false
	case second = <-signals:
		return second, true
	}
}

// discard removes the signals that have arrived.
func discard(signals <-chan os.Signal) {
	for {
		select {
		case <-signals:
		default:
			return
		}
	}
}
