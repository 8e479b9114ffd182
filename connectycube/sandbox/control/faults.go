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
	list := []faultJSON{}
	for _, f := range s.Faults() {
		list = append(list, newFaultJSON(f))
	}
	answerJSON(w, http.StatusOK, map[string]any{"faults": list})
}

func (s *Area) getFaults(w http.ResponseWriter, _ *http.Request) { s.writeFaults(w) }

func (s *Area) postFault(w http.ResponseWriter, r *http.Request) {
	var f faultJSON
	if !readControl(w, r, &f) {
		return
	}
	if err := s.AddFault(f.fault()); err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	answerJSON(w, http.StatusCreated, f)
}

// putFaults replaces all faults, or changes nothing.
func (s *Area) putFaults(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Faults []faultJSON `json:"faults"`
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
