package control

import (
	"cmp"
	"errors"
	"net/http"
	"strconv"

	"cubegate/connectycube/sandbox/core"
)

// getJournal takes ?after=ID, so that a page can request only new entries.
func (s *Area) getJournal(w http.ResponseWriter, r *http.Request) {
	after, err := queryNumber(r, "after", 0)
	if err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	answerJSON(w, http.StatusOK, map[string]any{"entries": s.Journal(after)})
}

func (s *Area) deleteJournal(w http.ResponseWriter, _ *http.Request) {
	s.ClearJournal()
	answerJSON(w, http.StatusOK, map[string]any{"entries": []core.Entry{}})
}

// getOutbox takes ?limit= and ?skip=, which count from the newest item.
func (s *Area) getOutbox(w http.ResponseWriter, r *http.Request) {
	q, err := pageOf(r)
	if err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	all := s.Outbox()
	items := all
	if r.URL.Query().Has("limit") {
		end := max(0, len(all)-q.Skip)
		items = all[max(0, end-q.Limit):end]
	}
	answerJSON(w, http.StatusOK, map[string]any{"outbox": items, "total": len(all)})
}

func (s *Area) deleteOutbox(w http.ResponseWriter, _ *http.Request) {
	s.EmptyOutbox()
	answerJSON(w, http.StatusOK, map[string]any{"outbox": []core.Outgoing{}})
}

func (s *Area) getSettings(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, s.Settings())
}

func (s *Area) putSettings(w http.ResponseWriter, r *http.Request) {
	var c core.Settings
	if !readControl(w, r, &c) {
		return
	}
	if err := s.SetSettings(c); err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	answerJSON(w, http.StatusOK, c.Clone())
}

// postSockets runs act on the sockets of {"user":id}, or on all sockets.
func postSockets(act func(user int64) int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			User int64 `json:"user"`
		}
		if !readControl(w, r, &asked) {
			return
		}
		if asked.User < 0 {
			controlError(w, http.StatusBadRequest, "user must be an ID, or 0 for all users")
			return
		}
		answerJSON(w, http.StatusOK, map[string]int{"sockets": act(asked.User)})
	}
}

func (s *Area) postSeed(w http.ResponseWriter, r *http.Request) {
	var seed core.Seed
	if !readControlUpTo(core.MaxSeedBytes, w, r, &seed) {
		return
	}
	made, err := s.Seed(seed)
	if err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	answerJSON(w, http.StatusCreated, made)
}

// getState takes ?limit=N, which bounds every list, including the users.
func (s *Area) getState(w http.ResponseWriter, r *http.Request) {
	limit, err := queryNumber(r, "limit", 0)
	if err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	most := int(min(limit, core.MaxListed))
	answerJSON(w, http.StatusOK, s.StateUpTo(most, cmp.Or(most, core.MaxListed)))
}

// queryNumber reads a number of the query that is not negative.
func queryNumber(r *http.Request, name string, otherwise int64) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, errors.New(name + " must be a number that is not negative")
	}
	return n, nil
}

func (s *Area) postReset(w http.ResponseWriter, _ *http.Request) {
	s.Reset()
	answerJSON(w, http.StatusOK, s.State())
}
