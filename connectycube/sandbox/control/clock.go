package control

import (
	"net/http"
	"time"
)

func (s *Area) getClock(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, s.Clock())
}

func (s *Area) postClock(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Advance string `json:"advance"`
	}
	if !readControl(w, r, &asked) {
		return
	}
	d, err := time.ParseDuration(asked.Advance)
	if err != nil {
		controlError(w, http.StatusBadRequest, `clock: advance must be a duration such as "2h" or "90s"`)
		return
	}
	if err := s.Advance(d); err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	answerJSON(w, http.StatusOK, s.Clock())
}

// deleteClock turns the clock back to real time.
func (s *Area) deleteClock(w http.ResponseWriter, _ *http.Request) {
	s.Return()
	answerJSON(w, http.StatusOK, s.Clock())
}
