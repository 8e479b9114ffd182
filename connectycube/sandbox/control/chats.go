package control

import (
	"net/http"

	"cubegate/connectycube/sandbox/core"
)

func (s *Area) getDialogs(w http.ResponseWriter, r *http.Request) { getPage(s.Dialogs, w, r) }

// getMessages takes ?before=ID of a message, and ?limit=.
func (s *Area) getMessages(w http.ResponseWriter, r *http.Request) {
	q, err := pageOf(r)
	if err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	c, err := s.Conversation(r.PathValue("id"), r.URL.Query().Get("before"), q.Limit)
	if err != nil {
		refuse(w, err)
		return
	}
	answerJSON(w, http.StatusOK, c)
}

// postMessage writes a message in a user's name.
func postMessage(app *core.Application, deliver func(*core.Message)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var u core.Utterance
		if !readControl(w, r, &u) {
			return
		}
		said, err := app.Utter(r.PathValue("id"), u, deliver)
		if err != nil {
			refuse(w, err)
			return
		}
		answerJSON(w, http.StatusCreated, said)
	}
}

// putTyping takes {"user":ID,"typing":true}.
func putTyping(app *core.Application, tell func(int64, *core.Dialog, bool)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			User   int64 `json:"user"`
			Typing bool  `json:"typing"`
		}
		if !readControl(w, r, &asked) {
			return
		}
		err := app.Type(r.PathValue("id"), asked.User, asked.Typing, func(d *core.Dialog) { tell(asked.User, d, asked.Typing) })
		if err != nil {
			refuse(w, err)
			return
		}
		answerJSON(w, http.StatusOK, asked)
	}
}
