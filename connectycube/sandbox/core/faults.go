package core

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// What a Fault is On.
const (
	OnREST = "rest"
	OnChat = "chat"
)

// The kinds of Fault. A fault on chat happens to a stanza that a user sends;
// for sockets that are to go wrong at once see Drop and HalfOpen.
const (
	FaultStatus     = "status"      // REST: answers with Status and a body of the usual shape; no work is done
	FaultHang       = "hang"        // REST: answers never, until the caller leaves or a minute has passed; no work is done
	FaultReset      = "reset"       // REST: cuts the connection; no work is done
	FaultLostAnswer = "lost-answer" // does the work, then cuts the connection
	FaultSlow       = "slow"        // REST: waits for Delay, then does everything as usual
	FaultEmpty      = "empty"       // REST: answers 200, or Status, without a body; no work is done
	FaultHTML       = "html"        // REST: answers 502, or Status, with a page for people; no work is done
	FaultTruncated  = "truncated"   // REST: does the work, then sends half of the answer and cuts the connection
	FaultDuplicate  = "duplicate"   // does the work twice, as a proxy that repeats would; a stanza arrives twice

	FaultDrop     = "drop"      // chat: the socket is cut; the stanza is not handled
	FaultHalfOpen = "half-open" // chat: the socket stays open and says nothing more
	FaultDelay    = "delay"     // chat: the stanza, and all that come after it, wait for Delay
	FaultRefuse   = "refuse"    // chat: the stanza is answered with an error
)

var faultKinds = map[string][]string{
	OnREST: {FaultStatus, FaultHang, FaultReset, FaultLostAnswer, FaultSlow, FaultEmpty, FaultHTML, FaultTruncated, FaultDuplicate},
	OnChat: {FaultDrop, FaultHalfOpen, FaultDelay, FaultDuplicate, FaultLostAnswer, FaultRefuse},
}

const (
	maxFaults = 100
	MaxDelay  = time.Minute
)

// Fault is something that goes wrong on purpose. Faults are tried in the order
// they were added; the first that matches, and that its dice let happen, does.
type Fault struct {
	On     string        // OnREST (default) or OnChat
	Kind   string        // one of the kinds above
	Method string        // REST: "" or "*": any
	Path   string        // REST: without .json, any case, may end in *; "" or "*": any
	Status int           // of status (required), empty (2xx) and html; ignored by the other kinds on REST
	User   int64         // chat: who sends the stanza; 0: anybody
	Stanza string        // chat: message, presence or iq; "": any
	Delay  time.Duration // before anything else happens, at most a minute; required for slow and delay
	Times  int           // how often it happens; 0: until cleared

	// Probability is how likely it happens to what it matches, from above 0 to
	// 1; 0 means 1. The same Seed throws the same dice, so what arrives in the
	// same order fares the same.
	Probability float64
	Seed        uint64
}

type armedFault struct {
	Fault
	left int // meaningful when Times > 0
	dice *rand.Rand
}

func (f Fault) validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("fault: "+format, args...)) }
	kinds := faultKinds[f.Target()]
	switch {
	case kinds == nil:
		wrong("on must be %s or %s", OnREST, OnChat)
	case !slices.Contains(kinds, f.Kind):
		wrong("kind on %s must be %s", f.Target(), strings.Join(kinds, ", "))
	}
	if text := f.wrongStatus(); text != "" {
		wrong("%s", text)
	}
	if f.Delay < 0 || f.Delay > MaxDelay || (f.Kind == FaultSlow || f.Kind == FaultDelay) && f.Delay == 0 {
		wrong("delay must be at most %s, and more than 0 for slow and delay", MaxDelay)
	}
	if f.Times < 0 {
		wrong("times must not be negative")
	}
	if !(f.Probability >= 0 && f.Probability <= 1) { // NaN is neither
		wrong("probability must be 0 to 1")
	}
	return errors.Join(append(errs, f.wrongTarget()...)...)
}

// Target is On, or its default.
func (f Fault) Target() string { return cmp.Or(f.On, OnREST) }

func (f Fault) wrongStatus() string {
	highest := 0
	switch f.Kind {
	case FaultStatus, FaultHTML:
		highest = 599
	case FaultEmpty:
		highest = 299
	}
	optional := f.Status == 0 && f.Kind != FaultStatus
	if highest > 0 && !optional && (f.Status < 200 || f.Status > highest) {
		return fmt.Sprintf("status of kind %q must be 200 to %d", f.Kind, highest)
	}
	return ""
}

// wrongTarget says what is wrong with the words that choose who is met.
func (f Fault) wrongTarget() (errs []error) {
	if f.Target() == OnChat {
		if f.Method != "" || f.Path != "" || f.Status != 0 {
			errs = append(errs, errors.New("fault: method, path and status are for rest"))
		}
		if f.Stanza != "" && f.Stanza != "message" && f.Stanza != "presence" && f.Stanza != "iq" {
			errs = append(errs, errors.New("fault: stanza must be message, presence or iq"))
		}
		if f.User < 0 {
			errs = append(errs, errors.New("fault: user must not be negative"))
		}
		return errs
	}
	if f.User != 0 || f.Stanza != "" {
		errs = append(errs, errors.New("fault: user and stanza are for chat"))
	}
	if f.Path != "" && f.Path != "*" && f.Path[0] != '/' {
		errs = append(errs, errors.New("fault: path must begin with / or be *"))
	}
	if len(f.Method) > 20 || len(f.Path) > 500 {
		errs = append(errs, errors.New("fault: method or path is too long"))
	}
	return errs
}

// AddFault arms a fault. The error says everything that is wrong with it, or
// that a hundred are armed already.
func (s *Application) AddFault(f Fault) error {
	if err := f.validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) >= maxFaults {
		return errTooManyFaults
	}
	s.faults = append(s.faults, f.arm())
	return nil
}

// SetFaults arms these instead of all others. The error says everything that is
// wrong with them; then nothing changes.
func (s *Application) SetFaults(faults ...Fault) error {
	if len(faults) > maxFaults {
		return errTooManyFaults
	}
	var errs []error
	var armed []*armedFault
	for _, f := range faults {
		errs = append(errs, f.validate())
		armed = append(armed, f.arm())
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = armed
	return nil
}

var errTooManyFaults = fmt.Errorf("fault: %d can be armed at most", maxFaults)

func (f Fault) arm() *armedFault {
	return &armedFault{f, f.Times, rand.New(rand.NewPCG(f.Seed, 0))}
}

// ClearFaults disarms all faults. Requests they hold are not let go, and sockets
// that are half open stay so.
func (s *Application) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Faults lists what is armed; Times is how often it will still happen.
func (s *Application) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Fault, len(s.faults))
	for i, f := range s.faults {
		list[i] = f.Fault
		list[i].Times = f.left
	}
	return list
}

// TakeFault finds the fault that happens now and counts it.
func (s *Application) TakeFault(meets func(Fault) bool) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if !meets(f.Fault) || f.Probability > 0 && f.dice.Float64() >= f.Probability {
			continue
		}
		if f.Times > 0 {
			if f.left--; f.left == 0 {
				s.faults = slices.Delete(s.faults, i, i+1)
			}
		}
		return f.Fault, true
	}
	return Fault{}, false
}
