package sandbox

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// dialogChange is a PUT of a dialog that was understood.
type dialogChange struct {
	texts            params // name, photo, description, extensions, permissions
	join, leave      userSet
	appoint, dismiss userSet // admins
	pin, unpin       []string
	muted            *bool // nil: as before
	onlyOneself      bool  // leave is the caller alone
	acts             []act // what it takes
}

// readChange understands a PUT. Unknown users and messages are not added.
func (s *API) readChange(d *dialog, p params, me int64) (dialogChange, error) {
	c := dialogChange{texts: params{}}
	for _, key := range []string{"name", "photo", "description", "extensions", "permissions"} {
		if p.has(key) {
			c.texts[key] = p[key]
		}
	}
	push, pull := p.object("push_all"), p.object("pull_all")
	for _, list := range []struct {
		from params
		key  string
		to   *userSet
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
	for _, id := range push.list("pinned_messages_ids") {
		if m := s.archive.messages[id]; m != nil && m.dialog == d {
			c.pin = append(c.pin, id)
		}
	}
	c.unpin = pull.list("pinned_messages_ids")
	if p.has("is_muted") {
		muted := p.flag("is_muted")
		c.muted = &muted
	}
	c.onlyOneself = len(c.leave) == 1 && c.leave[0] == me
	c.acts = c.takes(p)
	return c, nil
}

// takes lists what somebody must be allowed to do who asks for p.
func (c *dialogChange) takes(p params) (acts []act) {
	push, pull := p.object("push_all"), p.object("pull_all")
	for _, need := range []struct {
		asked bool
		what  act
	}{
		{p.has("name") || p.has("photo") || p.has("description"), toDescribe},
		{p.has("extensions") || p.has("permissions"), toExtend},
		{push.has("occupants_ids"), toAddUsers},
		{pull.has("occupants_ids") && !c.onlyOneself, toRemoveUsers},
		{push.has("pinned_messages_ids") || pull.has("pinned_messages_ids"), toPin},
		{push.has("admins_ids") || pull.has("admins_ids"), toAppoint},
	} {
		if need.asked {
			acts = append(acts, need.what)
		}
	}
	return acts
}

// apply changes the dialog, wholly or not at all.
func (s *API) apply(d *dialog, c dialogChange, user int64, now time.Time) error {
	to := *d
	if err := s.describe(&to, c.texts); err != nil {
		return err
	}
	to.admins = slices.Clone(d.admins)
	for _, id := range c.appoint {
		if id != d.owner {
			to.admins.add(id)
		}
	}
	for _, id := range c.dismiss {
		to.admins.remove(id)
	}
	to.occupants = slices.Clone(d.occupants)
	joining := slices.Concat(c.join, to.admins)
	for _, id := range joining {
		to.occupants.add(id)
	}
	if d.kind != kindPrivate {
		if err := to.check(); err != nil {
			return err
		}
	}
	d.name, d.photo, d.description = to.name, to.photo, to.description
	d.extensions, d.permissions, d.admins = to.extensions, to.permissions, to.admins
	for _, id := range joining {
		s.archive.join(d, id)
	}
	for _, id := range c.pin {
		if !slices.Contains(d.pinned, id) {
			d.pinned = append(d.pinned, id)
		}
	}
	d.pinned = slices.DeleteFunc(d.pinned, func(id string) bool { return slices.Contains(c.unpin, id) })
	if c.muted != nil && *c.muted {
		d.silent.add(user)
	} else if c.muted != nil {
		d.silent.remove(user)
	}
	s.archive.touch(d, now)
	for _, id := range c.leave {
		s.chat.Expel(d.id, id, user) // first, as by leaving they would seem to go by themselves
		s.archive.leave(d, id)
	}
	return nil
}

// updateDialog changes what the caller may change; asking for more changes
// nothing.
func updateDialog(s *API, q *request, live *session) (reply, error) {
	me := live.user.id
	d, err := s.archive.find(q.arg, me)
	if err != nil {
		return reply{}, err
	}
	c, err := s.readChange(d, q.params, me)
	if err != nil {
		return reply{}, err
	}
	return s.change(d, c, me, q.now)
}

// updateAdmins is the part of updateDialog that is about admins.
func updateAdmins(s *API, q *request, live *session) (reply, error) {
	me := live.user.id
	d, err := s.archive.find(q.arg, me)
	if err != nil {
		return reply{}, err
	}
	only := params{}
	for _, list := range []string{"push_all", "pull_all"} {
		if p := q.params.object(list); p.has("admins_ids") {
			only[list] = map[string]any{"admins_ids": p["admins_ids"]}
		}
	}
	c, err := s.readChange(d, only, me)
	if err != nil {
		return reply{}, err
	}
	c.acts = []act{toAppoint} // also when nothing is asked for
	return s.change(d, c, me, q.now)
}

func (s *API) change(d *dialog, c dialogChange, me int64, now time.Time) (reply, error) {
	for _, what := range c.acts {
		if !d.may(me, what) {
			return reply{}, errForbidden
		}
	}
	if c.leave.has(d.owner) && !c.onlyOneself {
		return reply{}, errForbidden // an admin does not get rid of the owner
	}
	if err := s.apply(d, c, me, now); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: s.dialogFor(d, me)}, nil
}

