package rest

import (
	"cmp"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"cubegate/connectycube/sandbox/core"
)

// meetingJSON is a meeting in an answer.
type meetingJSON struct {
	ID        string          `json:"_id"`
	Name      string          `json:"name"`
	Start     int64           `json:"start_date"`
	End       int64           `json:"end_date"`
	Attendees []core.Attendee `json:"attendees"`
	DialogID  *string         `json:"chat_dialog_id"`
	HostID    int64           `json:"host_id"`
	Created   string          `json:"created_at"`
	Updated   string          `json:"updated_at"`
	core.MeetingOptions
}

func meetingBody(m core.Meeting) meetingJSON {
	return meetingJSON{
		m.ID, m.Name, m.Start, m.End, m.Attendees, core.OrNull(m.Dialog), m.Host,
		m.Created.UTC().Format(millis), m.Updated.UTC().Format(millis), m.MeetingOptions,
	}
}

// createMeeting stores a meeting, with a group dialog if the request asks for a chat. It
// sends no mails, whatever notify says.
func createMeeting(s *API, q *request, live *core.Session) (reply, error) {
	for _, field := range []string{"name", "start_date", "end_date", "attendees"} {
		if !q.params.Has(field) {
			return reply{}, core.AsField(422, field, "cannot be blank")
		}
	}
	m := core.Meeting{ID: s.Archive.NewID(q.now), Host: live.User.ID, Created: q.now}
	if err := setMeeting(&m, q); err != nil {
		return reply{}, err
	}
	var d *core.Dialog
	if q.params.Flag("chat") {
		d = s.meetingDialog(&m)
	}
	if err := s.Meetings.Put(m); err != nil {
		return reply{}, err
	}
	if d != nil {
		s.Archive.Add(d, q.now)
		m.Dialog = d.ID
		_ = s.Meetings.Put(m) // has room: the weight is the same
	}
	return reply{status: http.StatusCreated, body: meetingBody(m)}, nil
}

// meetingDialog returns the dialog of a meeting: a group of the attendees who are users
// (assumed).
func (s *API) meetingDialog(m *core.Meeting) *core.Dialog {
	d := &core.Dialog{Kind: core.KindGroup, Owner: m.Host, Name: m.Name}
	d.Occupants.Add(m.Host)
	for _, a := range m.Attendees {
		if s.Registry.Users[a.ID] != nil {
			d.Occupants.Add(a.ID)
		}
	}
	return d
}

// updateMeeting changes the given fields. The documentation calls four of them required;
// the SDK's types do not.
func updateMeeting(s *API, q *request, live *core.Session) (reply, error) {
	old, err := s.ownMeeting(q, live)
	if err != nil {
		return reply{}, err
	}
	m := *old
	if err := setMeeting(&m, q); err != nil {
		return reply{}, err
	}
	if err := s.Meetings.Put(m); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: meetingBody(m)}, nil
}

// ownMeeting returns the meeting of the path, for its host alone.
func (s *API) ownMeeting(q *request, live *core.Session) (*core.Meeting, error) {
	m, err := s.Meetings.Find(q.arg, live.User)
	if err == nil && m.Host != live.User.ID {
		return nil, core.ErrForbidden
	}
	return m, err
}

func deleteMeeting(s *API, q *request, live *core.Session) (reply, error) {
	m, err := s.ownMeeting(q, live)
	if err != nil {
		return reply{}, err
	}
	s.Meetings.Remove(m)
	return reply{status: http.StatusOK}, nil
}

// listRecordings answers an empty list: nothing records a meeting.
func listRecordings(s *API, q *request, live *core.Session) (reply, error) {
	if _, err := s.Meetings.Find(q.arg, live.User); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: []struct{}{}}, nil
}

var meetingFields = map[string]field[*core.Meeting]{
	"_id":        {text: func(m *core.Meeting) string { return m.ID }},
	"start_date": dateOf(func(m *core.Meeting) time.Time { return time.Unix(m.Start, 0) }),
	"end_date":   dateOf(func(m *core.Meeting) time.Time { return time.Unix(m.End, 0) }),
	"created_at": dateOf(func(m *core.Meeting) time.Time { return m.Created }),
	"updated_at": dateOf(func(m *core.Meeting) time.Time { return m.Updated }),
	"scheduled":  {text: func(m *core.Meeting) string { return strconv.FormatBool(m.Scheduled) }},
}

