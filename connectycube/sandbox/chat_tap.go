package sandbox

import (
	"cubegate/connectycube/sandbox/chat"
	"cubegate/connectycube/sandbox/core"
	"cubegate/connectycube/xmpp"
)

// chatFault returns the fault for a stanza of a user; the chat asks for each one.
func (s *Sandbox) chatFault(user int64, stanza *xmpp.Element) chat.Fault {
	f, ok := s.TakeFault(func(f core.Fault) bool {
		return f.On == core.OnChat && (f.User == 0 || f.User == user) && (f.Stanza == "" || f.Stanza == stanza.Name)
	})
	if !ok {
		return chat.Fault{}
	}
	s.Note(core.Entry{At: s.Now(), On: core.OnChat, UserID: user, Fault: f.Kind, Stanza: stanza.String()})
	return chat.Fault{
		Delay:      f.Delay,
		Refuse:     f.Kind == core.FaultRefuse,
		Drop:       f.Kind == core.FaultDrop,
		LostAnswer: f.Kind == core.FaultLostAnswer,
		HalfOpen:   f.Kind == core.FaultHalfOpen,
		Duplicate:  f.Kind == core.FaultDuplicate,
	}
}

// tap adds a stanza of the chat to the journal.
func (s *Sandbox) tap(d chat.Direction, user int64, xml string) {
	direction := "in"
	if d == chat.ToClient {
		direction = "out"
	}
	if user == 0 && d == chat.FromClient { // the stanza may contain the password
		xml = core.MaskPatterns(xml[:min(len(xml), 4*core.JournalText)])
	}
	s.Note(core.Entry{At: s.Now(), On: core.OnChat, UserID: user, Direction: direction, Stanza: xml})
}

// typing notes who is typing in which dialog. The dialog of two users may not exist yet.
func (s *Sandbox) typing(t chat.Typist) {
	id := t.DialogID
	if t.To != 0 {
		s.Lock()
		d := s.Archive.Private[core.PairOf(t.User, t.To)]
		s.Unlock()
		if d == nil {
			return
		}
		id = d.ID
	}
	s.Typing.Set(id, t.User, t.Composing)
}
