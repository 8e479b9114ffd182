package rest

import (
	"net/http"

	"cubegate/connectycube/sandbox/core"
)

const maxTitle = 255 // characters of the name of a whiteboard or a meeting; our own

// whiteboardJSON is a whiteboard in an answer.
type whiteboardJSON struct {
	ID       string `json:"_id"`
	Name     string `json:"name"`
	DialogID string `json:"chat_dialog_id"`
	UserID   int64  `json:"user_id"`
	Created  string `json:"created_at"`
	Updated  string `json:"updated_at"`
}

func whiteboardBody(d *core.Dialog, w core.Whiteboard) whiteboardJSON {
	return whiteboardJSON{w.ID, w.Name, d.ID, w.Creator, w.Created.UTC().Format(millis), w.Updated.UTC().Format(millis)}
}

// title reads the name of a whiteboard or a meeting.
func title(p core.Params) (string, error) {
	name := p.Text("name")
	if name == "" {
		return "", core.AsField(422, "name", "cannot be blank")
	}
	if text := core.CheckLength("name", name, 1, maxTitle); text != "" {
		return "", core.AsBase(422, text)
	}
	return name, nil
}

func createWhiteboard(s *API, q *request, live *core.Session) (reply, error) {
	name, err := title(q.params)
	if err != nil {
		return reply{}, err
	}
	d, err := s.dialogParam(q, live)
	if err != nil {
		return reply{}, err
	}
	made, err := s.Archive.AddWhiteboard(d, core.Whiteboard{Name: name, Creator: live.User.ID}, q.now)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusCreated, body: whiteboardBody(d, made)}, nil
}

// dialogParam returns the dialog of chat_dialog_id.
func (s *API) dialogParam(q *request, live *core.Session) (*core.Dialog, error) {
	id := q.params.Text("chat_dialog_id")
	if id == "" {
		return nil, errNoDialogID
	}
	return s.Archive.Find(id, live.User.ID)
}

func listWhiteboards(s *API, q *request, live *core.Session) (reply, error) {
	d, err := s.dialogParam(q, live)
	if err != nil {
		return reply{}, err
	}
	items := make([]whiteboardJSON, len(d.Whiteboards))
	for i, w := range d.Whiteboards {
		items[i] = whiteboardBody(d, w)
	}
	return reply{status: http.StatusOK, body: items}, nil
}

func updateWhiteboard(s *API, q *request, live *core.Session) (reply, error) {
	d, w, err := s.Archive.OwnWhiteboard(q.arg, live.User.ID)
	if err != nil {
		return reply{}, err
	}
	if w.Name, err = title(q.params); err != nil {
		return reply{}, err
	}
	w.Updated = q.now
	s.Archive.ReplaceWhiteboard(d, w.ID, &w)
	return reply{status: http.StatusOK, body: whiteboardBody(d, w)}, nil
}

func deleteWhiteboard(s *API, q *request, live *core.Session) (reply, error) {
	d, w, err := s.Archive.OwnWhiteboard(q.arg, live.User.ID)
	if err != nil {
		return reply{}, err
	}
	s.Archive.ReplaceWhiteboard(d, w.ID, nil)
	return reply{status: http.StatusOK}, nil
}
