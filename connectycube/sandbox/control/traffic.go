package control

import (
	"errors"
	"net/http"
	"strconv"

	"cubegate/connectycube/sandbox/core"
)

// getTraffic takes the fields of core.TrafficQuery as ?before=, limit, on, user, method,
// status, path and fault. status is a number, 2xx to 5xx, or none.
func (s *Area) getTraffic(w http.ResponseWriter, r *http.Request) {
	q, err := trafficQuery(r)
	if err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	answerJSON(w, http.StatusOK, s.Traffic(q))
}

func trafficQuery(r *http.Request) (core.TrafficQuery, error) {
	before, errBefore := queryNumber(r, "before", 0)
	limit, errLimit := queryNumber(r, "limit", 0)
	user, errUser := queryNumber(r, "user", 0)
	values := r.URL.Query()
	q := core.TrafficQuery{
		Before: before, Limit: int(min(limit, core.MostEntries)), User: user,
		On: values.Get("on"), Method: values.Get("method"), Path: values.Get("path"), Fault: values.Get("fault") == "1",
	}
	var errStatus, errOn, errText error
	if q.Status, errStatus = statusOf(values.Get("status")); errStatus != nil {
		errStatus = errors.New("status must be a status such as 404, one of 2xx to 5xx, or none")
	}
	if q.On != "" && q.On != core.OnREST && q.On != core.OnChat {
		errOn = errors.New("on must be rest or chat")
	}
	if len(q.Method) > maxSearch || len(q.Path) > maxSearch {
		errText = errors.New("method and path have at most 200 bytes")
	}
	return q, errors.Join(errBefore, errLimit, errUser, errStatus, errOn, errText)
}

var errStatus = errors.New("status")

func statusOf(text string) (int, error) {
	switch text {
	case "":
		return 0, nil
	case "none":
		return -1, nil
	case "1xx", "2xx", "3xx", "4xx", "5xx":
		return int(text[0] - '0'), nil
	}
	status, err := strconv.Atoi(text)
	if err != nil || status < 100 || status > 599 {
		return 0, errStatus
	}
	return status, nil
}

// getTrafficEntry answers with one entry, and with the request as a curl command.
func (s *Area) getTrafficEntry(w http.ResponseWriter, r *http.Request) {
	id, ok := pathID(w, r)
	if !ok {
		return
	}
	row, curl, ok := s.TrafficEntry(id, s.origin(r))
	if !ok {
		controlError(w, http.StatusNotFound, "the journal does not have this entry any more")
		return
	}
	answerJSON(w, http.StatusOK, map[string]any{"entry": row, "curl": curl})
}
