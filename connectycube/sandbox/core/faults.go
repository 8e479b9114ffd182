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

// The targets of a Fault.
const (
	OnREST = "rest"
	OnChat = "chat"
)

// The kinds of Fault. A fault on chat happens to a stanza that a user sends; to
// disturb sockets at once, use Drop and HalfOpen.
const (
	FaultStatus     = "status"      // REST: answers with Status and a body of the usual form; the request has no effect
	FaultHang       = "hang"        // REST: never answers, until the client leaves or a minute has passed; no effect
	FaultReset      = "reset"       // REST: cuts the connection; no effect
	FaultLostAnswer = "lost-answer" // handles the request or stanza, then cuts the connection
	FaultSlow       = "slow"        // REST: waits for Delay, then handles the request as usual
	FaultEmpty      = "empty"       // REST: answers 200, or Status, without a body; no effect
	FaultHTML       = "html"        // REST: answers 502, or Status, with an HTML page; no effect
	FaultTruncated  = "truncated"   // REST: handles the request, then sends half of the answer and cuts the connection
	FaultDuplicate  = "duplicate"   // handles the request twice, as after a proxy that repeats; a stanza arrives twice

	FaultDrop     = "drop"      // chat: cuts the socket; the stanza is not handled
	FaultHalfOpen = "half-open" // chat: keeps the socket open and sends nothing more
	FaultDelay    = "delay"     // chat: the stanza, and all later ones, wait for Delay
	FaultRefuse   = "refuse"    // chat: answers the stanza with an error
)

var faultKinds = map[string][]string{
	OnREST: {FaultStatus, FaultHang, FaultReset, FaultLostAnswer, FaultSlow, FaultEmpty, FaultHTML, FaultTruncated, FaultDuplicate},
	OnChat: {FaultDrop, FaultHalfOpen, FaultDelay, FaultDuplicate, FaultLostAnswer, FaultRefuse},
}

const (
	maxFaults = 100
	MaxDelay  = time.Minute
)

// Fault is a failure that the sandbox injects. The sandbox tries faults in the order
// in which they were added. The first one that matches, and that the random number
// allows, happens.
type Fault struct {
	On     string        // OnREST (default) or OnChat
	Kind   string        // one of the kinds above
	Method string        // REST: "" or "*": any
	Path   string        // REST: without .json, in any letter case, may end in *; "" or "*": any
	Status int           // for status (required), empty (2xx) and html; other kinds on REST ignore it
	User   int64         // chat: sender of the stanza; 0: any
	Stanza string        // chat: message, presence or iq; "": any
	Delay  time.Duration // before the fault, at most a minute; required for slow and delay
	Times  int           // number of times that it happens; 0: until cleared

	// Probability is the probability that it happens to a match, from above 0 to
	// 1; 0 means 1. With the same Seed and the same order of requests, it happens
	// to the same ones.
	Probability float64
	Seed        uint64
}

type armedFault struct {
	Fault
	left int // used if Times > 0
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

// wrongTarget returns the errors of the fields that select requests and stanzas.
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

// AddFault arms a fault. The error contains everything that is wrong with the
// fault, or states that a hundred are armed already.
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

// SetFaults replaces all armed faults. The error contains everything that is wrong
// with them; then nothing changes.
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

var errTooManyFaults = fmt.Errorf("fault: at most %d can be armed", maxFaults)

func (f Fault) arm() *armedFault {
	return &armedFault{f, f.Times, rand.New(rand.NewPCG(f.Seed, 0))}
}

// ClearFaults disarms all faults. Requests that a fault holds stay held, and
// half-open sockets stay half open.
func (s *Application) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Faults returns the armed faults. Their Times is the number that is left.
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

// TakeFault finds the fault that happens now, and counts it.
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