// report is the answer to a deletion of several things.
type report struct {
	Deleted  idList `json:"SuccessfullyDeleted"`
	NotFound idList `json:"NotFound"`
	Wrong    idList `json:"WrongPermissions"`
}

type idList struct {
	IDs []string `json:"ids"`
}

// deleteEach runs one for each id of a list, each once, and reports.
func deleteEach(list string, one func(id string) error) report {
	r := report{idList{[]string{}}, idList{[]string{}}, idList{[]string{}}}
	var seen []string
	for _, id := range (params{"ids": list}).list("ids") {
		if slices.Contains(seen, id) {
			continue
		}
		seen = append(seen, id)
		to := &r.Deleted
		switch err := one(id); err {
		case nil:
		case errForbidden:
			to = &r.Wrong
		default:
			to = &r.NotFound
		}
		to.IDs = append(to.IDs, id)
	}
	return r
}

// deleteDialogs deletes one dialog, or several with a report.
func deleteDialogs(s *API, q *request, live *session) (reply, error) {
	one := func(id string) error {
		return s.deleteDialog(id, live.user.id, q.params.flag("force"), q.now)
	}
	if strings.Contains(q.arg, ",") {
		return reply{status: http.StatusOK, body: deleteEach(q.arg, one)}, nil
	}
	return reply{status: http.StatusOK}, one(q.arg)
}

// deleteDialog removes a dialog for everyone, or lets the user go: out of a
// group or public dialog, while a private one is hidden until somebody writes
// in it again (assumed).
func (s *API) deleteDialog(id string, user int64, force bool, now time.Time) error {
	d, err := s.archive.find(id, user)
	switch {
	case err != nil:
		return err
	case force && !d.may(user, toErase):
		return errForbidden
	case force:
		for _, id := range d.occupants {
			s.chat.Expel(d.id, id, user)
		}
		s.archive.drop(d)
		return nil
	}
	d.hidden.add(user)
	if d.kind == kindPrivate || d.kind == kindBroadcast {
		s.archive.clear(d, user, now)
		return nil
	}
	s.archive.leave(d, user)
	return nil
}

// clearHistory deletes all messages, for the caller or for everyone.
func clearHistory(s *API, q *request, live *session) (reply, error) {
	d, err := s.archive.find(q.arg, live.user.id)
	force := q.params.flag("force")
	switch {
	case err != nil:
		return reply{}, err
	case force && !d.may(live.user.id, toErase):
		return reply{}, errForbidden
	case force:
		s.archive.empty(d)
	default:
		s.archive.clear(d, live.user.id, q.now)
	}
	return reply{status: http.StatusOK}, nil
}
