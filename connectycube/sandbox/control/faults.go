package control

import (
	"net/http"
	"time"

	"cubegate/connectycube/sandbox/core"
)

// faultJSON is a Fault in the control area.
type faultJSON struct {
	On          string  `json:"on,omitempty"`
	Method      string  `json:"method,omitempty"`
	Path        string  `json:"path,omitempty"`
	User        int64   `json:"user,omitempty"`
	Stanza      string  `json:"stanza,omitempty"`
	Kind        string  `json:"kind"`
	Status      int     `json:"status,omitempty"`
	DelayMS     int64   `json:"delay_ms"`
	Times       int     `json:"times"`
	Probability float64 `json:"probability,omitempty"`
	Seed        uint64  `json:"seed,omitempty"`
}

// armedJSON is a fault with its ID and the number of times that it has happened. A
// client may send both back; they do not count then.
type armedJSON struct {
	faultJSON
	ID    int64 `json:"id"`
	Acted int   `json:"acted"`
}

func (f faultJSON) fault() core.Fault {
	return core.Fault{
		On: f.On, Method: f.Method, Path: f.Path, User: f.User, Stanza: f.Stanza,
		Kind: f.Kind, Status: f.Status, Times: f.Times, Probability: f.Probability, Seed: f.Seed,
		// A value that is out of range stays out of range, whatever its size.
		Delay: time.Duration(min(max(f.DelayMS, -1), core.MaxDelay.Milliseconds()+1)) * time.Millisecond,
	}
}

func newFaultJSON(f core.Fault) faultJSON {
	return faultJSON{
		On: f.On, Method: f.Method, Path: f.Path, User: f.User, Stanza: f.Stanza,
		Kind: f.Kind, Status: f.Status, DelayMS: f.Delay.Milliseconds(), Times: f.Times,
		Probability: f.Probability, Seed: f.Seed,
	}
}

func (s *Area) writeFaults(w http.ResponseWriter) {
	armed, spent := s.ArmedFaults()
	answerJSON(w, http.StatusOK, map[string]any{"faults": listOf(armed), "spent": listOf(spent)})
}

func listOf(faults []core.ArmedFault) []armedJSON {
	list := []armedJSON{}
	for _, f := range faults {
		list = append(list, armedJSON{newFaultJSON(f.Fault), f.ID, f.Acted})
	}
	return list
}

func (s *Area) getFaultKinds(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, map[string]any{"kinds": core.FaultKinds})
}

// deleteFault disarms one fault.
func (s *Area) deleteFault(w http.ResponseWriter, r *http.Request) {
	id, ok := pathID(w, r)
	if !ok {
		return
	}
	if !s.RemoveFault(id) {
		controlError(w, http.StatusNotFound, "no fault has this ID")
		return
	}
	s.writeFaults(w)
}

func (s *Area) getFaults(w http.ResponseWriter, _ *http.Request) { s.writeFaults(w) }

func (s *Area) postFault(w http.ResponseWriter, r *http.Request) {
	var f faultJSON
	if !readControl(w, r, &f) {
		return
	}
	id, err := s.ArmFault(f.fault())
	if err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	answerJSON(w, http.StatusCreated, armedJSON{f, id, 0})
}

// putFaults replaces all faults, or changes nothing.
func (s *Area) putFaults(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Faults []armedJSON `json:"faults"`
		Spent  []armedJSON `json:"spent"` // as in the answer of GET; does not count
	}
	if !readControl(w, r, &asked) {
		return
	}
	list := make([]core.Fault, len(asked.Faults))
	for i, f := range asked.Faults {
		list[i] = f.fault()
	}
	if err := s.SetFaults(list...); err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	s.writeFaults(w)
}

func (s *Area) deleteFaults(w http.ResponseWriter, _ *http.Request) {
	s.ClearFaults()
	s.writeFaults(w)
}
