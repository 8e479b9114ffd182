package rest

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"cubegate/connectycube/sandbox/core"
)

// dialogChange is a parsed PUT of a dialog.
type dialogChange struct {
	texts            core.Params // name, photo, description, extensions, permissions
	join, leave      core.UserSet
	appoint, dismiss core.UserSet // admins
	pin, unpin       []string
	muted            *bool      // nil: unchanged
	onlyOneself      bool       // leave contains only the caller
	acts             []core.Act // the acts that the change requires
}

// readChange parses a PUT. It ignores unknown users and messages to add.
func (s *API) readChange(d *core.Dialog, p core.Params, me int64) (dialogChange, error) {
	c := dialogChange{texts: core.Params{}}
	for _, key := range []string{"name", "photo", "description", "extensions", "permissions"} {
		if p.Has(key) {
			c.texts[key] = p[key]
		}
	}
	push, pull := p.Object("push_all"), p.Object("pull_all")
	for _, list := range []struct {
		from core.Params
		key  string
		to   *core.UserSet
	}{
		{push, "occupants_ids", &c.join},
		{pull, "occupants_ids", &c.leave},
		{push, "admins_ids", &c.appoint},
		{pull, "admins_ids", &c.dismiss},
	} {
		var err error
		if *list.to, err = userIDs(list.from, list.key); err != nil {
			return dialogChange{}, err
		}
	}
	c.join, c.appoint = s.known(c.join), s.known(c.appoint)
	for _, id := range push.List("pinned_messages_ids") {
		if m := s.Archive.Messages[id]; m != nil && m.Dialog == d {
			c.pin = append(c.pin, id)
		}
	}
	c.unpin = pull.List("pinned_messages_ids")
	if p.Has("is_muted") {
		muted := p.Flag("is_muted")
		c.muted = &muted
	}
	c.onlyOneself = len(c.leave) == 1 && c.leave[0] == me
	c.acts = c.takes(p)
	return c, nil
}

// takes returns the acts that the change p requires.
func (c *dialogChange) takes(p core.Params) (acts []core.Act) {
	push, pull := p.Object("push_all"), p.Object("pull_all")
	for _, need := range []struct {
		asked bool
		act   core.Act
	}{
		{p.Has("name") || p.Has("photo") || p.Has("description"), core.ToDescribe},
		{p.Has("extensions") || p.Has("permissions"), core.ToExtend},
		{push.Has("occupants_ids"), core.ToAddUsers},
		{pull.Has("occupants_ids") && !c.onlyOneself, core.ToRemoveUsers},
		{push.Has("pinned_messages_ids") || pull.Has("pinned_messages_ids"), core.ToPin},
		{push.Has("admins_ids") || pull.Has("admins_ids"), core.ToAppoint},
	} {
		if need.asked {
			acts = append(acts, need.act)
		}
	}
	return acts
}

// apply makes the whole change, or none of it.
func (s *API) apply(d *core.Dialog, c dialogChange, user int64, now time.Time) error {
	to := *d
	if err := s.Describe(&to, c.texts); err != nil {
		return err
	}
	to.Admins = slices.Clone(d.Admins)
	for _, id := range c.appoint {
		if id != d.Owner {
			to.Admins.Add(id)
		}
	}
	for _, id := range c.dismiss {
		to.Admins.Remove(id)
	}
	to.Occupants = slices.Clone(d.Occupants)
	joining := slices.Concat(c.join, to.Admins)
	for _, id := range joining {
		to.Occupants.Add(id)
	}
	if d.Kind != core.KindPrivate {
		if err := to.Check(); err != nil {
			return err
		}
	}
	d.Name, d.Photo, d.Description = to.Name, to.Photo, to.Description
	d.Extensions, d.Permissions, d.Admins = to.Extensions, to.Permissions, to.Admins
	for _, id := range joining {
		s.Archive.Join(d, id)
	}
	for _, id := range c.pin {
		if !slices.Contains(d.Pinned, id) {
			d.Pinned = append(d.Pinned, id)
		}
	}
	d.Pinned = slices.DeleteFunc(d.Pinned, func(id string) bool { return slices.Contains(c.unpin, id) })
	if c.muted != nil && *c.muted {
		d.Silent.Add(user)
	} else if c.muted != nil {
		d.Silent.Remove(user)
	}
	s.Archive.Touch(d, now)
	for _, id := range c.leave {
		s.Chat.Expel(d.ID, id, user) // before Leave, which would announce that they left by themselves
		s.Archive.Leave(d, id)
	}
	return nil
}

