package control

import (
	"errors"
	"net/http"
	"strconv"

	"cubegate/connectycube/sandbox/core"
)

// pathID reads the {id} of a path, or answers 404.
func pathID(w http.ResponseWriter, r *http.Request) (id int64, ok bool) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id <= 0 {
		controlError(w, http.StatusNotFound, "the ID in the path must be a positive number")
		return 0, false
	}
	return id, true
}

// refuse answers with the status and the texts of a core.Refusal, or else 400.
func refuse(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	if refusal, ok := errors.AsType[*core.Refusal](err); ok {
		status = refusal.Status
	}
	controlError(w, status, core.RefusalText(err))
}

const maxSearch = 200 // bytes

// pageOf reads ?search=, ?skip= and ?limit=.
func pageOf(r *http.Request) (core.PageQuery, error) {
	skip, errSkip := queryNumber(r, "skip", 0)
	limit, errLimit := queryNumber(r, "limit", 0)
	q := core.PageQuery{Search: r.URL.Query().Get("search"), Skip: int(min(skip, core.MostEntries)), Limit: int(min(limit, core.MostEntries))}
	var errSearch error
	if len(q.Search) > maxSearch {
		errSearch = errors.New("search has more than 200 bytes")
	}
	return q, errors.Join(errSkip, errLimit, errSearch)
}

// getPage answers with the page of a list that the query selects.
func getPage[T any](list func(core.PageQuery) T, w http.ResponseWriter, r *http.Request) {
	q, err := pageOf(r)
	if err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	answerJSON(w, http.StatusOK, list(q))
}

func (s *Area) getUsers(w http.ResponseWriter, r *http.Request) { getPage(s.Users, w, r) }

func (s *Area) getUser(w http.ResponseWriter, r *http.Request) {
	id, ok := pathID(w, r)
	if !ok {
		return
	}
	u, err := s.UserDetails(id)
	if err != nil {
		refuse(w, err)
		return
	}
	answerJSON(w, http.StatusOK, u)
}

func (s *Area) deleteUser(w http.ResponseWriter, r *http.Request) {
	id, ok := pathID(w, r)
	if !ok {
		return
	}
	if err := s.RemoveUser(id); err != nil {
		refuse(w, err)
		return
	}
	answerJSON(w, http.StatusOK, map[string]int64{"deleted": id})
}

// putDisabled takes {"disabled":true} or {"disabled":false}.
func (s *Area) putDisabled(w http.ResponseWriter, r *http.Request) {
	id, ok := pathID(w, r)
	var asked struct {
		Disabled *bool `json:"disabled"`
	}
	if !ok || !readControl(w, r, &asked) {
		return
	}
	if asked.Disabled == nil {
		controlError(w, http.StatusBadRequest, "disabled must be true or false")
		return
	}
	if err := s.SetDisabled(id, *asked.Disabled); err != nil {
		refuse(w, err)
		return
	}
	if *asked.Disabled {
		s.signOut(id)
	}
	s.getUser(w, r)
}

// postSession opens a session of the user without a password. The body is {}.
func (s *Area) postSession(w http.ResponseWriter, r *http.Request) {
	id, ok := pathID(w, r)
	if !ok || !readControl(w, r, &struct{}{}) {
		return
	}
	signedIn, err := s.SignInAs(id)
	if err != nil {
		refuse(w, err)
		return
	}
	answerJSON(w, http.StatusCreated, signedIn)
}
