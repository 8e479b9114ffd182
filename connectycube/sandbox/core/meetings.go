package core

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Bounds of meetings; our own. A full store refuses new meetings.
const (
	maxMeetings     = 10_000
	maxMeetingBytes = 16 << 20
	MostAttendees   = 100 // of one meeting
)

var errMeetingsFull = AsList(503, "The sandbox is full: it has as many meetings as it may")

// Meeting is the plan of a conference (https://developers.connectycube.com/server/meetings).
// It is replaced and never changed. The sandbox has no media server, so no user can join.
type Meeting struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Start     int64      `json:"start"` // Unix seconds, as the end
	End       int64      `json:"end"`
	Attendees []Attendee `json:"attendees"`
	Dialog    string     `json:"dialog,omitempty"` // ID; "": none
	Host      int64      `json:"host"`
	Created   time.Time  `json:"created_at"`
	Updated   time.Time  `json:"updated_at"`

	MeetingOptions
}

// MeetingOptions are the optional settings of a meeting, as the API names them.
type MeetingOptions struct {
	Record       bool          `json:"record"`
	Public       bool          `json:"public"`
	Scheduled    bool          `json:"scheduled"`
	Notify       bool          `json:"notify"`
	NotifyBefore *NotifyBefore `json:"notify_before"`
	Timezone     *Timezone     `json:"timezone"`
}

// Attendee is invited to a meeting, by one field or both.
type Attendee struct {
	ID    int64  `json:"id,omitempty"`
	Email string `json:"email,omitempty"`
}

// NotifyBefore is the time before a meeting at which the service reminds of it.
type NotifyBefore struct {
	Metric string `json:"metric"` // minutes, hours, days or weeks
	Value  int64  `json:"value"`
}

// Timezone is the time zone of a meeting.
type Timezone struct {
	Offset int64  `json:"offset"` // minutes from UTC
	Name   string `json:"name"`
}

// Meetings are all meetings. The Application's lock guards them.
type Meetings struct {
	byID  map[string]*Meeting
	bytes int
}

func newMeetings() Meetings { return Meetings{byID: map[string]*Meeting{}} }

// weight estimates the bytes that m keeps in memory.
func (m *Meeting) weight() int {
	n := 600 + textBytes(m.Name)
	for _, a := range m.Attendees {
		n += 24 + textBytes(a.Email)
	}
	if m.Timezone != nil {
		n += textBytes(m.Timezone.Name)
	}
	return n
}

// Put stores a meeting, or its new version.
func (s *Meetings) Put(m Meeting) error {
	old := s.byID[m.ID]
	more := m.weight()
	if old != nil {
		more -= old.weight()
	}
	if old == nil && len(s.byID) >= maxMeetings || more > 0 && s.bytes+more > maxMeetingBytes {
		return errMeetingsFull
	}
	s.bytes += more
	s.byID[m.ID] = &m
	return nil
}

// Find returns the meeting with this ID, if the user may see it.
func (s *Meetings) Find(id string, u *User) (*Meeting, error) {
	m := s.byID[id]
	if m == nil || !m.Public && !m.Includes(u) {
		return nil, ErrNoResource
	}
	return m, nil
}

// Includes reports whether the user is the host or an attendee, by ID or email.
func (m *Meeting) Includes(u *User) bool {
	return m.Host == u.ID || slices.ContainsFunc(m.Attendees, func(a Attendee) bool {
		return a.ID == u.ID || u.Email != "" && NormalEmail(a.Email) == u.Email
	})
}

// Remove deletes a meeting.
func (s *Meetings) Remove(m *Meeting) {
	s.bytes -= m.weight()
	delete(s.byID, m.ID)
}

// Of yields the meetings of a user, in no order.
func (s *Meetings) Of(u *User) func(yield func(*Meeting) bool) {
	return func(yield func(*Meeting) bool) {
		for _, m := range s.byID {
			if m.Includes(u) && !yield(m) {
				return
			}
		}
	}
}

// restore loads saved meetings within the bounds.
func (s *Meetings) restore(saved *savedState) error {
	for _, m := range saved.Meetings {
		if !IsOID(m.ID) || s.byID[m.ID] != nil || s.Put(m) != nil {
			return fmt.Errorf("meeting %q occurs twice, is incomplete, or there are too many", m.ID)
		}
	}
	return nil
}

func (s *Meetings) save(out *savedState) {
	for _, id := range slices.Sorted(maps.Keys(s.byID)) {
		out.Meetings = append(out.Meetings, *s.byID[id])
	}
}