// meetingLists is the grammar of GET /meetings; the order is assumed.
var meetingLists = grammar[*core.Meeting]{
	fields:  meetingFields,
	lenient: true,
	sorts:   pick(meetingFields, "start_date", "end_date", "created_at", "updated_at", "_id"),
	usual:   "_id",
	limit:   100,
	most:    100,
	tie:     func(a, b *core.Meeting) int { return cmp.Compare(a.ID, b.ID) },
}

// listMeetings answers the caller's meetings. With an _id, it also finds a public one.
func listMeetings(s *API, q *request, live *core.Session) (reply, error) {
	p := maps.Clone(q.params)
	if p.Has("offset") {
		p["skip"] = p["offset"]
		delete(p, "offset")
	}
	query, err := meetingLists.parse(p)
	if err != nil {
		return reply{}, err
	}
	page, _ := query.run(func(yield func(*core.Meeting) bool) {
		m, err := s.Meetings.Find(p.Text("_id"), live.User)
		if err == nil && !m.Includes(live.User) && !yield(m) {
			return
		}
		s.Meetings.Of(live.User)(yield)
	})
	items := make([]meetingJSON, len(page))
	for i, m := range page {
		items[i] = meetingBody(*m)
	}
	return reply{status: http.StatusOK, body: items}, nil
}

// setMeeting sets the given fields of a meeting. The texts of the refusals are assumed.
func setMeeting(m *core.Meeting, q *request) (err error) {
	p := q.params
	m.Updated = q.now
	if p.Has("name") {
		if m.Name, err = title(p); err != nil {
			return err
		}
	}
	if err := readDates(p, &m.Start, &m.End); err != nil {
		return err
	}
	if p.Has("attendees") {
		if m.Attendees, err = attendees(p["attendees"]); err != nil {
			return err
		}
	}
	for _, flag := range []struct {
		field string
		to    *bool
	}{{"record", &m.Record}, {"public", &m.Public}, {"scheduled", &m.Scheduled}, {"notify", &m.Notify}} {
		if p.Has(flag.field) {
			*flag.to = p.Flag(flag.field)
		}
	}
	if p.Has("notify_before") {
		if m.NotifyBefore, err = notifyBefore(p.Object("notify_before")); err != nil {
			return err
		}
	}
	if p.Has("timezone") {
		m.Timezone, err = timezone(p.Object("timezone"))
	}
	return err
}

// attendees reads [{id, email}]; each must have one of them.
func attendees(value any) ([]core.Attendee, error) {
	list, ok := value.([]any)
	if !ok || len(list) > core.MostAttendees {
		return nil, core.AsBase(422, "attendees must be a list of at most 100 objects with id or email")
	}
	all := make([]core.Attendee, len(list))
	for i, one := range list {
		fields, _ := one.(map[string]any)
		p := core.Params(fields)
		id, isID := p.Integer("id")
		email := p.Text("email")
		if p["id"] != nil && !isID || id < 0 || id == 0 && email == "" || core.CheckLength("email", email, 0, maxTitle) != "" {
			return nil, core.AsBase(422, "each attendee must have the id of a user or an email")
		}
		all[i] = core.Attendee{ID: id, Email: email}
	}
	return all, nil
}

// metrics are the units of notify_before with the bounds of their numbers:
// https://developers.connectycube.com/server/meetings.
var metrics = map[string][2]int64{"minutes": {0, 55}, "hours": {1, 24}, "days": {1, 30}, "weeks": {1, 4}}

// notifyBefore reads {metric, value}; null removes it.
func notifyBefore(p core.Params) (*core.NotifyBefore, error) {
	if p == nil {
		return nil, nil
	}
	out := core.NotifyBefore{Metric: p.Text("metric")}
	bounds, known := metrics[out.Metric]
	value, ok := p.Integer("value")
	if !known || !ok || value < bounds[0] || value > bounds[1] {
		return nil, core.AsBase(422, "notify_before must have a metric of "+joined(metrics)+", and a value in its range")
	}
	out.Value = value
	return &out, nil
}

func joined(m map[string][2]int64) (list string) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if list != "" {
			list += ", "
		}
		list += name
	}
	return list
}

// timezone reads {offset, name}; null removes it.
func timezone(p core.Params) (*core.Timezone, error) {
	if p == nil {
		return nil, nil
	}
	offset, ok := p.Integer("offset")
	if name := p.Text("name"); ok && math.Abs(float64(offset)) <= 24*60 && core.CheckLength("name", name, 0, maxTitle) == "" {
		return &core.Timezone{Offset: offset, Name: name}, nil
	}
	return nil, core.AsBase(422, "timezone must have an offset in minutes and a name")
}
