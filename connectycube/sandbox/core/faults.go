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

const (
	maxFaults = 100
	maxSpent  = 20 // faults that have happened as often as they should
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
	id    int64
	acted int
	left  int // used if Times > 0
	dice  *rand.Rand
}

// ArmedFault is a fault with the number of times that it has happened. Its Times is
// the number that is left.
type ArmedFault struct {
	Fault
	ID    int64 // grows, also over a reset
	Acted int
}

func (f *armedFault) shown() ArmedFault {
	out := ArmedFault{f.Fault, f.id, f.acted}
	out.Times = f.left
	return out
}

func (f Fault) validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("fault: "+format, args...)) }
	kinds := kindsOn(f.Target())
	switch {
	case len(kinds) == 0:
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
	_, err := s.ArmFault(f)
	return err
}

// ArmFault is AddFault, and returns the ID with which RemoveFault disarms the fault.
func (s *Application) ArmFault(f Fault) (id int64, err error) {
	if err := f.validate(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) >= maxFaults {
		return 0, errTooManyFaults
	}
	s.faults = append(s.faults, s.arm(f))
	return s.lastFault, nil
}

// SetFaults replaces all armed faults. The error contains everything that is wrong
// with them; then nothing changes.
func (s *Application) SetFaults(faults ...Fault) error {
	if len(faults) > maxFaults {
		return errTooManyFaults
	}
	var errs []error
	for _, f := range faults {
		errs = append(errs, f.validate())
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
	for _, f := range faults {
		s.faults = append(s.faults, s.arm(f))
	}
	return nil
}

var errTooManyFaults = fmt.Errorf("fault: at most %d can be armed", maxFaults)

// arm returns a fault with a new ID. The caller holds the lock.
func (s *Application) arm(f Fault) *armedFault {
	s.lastFault++
	return &armedFault{Fault: f, id: s.lastFault, left: f.Times, dice: rand.New(rand.NewPCG(f.Seed, 0))}
}

// ClearFaults disarms all faults and forgets the spent ones. Requests that a fault
// holds stay held, and half-open sockets stay half open.
func (s *Application) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.spent = nil, nil
}

// RemoveFault disarms one fault, or forgets one that is spent. It reports whether
// there was one with this ID.
func (s *Application) RemoveFault(id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := len(s.faults) + len(s.spent)
	isIt := func(f *armedFault) bool { return f.id == id }
	s.faults, s.spent = slices.DeleteFunc(s.faults, isIt), slices.DeleteFunc(s.spent, isIt)
	return len(s.faults)+len(s.spent) < all
}

// ArmedFaults returns the armed faults, and the latest ones that have happened as
// often as they should.
func (s *Application) ArmedFaults() (armed, spent []ArmedFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		armed = append(armed, f.shown())
	}
	for _, f := range s.spent {
		spent = append(spent, f.shown())
	}
	return armed, spent
}

// Faults returns the armed faults. Their Times is the number that is left.
func (s *Application) Faults() []Fault {
	armed, _ := s.ArmedFaults()
	list := make([]Fault, len(armed))
	for i, f := range armed {
		list[i] = f.Fault
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
		f.acted++
		if f.Times > 0 {
			if f.left--; f.left == 0 {
				s.spend(i)
			}
		}
		return f.Fault, true
	}
	return Fault{}, false
}

// spend moves a fault to the spent ones. The caller holds the lock.
func (s *Application) spend(i int) {
	s.spent = append(s.spent[max(0, len(s.spent)+1-maxSpent):], s.faults[i])
	s.faults = slices.Delete(s.faults, i, i+1)
}