// updateDialog makes a change if the caller has all rights that it requires.
func updateDialog(s *API, q *request, live *core.Session) (reply, error) {
	me := live.User.ID
	d, err := s.Archive.Find(q.arg, me)
	if err != nil {
		return reply{}, err
	}
	c, err := s.readChange(d, q.params, me)
	if err != nil {
		return reply{}, err
	}
	return s.change(d, c, me, q.now)
}

// updateAdmins is updateDialog for admins only.
func updateAdmins(s *API, q *request, live *core.Session) (reply, error) {
	me := live.User.ID
	d, err := s.Archive.Find(q.arg, me)
	if err != nil {
		return reply{}, err
	}
	only := core.Params{}
	for _, list := range []string{"push_all", "pull_all"} {
		if p := q.params.Object(list); p.Has("admins_ids") {
			only[list] = map[string]any{"admins_ids": p["admins_ids"]}
		}
	}
	c, err := s.readChange(d, only, me)
	if err != nil {
		return reply{}, err
	}
	c.acts = []core.Act{core.ToAppoint} // even for an empty change
	return s.change(d, c, me, q.now)
}

func (s *API) change(d *core.Dialog, c dialogChange, me int64, now time.Time) (reply, error) {
	for _, act := range c.acts {
		if !d.May(me, act) {
			return reply{}, core.ErrForbidden
		}
	}
	if c.leave.Has(d.Owner) && !c.onlyOneself {
		return reply{}, core.ErrForbidden // admins cannot remove the owner
	}
	if err := s.apply(d, c, me, now); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: s.dialogFor(d, me)}, nil
}

// report is the answer to a deletion of several items.
type report struct {
	Deleted  idList `json:"SuccessfullyDeleted"`
	NotFound idList `json:"NotFound"`
	Wrong    idList `json:"WrongPermissions"`
}

type idList struct {
	IDs []string `json:"ids"`
}

// deleteEach calls one for each ID of a list, without repetitions, and reports the results.
func deleteEach(list string, one func(id string) error) report {
	r := report{idList{[]string{}}, idList{[]string{}}, idList{[]string{}}}
	var seen []string
	for _, id := range (core.Params{"ids": list}).List("ids") {
		if slices.Contains(seen, id) {
			continue
		}
		seen = append(seen, id)
		to := &r.Deleted
		switch err := one(id); err {
		case nil:
		case core.ErrForbidden:
			to = &r.Wrong
		default:
			to = &r.NotFound
		}
		to.IDs = append(to.IDs, id)
	}
	return r
}

// deleteDialogs deletes one dialog, or several with a report.
func deleteDialogs(s *API, q *request, live *core.Session) (reply, error) {
	one := func(id string) error {
		return s.deleteDialog(id, live.User.ID, q.params.Flag("force"), q.now)
	}
	if strings.Contains(q.arg, ",") {
		return reply{status: http.StatusOK, body: deleteEach(q.arg, one)}, nil
	}
	return reply{status: http.StatusOK}, one(q.arg)
}

// deleteDialog removes a dialog for all users, or the user from a group or public
// dialog. A private one is hidden until its next message (assumed).
func (s *API) deleteDialog(id string, user int64, force bool, now time.Time) error {
	d, err := s.Archive.Find(id, user)
	switch {
	case err != nil:
		return err
	case force && !d.May(user, core.ToErase):
		return core.ErrForbidden
	case force:
		for _, id := range d.Occupants {
			s.Chat.Expel(d.ID, id, user)
		}
		s.Archive.Drop(d)
		return nil
	}
	d.Hidden.Add(user)
	if d.Kind == core.KindPrivate || d.Kind == core.KindBroadcast {
		s.Archive.Clear(d, user, now)
		return nil
	}
	s.Archive.Leave(d, user)
	return nil
}

// clearHistory deletes all messages, for the caller or for all users.
func clearHistory(s *API, q *request, live *core.Session) (reply, error) {
	d, err := s.Archive.Find(q.arg, live.User.ID)
	force := q.params.Flag("force")
	switch {
	case err != nil:
		return reply{}, err
	case force && !d.May(live.User.ID, core.ToErase):
		return reply{}, core.ErrForbidden
	case force:
		s.Archive.Empty(d)
	default:
		s.Archive.Clear(d, live.User.ID, q.now)
	}
	return reply{status: http.StatusOK}, nil
}
