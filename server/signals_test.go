package server

import (
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A wrapper that sends its signal to the process and to its group, as timeout(1) does, asks for
// one stop; a later signal is the second one.
func TestSignalsOfAWrapperAreOneStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stops atomic.Int32
		signals, second := make(chan os.Signal, 2), make(chan os.Signal)
		go func() {
			s, _ := secondStop(signals, nil, func() { stops.Add(1) })
			second <- s
		}()
		signals <- syscall.SIGTERM
		time.Sleep(sameStop - 1)
		signals <- syscall.SIGINT
		signals <- syscall.SIGTERM
		if synctest.Wait(); stops.Load() != 0 {
			t.Error("the stop does not wait for the signals of a wrapper")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		select {
		case s := <-second:
			t.Errorf("%v of the wrapper is a second stop", s)
		default:
		}
		if n := stops.Load(); n != 1 {
			t.Errorf("%d stops, want 1", n)
		}
		signals <- syscall.SIGINT
		if s := <-second; s != syscall.SIGINT {
			t.Errorf("the second signal is %v, want SIGINT", s)
		}
	})
}

func TestSignalsAreNoLongerAwaitedAfterTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals, stopped := make(chan os.Signal, 2), make(chan struct{})
		ended := make(chan bool)
		go func() {
			_, ok := secondStop(signals, stopped, func() {})
			ended <- ok
		}()
		signals <- syscall.SIGTERM
		time.Sleep(sameStop)
		close(stopped)
		if <-ended {
			t.Error("a second signal without one")
		}
	})
}
