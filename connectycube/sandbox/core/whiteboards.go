package core

import (
	"slices"
	"time"
)

const mostWhiteboards = 3 // of one dialog: https://developers.connectycube.com/server/whiteboard

// The refusals of whiteboards; the texts are assumed.
var (
	errTooManyWhiteboards = AsBase(422, "a dialog can have at most 3 whiteboards")
	errNoWhiteboards      = AsBase(422, "only group and private dialogs can have whiteboards")
)

// Whiteboard is a drawing of a dialog. The sandbox has no server for the drawing itself.
type Whiteboard struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Creator int64     `json:"creator"`
	Created time.Time `json:"created_at"`
	Updated time.Time `json:"updated_at"`
}

// AddWhiteboard stores a new whiteboard of a dialog and returns it with its ID.
func (a *Archive) AddWhiteboard(d *Dialog, w Whiteboard, now time.Time) (Whiteboard, error) {
	switch {
	case d.Kind != KindGroup && d.Kind != KindPrivate:
		return Whiteboard{}, errNoWhiteboards
	case len(d.Whiteboards) >= mostWhiteboards:
		return Whiteboard{}, errTooManyWhiteboards
	}
	w.ID, w.Created, w.Updated = a.NewID(now), now, now
	d.Whiteboards = append(slices.Clone(d.Whiteboards), w)
	a.makeRoom(d)
	return w, nil
}

// OwnWhiteboard finds a whiteboard that the user created, in a dialog to which the user
// still belongs.
func (a *Archive) OwnWhiteboard(id string, user int64) (*Dialog, Whiteboard, error) {
	for d := range a.ofUser[user] {
		for _, w := range d.Whiteboards {
			switch {
			case w.ID != id:
			case w.Creator != user:
				return nil, Whiteboard{}, ErrForbidden
			default:
				return d, w, nil
			}
		}
	}
	return nil, Whiteboard{}, ErrNoResource
}

// ReplaceWhiteboard stores the new version of a dialog's whiteboard, or with nil removes it.
func (a *Archive) ReplaceWhiteboard(d *Dialog, id string, with *Whiteboard) {
	var kept []Whiteboard
	for _, w := range d.Whiteboards {
		switch {
		case w.ID != id:
			kept = append(kept, w)
		case with != nil:
			kept = append(kept, *with)
		}
	}
	d.Whiteboards = kept
	a.makeRoom(d)
}
