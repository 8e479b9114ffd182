package sandbox

import (
	"cubegate/connectycube/sandbox/chat"
	"cubegate/connectycube/xmpp"
)

// chatFault is what the chat asks about each stanza of a user.
func (s *Sandbox) chatFault(user int64, stanza *xmpp.Element) chat.Fault {
	f, ok := s.TakeFault(func(f Fault) bool {
		return f.On == OnChat && (f.User == 0 || f.User == user) && (f.Stanza == "" || f.Stanza == stanza.Name)
	})
	if !ok {
		return chat.Fault{}
	}
	s.Note(Entry{At: s.Now(), On: OnChat, UserID: user, Fault: f.Kind, Stanza: stanza.String()})
	return chat.Fault{
		Delay:      f.Delay,
		Refuse:     f.Kind == FaultRefuse,
		Drop:       f.Kind == FaultDrop,
		LostAnswer: f.Kind == FaultLostAnswer,
		HalfOpen:   f.Kind == FaultHalfOpen,
		Duplicate:  f.Kind == FaultDuplicate,
	}
}

// tap takes a stanza of the chat into the journal.
func (s *Sandbox) tap(d chat.Direction, user int64, xml string) {
	direction := "in"
	if d == chat.ToClient {
		direction = "out"
	}
	if user == 0 && d == chat.FromClient { // the password is on its way
		xml = MaskPatterns(xml[:min(len(xml), 4*JournalText)])
	}
	s.Note(Entry{At: s.Now(), On: OnChat, UserID: user, Direction: direction, Stanza: xml})
}
